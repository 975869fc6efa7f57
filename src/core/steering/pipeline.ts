// The path of one frame through a node: parse, announce, admit, classify, lookup, hash, own, emit. The model of
// bpf/steer.bpf.c; docs/walks/a-packet-arrives.md tells the same story in words.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { EthernetView } from "#wire/ethernet.ts";
import { hopMac, hopOf } from "#wire/ethernet-hop.ts";
import type { Decision, FragmentMemory } from "./fragments.ts";
import { flowHash } from "./hash.ts";
import type { IndexedTables } from "./indexed-tables.ts";
import {
  askedAddress,
  flowOf,
  fragmentKey,
  readPacket,
  type Flow,
  type IpPacket,
  type Packet,
  type Unreadable,
} from "./packet.ts";
import { actionOf, type Reason } from "./reasons.ts";
import { FORMER_OWNERS, type GroupTable } from "./tables.ts";

export interface PipelineContext {
  readonly tables: IndexedTables;
  readonly self: NodeId;
  /** This node's own MAC, six bytes. */
  readonly mac: Uint8Array;
  /** This node is the interface node of the VIPs, and its lease has not run out. */
  readonly leased: boolean;
  /** Whether this node's own TCP table knows the connection. */
  knows(flow: Flow): boolean;
  readonly fragments: FragmentMemory;
}

export type Verdict =
  | { readonly action: "pass" | "drop" | "hold"; readonly reason: Reason }
  | {
      readonly action: "forward";
      readonly reason: Reason;
      /** Whom the frame goes to. Its two MAC addresses have been rewritten in place. */
      readonly node: NodeId;
      /** 1 … 4, now in the source MAC. */
      readonly hop: number;
    };

interface Slot {
  readonly group: GroupTable;
  readonly index: number;
}

const here = (reason: Reason): Decision => ({ reason, node: NO_NODE, hop: 0 });

/** Decides about a frame. A frame that is forwarded gets its new MAC addresses; otherwise it is left as it is. */
export function steer(frame: Uint8Array, context: PipelineContext): Verdict {
  const packet = parse(frame);
  if (typeof packet === "string") return emit(frame, here(packet), context);
  const ethernet = new EthernetView(frame);
  const early = announce(packet, context) ?? admit(ethernet, context);
  if (early !== undefined) return emit(frame, here(early), context);
  const decision = decide(packet, hopOf(ethernet.source), context);
  return emit(frame, decision, context);
}

/** Stage 1: is it ARP, IPv4 or IPv6 that we can read? */
function parse(frame: Uint8Array): Packet | Unreadable {
  return readPacket(frame);
}

/** Stage 2: does it ask who has a VIP? Only the VIP's interface node may answer (B10). */
function announce(packet: Packet, { tables, leased }: PipelineContext): Reason | undefined {
  const asked = askedAddress(packet);
  if (asked === undefined || !tables.isVip(asked)) return undefined;
  return leased ? "pass-announce" : "drop-announce";
}

/** Stage 3: is it for this node's own MAC? What a switch flooded must not be multiplied. */
function admit(ethernet: EthernetView, { mac }: PipelineContext): Reason | undefined {
  const { destination } = ethernet;
  return mac.every((byte, index) => destination[index] === byte) ? undefined : "pass-other-mac";
}

/** Stages 4 … 7, with the memory that joins the fragments of a datagram. */
function decide(packet: Packet, hop: number, context: PipelineContext): Decision {
  if (packet.type === "arp") return here("pass-no-flow");
  if (packet.fragment === "later") return recall(packet, hop, context);
  const decision = decideWhole(packet, hop, context);
  if (packet.fragment === "first" && context.tables.isVip(packet.destination)) {
    context.fragments.remember(fragmentKey(packet), decision);
  }
  return decision;
}

