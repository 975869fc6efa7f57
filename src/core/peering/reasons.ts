// What the peering programs did with a frame: one reason each, counted under these names, in the order of enum
// peer_reason in bpf/peer-abi.h.

export const PEER_REASONS = [
  "pass-other", // nothing to do
  // into the stack
  "take-peer", // to this node's dedicated MAC, which became the cluster MAC (C9)
  "learn-request", // a peer asked: the stack learns its dedicated MAC (row 610)
  "learn-reply", // a peer answered or told: likewise (row 640)
  "answer-request", // a peer asked, and the stack is not to learn it: answered here (C10)
  "drop-not-ours", // came to the shared MAC, for another member (C11)
  "drop-unasked", // of a peer that never asked for this node (C15)
  // out of the stack
  "mask-source", // to outsiders: from the address that they may know
  "send-peer", // to a peer's dedicated MAC
  "tell-reply", // the same, with this node's dedicated MAC in the reply (row 630)
  "answer-local", // asked for a live member: answered here (C13)
] as const;
export type PeerReason = (typeof PEER_REASONS)[number];
