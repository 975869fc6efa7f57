// Whether two versions of the tables say the same: then publishing the second would be noise.
import { sameLists } from "#base/same-lists.ts";
import type { Exceptions, GroupTable, NodeRow, ServiceKey, Tables, VipHolders } from "./tables.ts";

export function sameNumbers(a: Uint16Array, b: Uint16Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

export const sameExceptions = (a: Exceptions, b: Exceptions): boolean =>
  a === b ||
  (sameLists(a.flows, b.flows) && sameNumbers(a.nodes, b.nodes) && sameNumbers(a.slots, b.slots));

const sameSlots = (a: GroupTable, b: GroupTable): boolean =>
  a.holds === b.holds &&
  sameNumbers(a.owners, b.owners) &&
  sameNumbers(a.former, b.former) &&
  sameNumbers(a.home, b.home) &&
  sameExceptions(a.exceptions, b.exceptions);

export const sameService = (a: ServiceKey, b: ServiceKey): boolean =>
  a.protocol === b.protocol && a.vip === b.vip && a.port === b.port;

export const sameNamed = (a: Pick<GroupTable, "named">, b: Pick<GroupTable, "named">): boolean =>
  sameLists(a.named ?? [], b.named ?? []);

const sameGroup = (a: GroupTable, b: GroupTable): boolean =>
  a.name === b.name &&
  a.policy === b.policy &&
  a.answer === b.answer &&
  a.udpIdleMs === b.udpIdleMs &&
  sameNamed(a, b) &&
  sameLists(a.services, b.services, sameService);

export const sameRow = (a: NodeRow, b: NodeRow): boolean => a.id === b.id && a.mac === b.mac;

const sameHolders = (a: VipHolders | undefined, b: VipHolders | undefined): boolean =>
  a === undefined || b === undefined
    ? a === b
    : sameLists(a.holders, b.holders) && sameLists(a.homes, b.homes);

/** Whether all is the same but the version and, of each group, its slots with whether they hold packets and what is pinned. */
export const sameFrame = (a: Tables, b: Tables): boolean =>
  a.delivery.method === b.delivery.method &&
  a.delivery.primary === b.delivery.primary &&
  a.hash === b.hash &&
  sameLists(a.hashKey, b.hashKey) &&
  sameLists(a.nodes, b.nodes, sameRow) &&
  sameLists(a.vips, b.vips) &&
  sameHolders(a.vipHolders, b.vipHolders) &&
  sameLists(a.groups, b.groups, sameGroup);

/** True when nothing but the version differs. */
export const sameContent = (a: Tables, b: Tables): boolean =>
  sameFrame(a, b) && sameLists(a.groups, b.groups, sameSlots);
