// The path of one frame through a node: decapsulate, parse, announce, admit, classify, lookup, hash, connection-id, exception, own, emit, encapsulate.
// The model of bpf/steer.bpf.c; docs/walks/a-packet-arrives.md tells the same story in words.
import { startsWith } from "#base/bytes-map.ts";
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { ETHERNET_LENGTH, EthernetView, SOURCE } from "#wire/ethernet.ts";
import { FROM_OUTSIDE, hopMac, senderOf, wayByte, wayOf } from "#wire/ethernet-hop.ts";
import { PROTOCOL_UDP } from "#wire/ipv4.ts";
import { UDP_LENGTH } from "#wire/udp.ts";
import { namedNode } from "./connection-id.ts";
import { exception } from "./exception.ts";
import type { Decision, FragmentMemory } from "./fragments.ts";
import { slotOf } from "./hash.ts";
import type { IndexedTables } from "./indexed-tables.ts";
import { here, isOfSession, own, type Arrival } from "./own.ts";
import {
  addressesOf,
  askedAddress,
  flowOf,
  fragmentKey,
  isMulticast,
  readPacket,
  type Flow,
  type IpPacket,
  type Packet,
  type Unreadable,
} from "./packet.ts";
import { actionOf, type Reason } from "./reasons.ts";
import type { GroupTable } from "./tables.ts";
import { decapsulate, encapsulate, type Tunnels } from "./tunnels.ts";

export interface PipelineContext {
  readonly tables: IndexedTables;
  readonly self: NodeId;
  /** This node's own MAC, six bytes. */
  readonly mac: Uint8Array;
  /** This node is master, and its lease for answering has not run out (docs/adr/0003). */
  readonly leased: boolean;
  /** This node may take frames that came to a cluster MAC: it has heard the cluster recently (docs/adr/0008). */
  readonly accepting: boolean;
  /** With peering the interface has the cluster MAC: this node's own addresses, which outsiders reach by it (docs/adr/0013). */
  readonly isOwn?: (address: Uint8Array) => boolean;
  /** Whether this node has the connection, by its own TCP table, or the UDP session, and that has not been idle for too long (B12). */
  knows(flow: Flow): boolean;
  /** This node serves the UDP session. */
  noteSession(flow: Flow): void;
  readonly fragments: FragmentMemory;
  /** Whether a frame of that length can wait, in a buffer that has a limit. */
  canHold(reason: Reason, length: number): boolean;
  /** Where some nodes are beyond this segment (B11). */
  readonly tunnels?: Tunnels | undefined;
}

/** `frame`: what the frame has become, where it has come out of a tunnel or goes into one. */
export type Verdict = { readonly frame?: Uint8Array } & VerdictOnIt;

type VerdictOnIt =
  | {
      readonly action: "pass";
      readonly reason: Reason;
      /** It came to a cluster MAC: the stack takes it only when it is told that the frame is for this host. */
      readonly toHost: boolean;
    }
  | {
      readonly action: "drop" | "hold";
      readonly reason: Reason;
      /** It did not fit into a tunnel: its sender is told what would have fitted. */
      readonly longest?: number;
    }
  | {
      readonly action: "forward";
      readonly reason: Reason;
      /** Whom the frame goes to. Its two MAC addresses have been rewritten in place. */
      readonly node: NodeId;
      /** 1 … MAX_HOP, now in the source MAC. */
      readonly hop: number;
    };

/**
 * Decides about a frame. A frame that is forwarded gets its new MAC addresses; otherwise it is left as it is.
 * @param read what readPacket says about the frame, for whoever knows it already
 */
export function steer(
  frame: Uint8Array,
  context: PipelineContext,
  read?: Packet | Unreadable,
): Verdict {
  const { tunnels, tables, mac } = context;
  const inner = tunnels && decapsulate(frame, { tunnels, tables, mac });
  if (inner === undefined) return steerBare(frame, context, read ?? readPacket(frame));
  if (inner === "drop-tunnel") return { action: "drop", reason: inner };
  return { frame: inner, ...steerBare(inner, context, readPacket(inner)) };
}

