// The rewriting rules between the network card and the stack of a member whose interface has the cluster MAC (part C), as a
// table; CM: cluster MAC, D(x): dedicated MAC of x. The model of bpf/peer.bpf.c.
//
//   into the stack
//     to one of our dedicated MACs              Ethernet destination := CM                            C9, row 640
//     ... and it is the shared one              only what is for one of our addresses                 C11
//     ... from a peer that never asked for us   dropped, if the operator wants that                   C15
//     ARP or ND that tells CM for a peer        told MAC := D(peer)                                   rows 610, 640 (C7)
//     ... and asks for us, not to be learned    answered here as row 620, the stack never sees it     C10
//     ARP reply to one of our dedicated MACs    target MAC := CM                                      row 640 (C7)
//     from a MAC that is not the sender's       noted (leaks.ts), whatever else is done               C8
//
//   out of the stack
//     a request for a live peer                 answered here: from CM to CM, told MAC = D(peer)      C13
//     a reply to a peer that tells CM           told MAC := D(us), target MAC := CM                   row 630
//     to a peer's dedicated MAC                 Ethernet source := what switches may learn            C8, C9
//     to everybody else                         Ethernet source := our masked source                  C8
//     ... an ICMPv6 redirect to a peer          told MAC := CM                                        C8
//
// "Tells": ARP sender MAC; source link-layer address of a solicitation; target link-layer address of an advertisement. Nothing
// else changes. A switch must never learn CM, so CM is nobody's Ethernet source on the wire.
import type { NodeId } from "#base/ids.ts";
import type { PeerChoices } from "#base/peering.ts";
import { ETHERNET_LENGTH, ETHERTYPE_ARP, EthernetView } from "#wire/ethernet.ts";
import { hasAsker, turnIntoAnswer } from "./answer.ts";
import { discoveryIn, endsOf, Redirect, type Discovery } from "./discovery.ts";
import type { PeerLeak } from "./leaks.ts";
import type { PeerReason } from "./reasons.ts";

/** What is known of a member's address (C2). */
export interface Peer {
  readonly node: NodeId;
  readonly mac: Uint8Array;
  /** Heard lately; a local responder answers for no other (C13). */
  readonly live: boolean;
}

export interface PeeringContext {
  readonly choices: PeerChoices;
  readonly clusterMac: Uint8Array;
  /** Ethernet source of frames to outsiders. */
  readonly outsiderSource: Uint8Array;
  /** Ethernet source of frames to peers: the unicast dedicated MAC, where there is one. */
  readonly peerSource: Uint8Array;
  /** MACs that only peers send to; the first is the one that members know each other by. */
  readonly dedicated: readonly Uint8Array[];
  /** The one of these that several members have (C11). */
  readonly shared: Uint8Array | undefined;
  /** What peers are to learn of an address of this node; undefined: it is not one, or it is virtual. */
  readonly own: (address: Uint8Array) => Uint8Array | undefined;
  /** The host list, without this node. */
  readonly peer: (address: Uint8Array) => Peer | undefined;
  /** Of another member, for its link-local address: nobody lists those. */
  readonly macOf: (node: number) => Uint8Array | undefined;
  /** Whose MAC that is, of the host list; 0: of several (C11); undefined: no peer's. */
  readonly nodeOfMac: (mac: Uint8Array) => number | undefined;
  /** An agent says who lives; when it has not for a while, nobody is answered for (C13). */
  readonly informed: boolean;
  /** Nodes that have asked for this one (C15); grows. */
  readonly asked: Set<NodeId>;
}

export interface PeerVerdict {
  /** turn: goes back where it came from. */
  readonly action: "pass" | "drop" | "turn";
  readonly reason: PeerReason;
  /** The stack must be told that the frame is for this host. */
  readonly toHost: boolean;
  /** What the frame shows beside that. */
  readonly leak?: PeerLeak;
}

const verdict = (
  reason: PeerReason,
  action: PeerVerdict["action"] = "pass",
  toHost = false,
): PeerVerdict => ({ action, reason, toHost });

const same = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, index) => b[index] === byte);
const isLinkLocal = (address: Uint8Array): boolean =>
  address.byteLength === 16 && address[0] === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80;

/** Whose source that is, masked or dedicated (02:0h:ll or 02:1h:ll, or of a table); 0: nobody's in this cluster. */
function nodeOfSource(source: Uint8Array, { clusterMac, nodeOfMac }: PeeringContext): number {
  const [first = 0, second = 0, third = 0] = source;
  const isOfPattern = first === 2 && second <= 0x1f;
  if (isOfPattern && same(source.subarray(3, 6), clusterMac.subarray(3, 6))) {
    return ((second & 0x0f) << 8) | third;
  }
  return nodeOfMac(source) ?? 0;
}

/** The peer that has an address, and its dedicated MAC; nobody lists link-local ones, so the Ethernet source tells whose. */
function peerAt(
  address: Uint8Array,
  frame: Uint8Array,
  context: PeeringContext,
): Omit<Peer, "live"> | undefined {
  const listed = context.peer(address);
  if (listed !== undefined || !isLinkLocal(address)) return listed;
  const node = nodeOfSource(new EthernetView(frame).source, context);
  const mac = context.macOf(node);
  return mac && { node: node as NodeId, mac };
}

/** A frame on its way into the stack; it is rewritten in place. */
export function arrive(frame: Uint8Array, context: PeeringContext): PeerVerdict {
  if (frame.byteLength < ETHERNET_LENGTH) return verdict("pass-other");
  const leak = leakIn(frame, context);
  const taken = take(frame, context);
  return leak === undefined ? taken : { ...taken, leak };
}

