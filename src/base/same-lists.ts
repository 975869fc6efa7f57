// Whether two lists say the same, item for item and in the same order.
const isSame = <T>(a: T, b: T): boolean => a === b;

export function sameLists<T>(
  a: readonly T[],
  b: readonly T[],
  same: (a: T, b: T) => boolean = isSame,
): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((item, index) => same(item, b[index] as T));
}