function steerBare(
  frame: Uint8Array,
  context: PipelineContext,
  read: Packet | Unreadable,
): Verdict {
  const packet = parse(frame, read, context);
  if (typeof packet === "string") return emit(frame, here(packet), false, context);
  const shared = context.tables.isClusterMac(frame);
  const flooded = shared && !isForOwn(packet, context);
  const early = announce(packet, context) ?? admit(frame, shared, context);
  if (early !== undefined) return emit(frame, here(early), shared, context);
  const { hop, asked } = shared ? FROM_OUTSIDE : wayOf(frame, SOURCE);
  const sender = hop === 0 ? NO_NODE : senderOf(frame, SOURCE);
  const decision = decide(packet, { flooded, hop, asked, sender }, context);
  return emit(frame, flooded ? whileAccepting(decision, context) : decision, flooded, context);
}

/** Stage 1: is it ARP, IPv4 or IPv6 that we can read? What all members have and none can read is dropped by all. */
function parse(
  frame: Uint8Array,
  packet: Packet | Unreadable,
  { tables }: PipelineContext,
): Packet | Reason {
  if (packet !== "pass-malformed" || frame.byteLength < ETHERNET_LENGTH) return packet;
  return tables.isClusterMac(frame) ? "drop-not-ours" : packet;
}

/** Stage 2: does it ask who has a VIP? Only the VIP's interface node may answer (B10). */
function announce(packet: Packet, context: PipelineContext): Reason | undefined {
  const asked = askedAddress(packet);
  const holder = asked === undefined ? undefined : context.tables.holderOf(asked);
  if (holder === undefined) return undefined;
  const answers =
    holder === "master" ? context.leased : holder === context.self && context.accepting;
  return answers ? "pass-announce" : "drop-announce";
}

/** Stage 3: is it for this node's own MAC, or for all members? What else a switch flooded must not be multiplied. */
function admit(frame: Uint8Array, shared: boolean, { mac }: PipelineContext): Reason | undefined {
  return shared || startsWith(frame, mac) ? undefined : "pass-other-mac";
}

/** It came to the cluster MAC, and is for this node alone all the same: by the rules for the node's own MAC. */
const isForOwn = (packet: Packet, { isOwn }: PipelineContext): boolean =>
  packet.type !== "arp" && isOwn?.(packet.destination) === true;

/** A member that has not heard the cluster lately takes nothing that another may be serving by now (docs/adr/0008). */
function whileAccepting(decision: Decision, context: PipelineContext): Decision {
  const taken = actionOf(decision.reason) !== "drop" && decision.reason !== "pass-no-flow";
  return taken && !context.accepting ? here("drop-unleased") : decision;
}

/** Stages 4 … 9, with the memory that joins the fragments of a datagram. */
function decide(packet: Packet, arrival: Arrival, context: PipelineContext): Decision {
  if (packet.type === "arp") return here("pass-no-flow");
  const toVip = context.tables.isVip(packet.destination);
  if (arrival.flooded && !toVip) return through(packet, arrival, context);
  if (packet.fragment === "later") return recall(packet, arrival, context);
  const decision = decideWhole(packet, arrival, context);
  if (packet.fragment === "first" && toVip) {
    context.fragments.remember(fragmentKey(packet, arrival.flooded), decision);
  }
  return decision;
}

/** Of a flooded packet for none of the VIPs: routed through the cluster (A22), or none of its business. */
function through(packet: IpPacket, arrival: Arrival, context: PipelineContext): Decision {
  if (isMulticast(packet)) return here("pass-no-flow");
  const group = context.tables.routed;
  if (group === undefined) return here("drop-not-ours");
  // fragments have addresses, too, and so has an error that quotes nothing that can be read
  const flow = packet.fragment === "later" ? undefined : classify(packet);
  return assigned(flow ?? addressesOf(packet), group, arrival, context);
}

/** Of a later fragment: what was decided about the first one. The hop must rise in any case. */
function recall(packet: IpPacket, arrival: Arrival, context: PipelineContext): Decision {
  const { flooded, hop } = arrival;
  if (!context.tables.isVip(packet.destination)) return here("pass-no-flow");
  const decision = context.fragments.recall(fragmentKey(packet, flooded));
  if (decision !== undefined && (decision.node === NO_NODE || decision.hop > hop)) return decision;
  if (flooded) return here("pass-early-fragment");
  return here(hop > 0 ? "pass-peer-fragment" : "hold-early-fragment");
}