/** Of a later fragment: what was decided about the first one. The hop must rise in any case. */
function recall(packet: IpPacket, hop: number, context: PipelineContext): Decision {
  if (!context.tables.isVip(packet.destination)) return here("pass-no-flow");
  const decision = context.fragments.recall(fragmentKey(packet));
  if (decision !== undefined && (decision.node === NO_NODE || decision.hop > hop)) return decision;
  return here(hop > 0 ? "pass-peer-fragment" : "drop-orphan-fragment");
}

function decideWhole(packet: IpPacket, hop: number, context: PipelineContext): Decision {
  const flow = classify(packet);
  if (flow === undefined) return here("pass-no-flow");
  const group = lookup(flow, context);
  if (group === undefined) return here("pass-no-service");
  return own(flow, { group, index: hash(flow, group, context) }, hop, context);
}

/** Stage 4: what is the flow? */
function classify(packet: IpPacket): Flow | undefined {
  return flowOf(packet);
}

/** Stage 5: table 1 (protocol, VIP, port), otherwise table 2 (protocol, VIP): which group? (B2) */
function lookup(flow: Flow, { tables }: PipelineContext): GroupTable | undefined {
  return tables.groupOf(flow.protocol, flow.destination, flow.destinationPort);
}

/** Stage 6: which slot? Sticky groups leave the port out (B3). */
function hash(flow: Flow, group: GroupTable, { tables }: PipelineContext): number {
  const port = group.policy === "weighted" ? flow.sourcePort : 0;
  return flowHash(tables.hashKey, flow.source, port) & (group.owners.length - 1);
}

/** Stage 7: who owns the slot, and if the frame is here rightly, does this node know its connection? (B4, B5) */
function own(flow: Flow, slot: Slot, hop: number, context: PipelineContext): Decision {
  const owner = chainEntry(slot, 0);
  const mine = owner === NO_NODE || owner === context.self;
  if (hop === 0 && !mine) return { reason: "forward-owner", node: owner, hop: 1 };
  const k = hop === 0 ? 0 : hop - 1;
  const next = k === 0 && !mine ? owner : askedNext(slot, k, context.self);
  const nobodyLeft = k === FORMER_OWNERS || next === NO_NODE || next === context.self;
  if (nobodyLeft || flow.protocol === "udp" || flow.opening || context.knows(flow)) {
    return here(owner === NO_NODE ? "pass-no-owner" : "pass-local");
  }
  return { reason: "forward-former", node: next, hop: k + 2 };
}

/**
 * Whom a node asks about a connection that it does not know: the entry after its own in the chain. A node that is not
 * in the chain has an older table than the sender; what the sender counts as entry k + 1 is entry k there.
 */
function askedNext(slot: Slot, k: number, self: NodeId): NodeId {
  for (let entry = 0; entry <= FORMER_OWNERS; entry++) {
    if (chainEntry(slot, entry) === self) return chainEntry(slot, entry + 1);
  }
  return chainEntry(slot, Math.max(k, 1));
}

/** Entry 0 is the present owner, 1 … 3 are the earlier ones, newest first; beyond that nobody. */
function chainEntry({ group, index }: Slot, k: number): NodeId {
  if (k === 0) return (group.owners[index] ?? NO_NODE) as NodeId;
  if (k > FORMER_OWNERS) return NO_NODE;
  return (group.former[index * FORMER_OWNERS + k - 1] ?? NO_NODE) as NodeId;
}

/** Stage 8: where to? Rewrites both MAC addresses and nothing else (B5). */
function emit(frame: Uint8Array, decision: Decision, context: PipelineContext): Verdict {
  const { reason, node, hop } = decision;
  const action = actionOf(reason);
  if (action !== "forward") return { action, reason };
  const mac = context.tables.macOf(node);
  if (mac === undefined) return { action: "drop", reason: "drop-no-neighbour" };
  const ethernet = new EthernetView(frame);
  ethernet.destination = mac;
  ethernet.source = hopMac(hop, context.self);
  return { action, reason, node, hop };
}