/** What a local responder answers is from the cluster MAC to the cluster MAC. */
function leakIn(frame: Uint8Array, context: PeeringContext): PeerLeak | undefined {
  const { source, destination } = new EthernetView(frame);
  const { clusterMac, outsiderSource, dedicated } = context;
  if (same(source, clusterMac)) {
    return same(destination, clusterMac) ? undefined : "cluster-source";
  }
  const isOwn = [outsiderSource, ...dedicated].some((mac) => same(mac, source));
  if (isOwn && discoveryIn(frame) !== undefined) return "own-source";
  const ours = dedicated.some((mac) => same(mac, destination));
  return ours && nodeOfSource(source, context) === 0 ? "outsider" : undefined;
}

function take(frame: Uint8Array, context: PeeringContext): PeerVerdict {
  const ethernet = new EthernetView(frame);
  const { destination } = ethernet;
  const ends = endsOf(frame);
  const isShared = context.shared !== undefined && same(destination, context.shared);
  if (isShared && (ends === undefined || context.own(ends.destination) === undefined)) {
    return verdict("drop-not-ours", "drop");
  }
  const ours =
    context.dedicated.some((mac) => same(mac, destination)) || isFromPeer(frame, context);
  const message = discoveryIn(frame);
  if (message === undefined && ours && isUnasked(frame, ends?.source, context)) {
    return verdict("drop-unasked", "drop");
  }
  if (ours) ethernet.destination = context.clusterMac;
  const learned = message && learn(message, context);
  if (learned === "answer-request") return verdict(learned, "turn");
  return verdict(learned ?? (ours ? "take-peer" : "pass-other"), "pass", ours);
}

/** The other way to know a peer's frame: by the address that it is from (C9). */
function isFromPeer(frame: Uint8Array, { choices, ...context }: PeeringContext): boolean {
  if (choices.recognise !== "source") return false;
  const { etherType, destination } = new EthernetView(frame);
  if (etherType === ETHERTYPE_ARP || same(destination, context.clusterMac)) return false;
  const ends = endsOf(frame);
  return (
    ends !== undefined &&
    context.own(ends.destination) !== undefined &&
    context.peer(ends.source) !== undefined
  );
}

function isUnasked(
  frame: Uint8Array,
  source: Uint8Array | undefined,
  context: PeeringContext,
): boolean {
  if (!context.choices.sourceCheck || source === undefined) return false;
  const peer = peerAt(source, frame, context);
  return peer !== undefined && !context.asked.has(peer.node);
}

function learn(message: Discovery, context: PeeringContext): PeerReason | undefined {
  if (message.type === "arp" && message.question === "reply") {
    const isOurs = context.dedicated.some((mac) => same(mac, message.targetMac));
    if (isOurs) message.tellTarget(context.clusterMac);
  }
  if (!same(message.mac, context.clusterMac)) return undefined;
  const peer = peerAt(message.told, message.frame, context);
  if (peer === undefined) return undefined;
  if (message.question === "reply") {
    message.tell(peer.mac);
    return "learn-reply";
  }
  if (context.own(message.target) !== undefined) {
    context.asked.add(peer.node);
    if (!context.choices.learnFromRequests) {
      const mac = context.clusterMac;
      turnIntoAnswer(message, { from: mac, to: peer.mac, mac, asker: peer.mac });
      return "answer-request";
    }
  }
  message.tell(peer.mac);
  return "learn-request";
}

/** A frame on its way out of the stack; it is rewritten in place. */
export function depart(frame: Uint8Array, context: PeeringContext): PeerVerdict {
  if (frame.byteLength < ETHERNET_LENGTH) return verdict("pass-other");
  const ethernet = new EthernetView(frame);
  const { clusterMac } = context;
  const [known = clusterMac] = context.dedicated;
  const sources = [clusterMac, context.outsiderSource, known];
  if (!sources.some((mac) => same(mac, ethernet.source))) return verdict("pass-other");
  const message = discoveryIn(frame);
  if (message !== undefined && answerHere(message, context)) return verdict("answer-local", "turn");
  if (context.nodeOfMac(ethernet.destination) === undefined) {
    ethernet.source = context.outsiderSource;
    hideNextHop(frame, context);
    return verdict("mask-source");
  }
  ethernet.source = context.peerSource;
  return verdict(message && tellReply(message, context) ? "tell-reply" : "send-peer");
}

function answerHere(message: Discovery, context: PeeringContext): boolean {
  const { choices, clusterMac: cm } = context;
  if (!choices.localResponder || !context.informed || message.question !== "request") return false;
  if (!same(message.mac, cm) || !hasAsker(message)) return false;
  const peer = context.peer(message.target);
  if (peer === undefined || !peer.live) return false;
  turnIntoAnswer(message, { from: cm, to: cm, mac: peer.mac, asker: cm });
  return true;
}

/** A router says that the next hop is a peer: outsiders have peers at the cluster MAC. */
function hideNextHop(frame: Uint8Array, { clusterMac, nodeOfMac }: PeeringContext): void {
  const redirect = Redirect.in(frame);
  if (redirect !== undefined && nodeOfMac(redirect.mac) !== undefined) redirect.tell(clusterMac);
}

function tellReply(message: Discovery, context: PeeringContext): boolean {
  if (message.question !== "reply" || context.choices.rewrite !== "responder") return false;
  const mac = context.own(message.told);
  if (mac === undefined || !same(message.mac, context.clusterMac)) return false;
  message.tell(mac);
  if (message.type === "arp") message.tellTarget(context.clusterMac);
  return true;
}
