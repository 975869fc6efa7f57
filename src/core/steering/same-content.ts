// Whether two versions of the tables say the same: then publishing the second would be noise.
import type { Exceptions, GroupTable, Tables } from "./tables.ts";

const sameNumbers = (a: Uint16Array, b: Uint16Array): boolean =>
  a.length === b.length && a.every((value, index) => value === b[index]);

export const sameExceptions = (a: Exceptions, b: Exceptions): boolean =>
  a === b ||
  (a.flows.length === b.flows.length &&
    sameNumbers(a.nodes, b.nodes) &&
    sameNumbers(a.slots, b.slots) &&
    a.flows.every((flow, index) => flow === b.flows[index]));

function sameSlots(a: GroupTable, b: GroupTable | undefined): boolean {
  return (
    b !== undefined &&
    sameNumbers(a.owners, b.owners) &&
    sameNumbers(a.former, b.former) &&
    sameNumbers(a.home, b.home) &&
    sameExceptions(a.exceptions, b.exceptions)
  );
}

/** Everything but slots, exceptions and the version. */
const frame = ({ version: _version, groups, ...rest }: Tables): string =>
  JSON.stringify([
    rest,
    groups.map(
      ({ owners: _owners, former: _former, home: _home, exceptions: _exceptions, ...group }) =>
        group,
    ),
  ]);

/** True when nothing but the version differs. Both come from nextTables: their fields stand in the same order. */
export function sameContent(a: Tables, b: Tables): boolean {
  return (
    a.groups.every((group, index) => sameSlots(group, b.groups[index])) && frame(a) === frame(b)
  );
}
