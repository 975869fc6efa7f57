// Expected HTTP statuses as operators write them: "200", "200,204", "200-399".

export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** Undefined when it is none. */
export function parseStatusCodes(text: string): StatusRange[] | undefined {
  const ranges = text.split(",").map((part): StatusRange | undefined => {
    const [, first = "", last = first] = /^\s*(\d{3})(?:-(\d{3}))?\s*$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    return from >= 100 && to <= 599 && from <= to ? { from, to } : undefined;
  });
  const good = ranges.filter((range) => range !== undefined);
  return good.length === ranges.length ? good : undefined;
}

export const formatStatusCodes = (ranges: readonly StatusRange[]): string =>
  ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