function decideWhole(packet: IpPacket, arrival: Arrival, context: PipelineContext): Decision {
  const flow = classify(packet);
  if (flow === undefined) return here("pass-no-flow");
  const group = lookup(flow, context);
  if (group === undefined) return unserved(arrival, context);
  const named = byConnectionId(packet, flow, { group, arrival, context });
  return named ?? assigned(flow, group, arrival, context);
}

interface Asked {
  readonly group: GroupTable;
  readonly arrival: Arrival;
  readonly context: PipelineContext;
}

/** Stage 7: which node does a QUIC packet name? Undefined: none that serves, or a peer thought that it names this one. */
function byConnectionId(
  packet: IpPacket,
  flow: Flow,
  { group, arrival: { hop, flooded }, context }: Asked,
): Decision | undefined {
  // an ICMP error quotes what the server sent, which has the client's connection id
  const isDatagram = packet.protocol === PROTOCOL_UDP && flow.protocol === PROTOCOL_UDP;
  if (group.policy !== "quic" || !isDatagram) return undefined;
  const node = namedNode(packet.transport.subarray(UDP_LENGTH));
  // whoever has the slot tells the client that the connection is over
  if (group.named?.includes(node) !== true) return undefined;
  if (node === context.self) return here("pass-connection-id");
  if (hop > 0 || context.tables.macOf(node) === undefined) return undefined;
  if (flooded) return here("drop-peer");
  return { reason: "forward-connection-id", node, hop: 1, asked: 0 };
}

function assigned(
  flow: Flow,
  group: GroupTable,
  arrival: Arrival,
  context: PipelineContext,
): Decision {
  const slot = { group, index: hash(flow, group, context) };
  const decision = exception(flow, slot, arrival, context) ?? own(flow, slot, arrival, context);
  const { reason } = decision;
  // of a flooded frame that is not taken for want of the right (whileAccepting), another node may be serving the session
  const mayTake = !arrival.flooded || context.accepting;
  const isServed = mayTake && (reason === "pass-local" || reason === "pass-exception");
  if (isServed && isOfSession(flow, slot)) context.noteSession(flow);
  return decision;
}

/**
 * For no service: one node's stack answers, as a single machine's would. But a peer sends nothing on for which there is no service:
 * the tables here are old, or not there yet.
 */
function unserved({ flooded, hop }: Arrival, { leased, accepting }: PipelineContext): Decision {
  if (hop > 0 && !accepting) return here("drop-unleased");
  return here(flooded && !leased ? "drop-peer" : "pass-no-service");
}

/** Stage 4: what is the flow? */
function classify(packet: IpPacket): Flow | undefined {
  return flowOf(packet);
}

/** Stage 5: table 1 (protocol, VIP, port), otherwise 2 (protocol, VIP), otherwise 3 (VIP): which group? (B2) */
function lookup(flow: Flow, { tables }: PipelineContext): GroupTable | undefined {
  return tables.groupOf(flow.protocol, flow.destination, flow.destinationPort);
}

/** Stage 6: which slot? The group's policy says what of the flow counts (B3, A14). */
const hash = (flow: Flow, group: GroupTable, { tables }: PipelineContext): number =>
  slotOf(tables, group.policy, flow, group.owners.length);

/** Stage 10: where to? Rewrites both MAC addresses and nothing else (B5); stage 11, beyond the segment: into a tunnel. */
function emit(
  frame: Uint8Array,
  decision: Decision,
  flooded: boolean,
  context: PipelineContext,
): Verdict {
  const { reason, node, hop, asked } = decision;
  const action = actionOf(reason);
  if (action === "pass") return { action, reason, toHost: flooded };
  if (action === "hold" && !context.canHold(reason, frame.byteLength)) {
    return { action: "drop", reason: "drop-hold-full" };
  }
  if (action !== "forward") return { action, reason };
  const mac = context.tables.macOf(node);
  if (mac === undefined) return { action: "drop", reason: "drop-no-neighbour" };
  const tunnel = context.tunnels?.to(node);
  if (tunnel !== undefined) {
    const sent = encapsulate(frame, tunnel, wayByte({ hop, asked }), context.self);
    if ("reason" in sent) return { action: "drop", ...sent };
    return { action, reason, node, hop, ...sent };
  }
  const ethernet = new EthernetView(frame);
  ethernet.destination = mac;
  ethernet.source = hopMac({ hop, asked }, context.self);
  return { action, reason, node, hop };
}
