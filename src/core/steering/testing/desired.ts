// Desired states for tests of the tables: one group "web", every node reachable unless told otherwise.
import { ip, mac } from "#base/address.ts";
import { nodeId, type TableVersion } from "#base/ids.ts";
import { nextTables, type Desired, type DesiredNode } from "../next-tables.ts";
import type { GroupTable, Tables } from "../tables.ts";

export const version = (counter: number): TableVersion => ({
  epoch: 1,
  counter,
  master: nodeId(1),
});

export interface TestNode {
  readonly id: number;
  readonly weight?: number;
  readonly serves?: boolean;
  readonly reachable?: boolean;
}

export function desired(slots: number, nodes: readonly TestNode[]): Desired {
  const configured: DesiredNode[] = nodes.map(({ id, weight = 1, serves = true }) => ({
    id: nodeId(id),
    weight,
    serves,
  }));
  const macOf = (id: number): string =>
    `02:50:00:00:${[id >> 8, id & 0xff].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
  return {
    method: "forward",
    hash: "keyed",
    hashKey: [1, 2],
    vips: [ip("10.0.0.100")],
    groups: [
      {
        name: "web",
        policy: "weighted",
        slots,
        services: [{ protocol: "tcp", vip: ip("10.0.0.100"), port: 80 }],
        nodes: configured,
        assignment: "eager",
        balance: "weights",
        loads: new Float64Array(),
      },
    ],
    nodes: nodes
      .filter((node) => node.reachable !== false)
      .map(({ id }) => ({ id: nodeId(id), mac: mac(macOf(id)) })),
  };
}

/** The only group of the tables. */
export function web(tables: Tables): GroupTable {
  const [group] = tables.groups;
  if (group === undefined) throw new Error("These tables have no group");
  return group;
}

/** The tables after a series of desired states, and those before the last one. */
export function after(
  slots: number,
  states: readonly (readonly TestNode[])[],
): { readonly before: Tables | undefined; readonly now: Tables } {
  let [before, now]: [Tables | undefined, Tables | undefined] = [undefined, undefined];
  states.forEach((nodes, index) => {
    before = now;
    now = nextTables(before, desired(slots, nodes), version(index + 1));
  });
  if (now === undefined) throw new Error("At least one state is needed");
  return { before, now };
}

export const counts = (owners: Uint16Array): Map<number, number> => {
  const result = new Map<number, number>();
  for (const owner of owners) result.set(owner, (result.get(owner) ?? 0) + 1);
  return result;
};

/** How many slots differ. */
export const moved = (a: Uint16Array, b: Uint16Array): number =>
  a.reduce((sum, owner, slot) => sum + (owner === b[slot] ? 0 : 1), 0);

/** The chain of a slot as it is asked: present owner, then earlier ones. */
export const chainOf = ({ owners, former }: GroupTable, slot: number): number[] => [
  owners[slot] ?? 0,
  ...former.subarray(3 * slot, 3 * slot + 3),
];
