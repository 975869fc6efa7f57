// Turns what the cluster should look like into the next version of its tables (B1, B3, B7, B8): who owns which
// slot, and who owned it before. A slot has a home, its owner while every configuration node serves; while the home
// node does not serve, another one stands in. So a node that comes back gets exactly its old slots (B3).
import type { IpAddress } from "#base/address.ts";
import type { Assignment, Balance } from "#base/assignment.ts";
import { assert } from "#base/assert.ts";
import { primaryVip, type DeliveryMethod, type HashKind } from "#base/delivery.ts";
import { NO_NODE, type NodeId, type TableVersion } from "#base/ids.ts";
import { chainsAfter, resized, type Ownership } from "./former-owners.ts";
import { flags, type Shares } from "./ownership.ts";
import {
  type Answering,
  FORMER_OWNERS,
  NO_EXCEPTIONS,
  type GroupTable,
  type NodeRow,
  type Policy,
  type ServiceKey,
  type Tables,
} from "./tables.ts";
import { lazyOwners, nextHome, nextOwners } from "./weighted-ownership.ts";
import { measuredOwnership } from "./measured-ownership.ts";

export const MIN_SLOTS = 2;
export const MAX_SLOTS = 65_536;

/** A configuration node of a group: it may serve. */
export interface DesiredNode {
  readonly id: NodeId;
  /** Share of the slots relative to the other nodes; whole number, 0 = none. */
  readonly weight: number;
  /** False: down, drained, or without a running instance (B7). */
  readonly serves: boolean;
  /** Percent of its share that it takes at present, 1 … 100 (slow start); absent: all of it. */
  readonly part?: number;
}

export interface DesiredGroup {
  readonly name: string;
  readonly policy: Policy;
  /** A power of two, 2 … 65 536. */
  readonly slots: number;
  readonly services: readonly ServiceKey[];
  readonly nodes: readonly DesiredNode[];
  readonly assignment: Assignment;
  readonly balance: Balance;
  /** As in GroupTable; absent: 0. */
  readonly udpIdleMs?: number;
  /** Measured load of each slot; empty where nothing has been measured. */
  readonly loads: Float64Array;
  /** The first node of the list that serves owns all slots (B3). */
  readonly ordered?: boolean;
  /** Owns all slots while none of the nodes serves (B7). */
  readonly sorry?: NodeId | undefined;
  /** Of policy quic, as in GroupTable. */
  readonly named?: readonly NodeId[];
  /** What packets meet while nobody serves (B7); absent: what they meet where there is no cluster. */
  readonly answer?: Answering | undefined;
}

export interface Desired {
  readonly method: DeliveryMethod;
  /** The primary VIP, where it was chosen (peering); otherwise it is the one it was, or the lowest. */
  readonly primary?: IpAddress | undefined;
  readonly hash: HashKind;
  readonly hashKey: readonly [number, number];
  readonly vips: readonly IpAddress[];
  readonly groups: readonly DesiredGroup[];
  /** Every node that frames can be sent to, also drained ones, whose connections live on. */
  readonly nodes: readonly NodeRow[];
}

function previousOf(previous: GroupTable | undefined, slots: number): Ownership & Shares {
  if (previous === undefined) {
    const owners = new Uint16Array(slots);
    return { owners, former: new Uint16Array(slots * FORMER_OWNERS), home: owners };
  }
  if (previous.owners.length === slots) return previous;
  const home = resized({ owners: previous.home, former: previous.former }, slots).owners;
  return { ...resized(previous, slots), home };
}

function ownership(before: Shares, group: DesiredGroup, reachable: Uint8Array): Shares {
  const { nodes, assignment, balance, loads, sorry = NO_NODE } = group;
  const serving = nodes.filter((node) => node.serves && reachable[node.id] === 1);
  if (group.ordered === true) return orderedShares(before, nodes, serving, sorry);
  if (sorry !== NO_NODE && !serving.some(({ weight }) => weight > 0)) {
    return { owners: before.owners.map(() => sorry), home: nextHome(before.home, nodes) };
  }
  const isLazy = assignment === "lazy";
  if (balance !== "weights") return measuredOwnership(before, { serving, loads, isLazy });
  const home = nextHome(before.home, nodes);
  const owners = isLazy
    ? lazyOwners(home, before.owners, serving)
    : nextOwners(home, before.owners, serving);
  return { owners, home };
}

/** All slots are the first one's that serves, and at home at the first one of all. */
function orderedShares(
  { owners }: Shares,
  nodes: readonly DesiredNode[],
  serving: readonly DesiredNode[],
  sorry: NodeId,
): Shares {
  const first = (among: readonly DesiredNode[]): NodeId | undefined =>
    among.find(({ weight }) => weight > 0)?.id;
  const [owner, home] = [first(serving) ?? sorry, first(nodes) ?? NO_NODE];
  return { owners: owners.map(() => owner), home: owners.map(() => home) };
}

/** asked: who owned a slot before is to be asked. left: chains stay as they are, because nobody goes by these tables. */
type Chains = "asked" | "left";

function nextGroup(
  previous: GroupTable | undefined,
  desired: DesiredGroup,
  { reachable, chains }: { readonly reachable: Uint8Array; readonly chains: Chains },
): GroupTable {
  const { name, policy, slots, services, nodes } = desired;
  assert(
    slots >= MIN_SLOTS && slots <= MAX_SLOTS && (slots & (slots - 1)) === 0,
    "the number of slots is a power of two, 2 … 65 536",
  );
  const before = previousOf(previous, slots);
  const { owners, home } = ownership(before, desired, reachable);
  const former = chains === "left" ? before.former : chainsAfter(before, owners, reachable);
  const serves = nodes.some((node) => node.serves && node.weight > 0);
  const isUnserved = !serves && owners.every((owner) => owner === NO_NODE);
  const answer = isUnserved ? desired.answer : undefined;
  const holds = (desired.assignment === "lazy" && serves) || answer !== undefined;
  const answering = answer === undefined ? {} : { answer };
  const exceptions = previous?.exceptions ?? NO_EXCEPTIONS;
  const { udpIdleMs = 0 } = desired;
  const rest = {
    exceptions,
    udpIdleMs,
    ...(policy === "quic" ? { named: desired.named ?? [] } : {}),
  };
  return { name, policy, holds, ...answering, services, owners, home, former, ...rest };
}

/**
 * The tables that follow `previous`. The same desired state again changes nothing but the version. A node that serves
 * but is missing in `desired.nodes` counts as not serving.
 */
export function nextTables(
  previous: Tables | undefined,
  desired: Desired,
  version: TableVersion,
  chains: Chains = "asked",
): Tables {
  const reachable = flags(desired.nodes.map((row) => row.id));
  const groups = desired.groups.map((group) =>
    nextGroup(
      previous?.groups.find((table) => table.name === group.name),
      group,
      { reachable, chains },
    ),
  );
  const { method, hash, hashKey, vips, nodes } = desired;
  const chosen = desired.primary ?? previous?.delivery.primary;
  const delivery = { method, primary: primaryVip(vips, chosen) };
  return { version, hashKey, hash, delivery, nodes, vips, groups };
}
