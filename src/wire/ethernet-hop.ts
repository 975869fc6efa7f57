// The source MAC of a frame that a node forwards: 06:50:4e:HH:II:II. The lower three bits of HH say how many times the frame has been
// forwarded, the upper five which nodes have been asked about its connection in vain; II:II is the forwarding node. Locally administered,
// unicast. It keeps switches from learning the client's address on a node's port, and tells the receiver that a peer sent the frame
// (docs/walks/a-packet-arrives.md).
import type { NodeId } from "#base/ids.ts";

export const MAX_HOP = 7;
/** Nodes with the same remainder share a bit; so up to five nodes are told apart. */
const ASKED_BITS = 5;
const HOP_BITS = 3;
const PREFIX = [0x06, 0x50, 0x4e] as const;

/** What a node forwarded: how often the frame has been forwarded, and who has been asked (askedBit). */
export interface Way {
  /** 1 … MAX_HOP; 0 for all other frames. */
  readonly hop: number;
  readonly asked: number;
}

export const FROM_OUTSIDE: Way = { hop: 0, asked: 0 };

/** @param at where the source MAC begins in these bytes */
export function wayOf(bytes: Uint8Array, at = 0): Way {
  for (let i = 0; i < PREFIX.length; i++) if (bytes[at + i] !== PREFIX[i]) return FROM_OUTSIDE;
  const way = bytes[at + 3] ?? 0;
  const hop = way & MAX_HOP;
  return hop === 0 ? FROM_OUTSIDE : { hop, asked: way >> HOP_BITS };
}

export const askedBit = (node: number): number => 1 << (node % ASKED_BITS);

/** The node that forwarded a frame with a hop. */
export const senderOf = (bytes: Uint8Array, at = 0): NodeId =>
  (((bytes[at + 4] ?? 0) << 8) | (bytes[at + 5] ?? 0)) as NodeId;

/** Byte HH. */
export const wayByte = ({ hop, asked }: Way): number => (asked << HOP_BITS) | hop;

/** @param way byte HH */
export const hopMacOf = (way: number, node: number): Uint8Array =>
  Uint8Array.of(...PREFIX, way, node >>> 8, node & 0xff);

export const hopMac = (way: Way, node: number): Uint8Array => hopMacOf(wayByte(way), node);
