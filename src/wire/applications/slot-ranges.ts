// Sets of slots as text: "0-127,256", rising, without overlaps. The same notation in the messages to applications and in
// the environment of hooks (A10).

export interface SlotRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
}

/** The highest slot that a group can have. */
export const MAX_SLOT = 65_535;
const RANGE = /^(0|[1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/;

export const formatSlots = (ranges: readonly SlotRange[]): string =>
  ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(",");

/** Undefined when the text is not the one way to write a set. */
export function parseSlots(text: string): SlotRange[] | undefined {
  if (text === "") return [];
  const ranges: SlotRange[] = [];
  for (const part of text.split(",")) {
    const match = RANGE.exec(part);
    const first = Number(match?.[1]);
    const last = match?.[2] === undefined ? first : Number(match[2]);
    const isSingle = match?.[2] === undefined;
    if (match === null || last > MAX_SLOT || (!isSingle && last <= first)) return undefined;
    const before = ranges.at(-1);
    if (before !== undefined && first <= before.last + 1) return undefined;
    ranges.push({ first, last });
  }
  return ranges;
}

export const countSlots = (ranges: readonly SlotRange[]): number =>
  ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);

/** Adds a slot that is above all that are in the set. */
export function addSlot(ranges: { first: number; last: number }[], slot: number): void {
  const newest = ranges.at(-1);
  if (newest !== undefined && newest.last === slot - 1) newest.last = slot;
  else ranges.push({ first: slot, last: slot });
}
