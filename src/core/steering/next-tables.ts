// Turns what the cluster should look like into the next version of its tables (B1, B3, B7, B8): who owns which
// slot, and who owned it before. A slot has a home, its owner while every configuration node serves; while the home
// node does not serve, another one stands in. So a node that comes back gets exactly its old slots (B3).
import type { IpAddress } from "#base/address.ts";
import { assert } from "#base/assert.ts";
import { primaryVip, type DeliveryMethod, type HashKind } from "#base/delivery.ts";
import { MAX_NODE_ID, NO_NODE, type NodeId, type TableVersion } from "#base/ids.ts";
import { chainsAfter, resized, type Ownership } from "./former-owners.ts";
import { shareSlots } from "./shares.ts";
import {
  FORMER_OWNERS,
  type GroupTable,
  type NodeRow,
  type Policy,
  type ServiceKey,
  type Tables,
} from "./tables.ts";

export const MIN_SLOTS = 2;
export const MAX_SLOTS = 65_536;

/** A configuration node of a group: it may serve. */
export interface DesiredNode {
  readonly id: NodeId;
  /** Share of the slots relative to the other nodes; whole number, 0 = none. */
  readonly weight: number;
  /** False: down, drained, or without a running instance (B7). */
  readonly serves: boolean;
}

export interface DesiredGroup {
  readonly name: string;
  readonly policy: Policy;
  /** A power of two, 2 … 65 536. */
  readonly slots: number;
  /** As in GroupTable. */
  readonly holds: boolean;
  readonly services: readonly ServiceKey[];
  readonly nodes: readonly DesiredNode[];
}

export interface Desired {
  readonly method: DeliveryMethod;
  readonly hash: HashKind;
  readonly hashKey: readonly [number, number];
  readonly vips: readonly IpAddress[];
  readonly groups: readonly DesiredGroup[];
  /** Every node that frames can be sent to, also drained ones, whose connections live on. */
  readonly nodes: readonly NodeRow[];
}

/** One flag per node id. */
const flags = (ids: Iterable<NodeId>): Uint8Array => {
  const result = new Uint8Array(MAX_NODE_ID + 1);
  for (const id of ids) result[id] = 1;
  return result;
};

function countByNode(owners: Uint16Array, counts = new Uint32Array(MAX_NODE_ID + 1)): Uint32Array {
  for (const owner of owners) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
}

/**
 * Gives each slot of `owners` that is listed in `open` an owner, so that every node ends with its number of `quotas`
 * among them. A slot keeps the owner that it has while that one's quota lasts.
 */
function fill(
  owners: Uint16Array,
  open: readonly number[],
  quotas: ReadonlyMap<NodeId, number>,
): void {
  const left = new Uint32Array(MAX_NODE_ID + 1);
  for (const [id, quota] of quotas) left[id] = quota;
  const vacant: number[] = [];
  for (const slot of open) {
    const owner = owners[slot] ?? NO_NODE;
    const quota = left[owner] ?? 0;
    if (quota > 0) left[owner] = quota - 1;
    else vacant.push(slot);
  }
  const takers = [...quotas.keys()].filter((id) => (left[id] ?? 0) > 0);
  let next = 0;
  for (const slot of vacant) {
    const taker = takers[next] ?? NO_NODE;
    owners[slot] = taker;
    left[taker] = (left[taker] ?? 0) - 1;
    if (left[taker] === 0) next++;
  }
}

/** Owner of each slot if every configuration node served: near the ideal shares, as little moved as possible. */
function nextHome(previous: Uint16Array, nodes: readonly DesiredNode[]): Uint16Array {
  const home = previous.slice();
  const held = countByNode(home);
  const claims = nodes.map(({ id, weight }) => ({ id, weight, held: held[id] ?? 0, pinned: 0 }));
  fill(home, [...home.keys()], shareSlots(home.length, claims));
  return home;
}

/** Home nodes that serve own their slots; the other slots get stand-ins, the previous ones where that is fair. */
function nextOwners(
  home: Uint16Array,
  previous: Uint16Array,
  serving: readonly DesiredNode[],
): Uint16Array {
  const serves = flags(serving.filter((node) => node.weight > 0).map((node) => node.id));
  const owners = home.map((id, slot) => (serves[id] === 1 ? id : (previous[slot] ?? NO_NODE)));
  const orphans = [...home.keys()].filter((slot) => serves[home[slot] ?? NO_NODE] !== 1);
  const pinned = countByNode(home);
  const held = countByNode(owners);
  const claims = serving.map(({ id, weight }) => ({
    id,
    weight,
    held: held[id] ?? 0,
    pinned: pinned[id] ?? 0,
  }));
  const quotas = new Map(
    [...shareSlots(home.length, claims)].map(([id, count]) => [id, count - (pinned[id] ?? 0)]),
  );
  fill(owners, orphans, quotas);
  return owners;
}

function previousOf(
  previous: GroupTable | undefined,
  slots: number,
): Ownership & { readonly home: Uint16Array } {
  if (previous === undefined) {
    const owners = new Uint16Array(slots);
    return { owners, former: new Uint16Array(slots * FORMER_OWNERS), home: owners };
  }
  if (previous.owners.length === slots) return previous;
  const home = resized({ owners: previous.home, former: previous.former }, slots).owners;
  return { ...resized(previous, slots), home };
}

function nextGroup(
  previous: GroupTable | undefined,
  desired: DesiredGroup,
  reachable: Uint8Array,
): GroupTable {
  const { name, policy, slots, holds, services, nodes } = desired;
  assert(
    slots >= MIN_SLOTS && slots <= MAX_SLOTS && (slots & (slots - 1)) === 0,
    "the number of slots is a power of two, 2 … 65 536",
  );
  const before = previousOf(previous, slots);
  const home = nextHome(before.home, nodes);
  const serving = nodes.filter((node) => node.serves && reachable[node.id] === 1);
  const owners = nextOwners(home, before.owners, serving);
  const former = chainsAfter(before, owners, reachable);
  return { name, policy, holds, services, owners, home, former };
}

/**
 * The tables that follow `previous`. The same desired state again changes nothing but the version. A node that serves
 * but is missing in `desired.nodes` counts as not serving.
 */
export function nextTables(
  previous: Tables | undefined,
  desired: Desired,
  version: TableVersion,
): Tables {
  const reachable = flags(desired.nodes.map((row) => row.id));
  const groups = desired.groups.map((group) =>
    nextGroup(
      previous?.groups.find((table) => table.name === group.name),
      group,
      reachable,
    ),
  );
  const { method, hash, hashKey, vips, nodes } = desired;
  const delivery = { method, primary: primaryVip(vips, previous?.delivery.primary) };
  return { version, hashKey, hash, delivery, nodes, vips, groups };
}
