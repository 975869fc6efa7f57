// Stage own of the packet pipeline: who has the connection? The slot's owner, except for connections that are older than
// its ownership; those are looked for along the chain of former owners (docs/adr/0004). Follows bpf/own.h.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { askedBit, MAX_HOP } from "#wire/ethernet-hop.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import type { Decision } from "./fragments.ts";
import type { IndexedTables } from "./indexed-tables.ts";
import type { Flow } from "./packet.ts";
import { FORMER_OWNERS, isRouted, type GroupTable } from "./tables.ts";

export interface Slot {
  readonly group: GroupTable;
  readonly index: number;
}

/** How a frame came here. */
export interface Arrival {
  /** It came to a cluster MAC, so that every member has it (docs/adr/0007). */
  readonly flooded: boolean;
  /** How many nodes have forwarded it; 0 for a flooded frame. */
  readonly hop: number;
  /** Who has been asked about its connection in vain (askedBit). */
  readonly asked: number;
  /** Who forwarded it last; NO_NODE for hop 0. */
  readonly sender: NodeId;
}

export interface Owning {
  readonly self: NodeId;
  /** This node may stand in where nobody else is named. */
  readonly leased: boolean;
  /** This node's agent runs and is in the cluster, so that its tables are those of the others (docs/adr/0008). */
  readonly accepting: boolean;
  readonly tables: Pick<IndexedTables, "macOf" | "master">;
  knows(flow: Flow): boolean;
}

export const here = (reason: Decision["reason"]): Decision => ({
  reason,
  node: NO_NODE,
  hop: 0,
  asked: 0,
});

/**
 * Decides who serves a flow whose slot is known (B4, B5, A15). Traffic that is routed through the cluster has no sockets
 * to ask: its slot's owner takes all of it at once.
 */
export function own(flow: Flow, slot: Slot, arrival: Arrival, context: Owning): Decision {
  const owner = chainEntry(slot, 0);
  const mine = owner === NO_NODE || owner === context.self;
  if (arrival.flooded) {
    if (!takesFlooded(slot, context)) return here("drop-peer");
  } else if (arrival.hop === 0 && !mine) {
    return { reason: "forward-owner", node: owner, hop: 1, asked: 0 };
  }
  const holds = owner === NO_NODE && slot.group.holds;
  const passes = here(owner === NO_NODE ? "pass-no-owner" : "pass-local");
  if (!isSegment(flow, slot)) return holds && arrival.hop === 0 ? here("hold-unassigned") : passes;
  const next = askedNext(flow, slot, arrival, context);
  const isBlind = arrival.hop > 1 && !context.accepting;
  const isHere = next === NO_NODE && !holds && !isBlind;
  if (isHere || context.knows(flow)) return passes;
  const { hop } = arrival;
  const asked = arrival.asked | askedBit(context.self);
  if (next !== NO_NODE && hop < MAX_HOP) {
    return { reason: "forward-former", node: next, hop: hop === 0 ? 2 : hop + 1, asked };
  }
  if (holds) return here("hold-unassigned");
  return here(isBlind ? "drop-unleased" : "drop-peer");
}

/** Of all members that have a flooded frame, the one that does not drop it. */
export function takesFlooded(slot: Slot, context: Owning): boolean {
  const owner = chainEntry(slot, 0);
  return owner === NO_NODE ? standsIn(slot, context) : owner === context.self;
}

/**
 * Of a flooded frame for a slot without an owner: the newest of its former owners keeps what comes, since it alone can stop serving
 * and begin to keep in the same moment (docs/adr/0012). A slot that has none is the lease holder's.
 */
function standsIn(slot: Slot, { self, leased }: Owning): boolean {
  const keeper = chainEntry(slot, 1);
  return keeper === NO_NODE ? leased : keeper === self;
}

/**
 * Who answers when nobody is left to ask: the owner, if it was not the one that asked. A slot that is on its way
 * may have an owner of whom this node has not heard yet: the master lets the segment wait (docs/adr/0009).
 */
function lastWord(flow: Flow, slot: Slot, sender: NodeId, { tables }: Owning): NodeId {
  const owner = chainEntry(slot, 0);
  if (owner === NO_NODE) return slot.group.holds ? tables.master : NO_NODE;
  // nothing in a UDP packet says that it begins a session: what nobody knows does, and that is the owner's
  return owner === sender && flow.protocol === PROTOCOL_TCP ? NO_NODE : owner;
}

/** A UDP packet of a group that pins sessions (B12). */
export const isOfSession = ({ protocol }: Flow, { group }: Slot): boolean =>
  protocol === PROTOCOL_UDP && group.udpIdleMs > 0 && !isRouted(group.policy);

/** A packet that may belong to a connection or session which some node has already. */
export const isSegment = (flow: Flow, slot: Slot): boolean =>
  flow.protocol === PROTOCOL_TCP
    ? !flow.opening && !isRouted(slot.group.policy)
    : isOfSession(flow, slot);

/** Whom a node asks about a connection that it does not know: nobody when it has the last word itself. */
function askedNext(flow: Flow, slot: Slot, arrival: Arrival, context: Owning): NodeId {
  const { hop, sender } = arrival;
  let next = askerOf(arrival, context);
  if (next === NO_NODE) next = unasked(slot, arrival, context.self);
  if (next === NO_NODE && hop > 0) next = lastWord(flow, slot, sender, context);
  return next === context.self ? NO_NODE : next;
}

/**
 * By the tables of an agent that does not run nobody can be found, so whoever asked this node goes on (docs/adr/0020); unless it was this
 * node that chose the other, or the tables do not say where that is.
 */
function askerOf({ hop, asked, sender }: Arrival, { self, accepting, tables }: Owning): NodeId {
  const isReturned = hop > 1 && !accepting && sender !== self && (asked & askedBit(self)) === 0;
  return isReturned && tables.macOf(sender) !== undefined ? sender : NO_NODE;
}

/**
 * Who of the owner and the former owners has not been asked. Where the tables agree, that is the entry after this node's own: of
 * more than five nodes, some share a bit of those that say who has been asked. Where they do not, a change is on its way, or
 * somebody was asked whose agent does not run, entries stand elsewhere, and only these bits tell.
 */
function unasked(slot: Slot, { hop, asked, sender }: Arrival, self: NodeId): NodeId {
  const chain = [0, 1, 2, 3].map((entry) => chainEntry(slot, entry));
  const mine = chain.indexOf(self);
  const before = hop > 1 ? chain.indexOf(sender) : -1;
  const isInTurn = before !== -1 && before < mine && mine < hop && mine >= hop - 2;
  const left = chain.findIndex((node) => {
    if (node === NO_NODE || node === self || (hop > 1 && node === sender)) return false;
    return (asked & askedBit(node)) === 0;
  });
  if (isInTurn && (left === -1 || left > mine)) return chain[mine + 1] ?? NO_NODE;
  return chain[left] ?? NO_NODE;
}

export const ownerOf = (slot: Slot): NodeId => chainEntry(slot, 0);

/** Entry 0 is the present owner, 1 … 3 are the earlier ones, newest first; beyond that nobody. */
function chainEntry({ group, index }: Slot, k: number): NodeId {
  if (k === 0) return (group.owners[index] ?? NO_NODE) as NodeId;
  if (k > FORMER_OWNERS) return NO_NODE;
  return (group.former[index * FORMER_OWNERS + k - 1] ?? NO_NODE) as NodeId;
}
