// The source MAC of a frame that a node forwards: 06:50:4e:HH:II:II, HH = how many times the frame has been forwarded,
// II:II = the forwarding node. Locally administered, unicast. It keeps switches from learning the client's address on
// a node's port, and tells the receiver that a peer sent the frame (docs/walks/a-packet-arrives.md).
import type { NodeId } from "#base/ids.ts";

export const MAX_HOP = 4;
const PREFIX = [0x06, 0x50, 0x4e] as const;

/** 1 … 4 for a frame that a node forwarded; 0 for all others. */
export function hopOf(sourceMac: Uint8Array): number {
  for (let at = 0; at < PREFIX.length; at++) if (sourceMac[at] !== PREFIX[at]) return 0;
  const hop = sourceMac[3] ?? 0;
  return hop <= MAX_HOP ? hop : 0;
}

/** The node that forwarded a frame with a hop. */
export const senderOf = (sourceMac: Uint8Array): NodeId =>
  (((sourceMac[4] ?? 0) << 8) | (sourceMac[5] ?? 0)) as NodeId;

export const hopMac = (hop: number, node: number): Uint8Array =>
  Uint8Array.of(...PREFIX, hop, node >>> 8, node & 0xff);
