// Frames by which a MAC is where it must not be (C8), as PEER_LEAK_… in bpf/peer-abi.h. They are counted beside the reason, and
// change nothing of what is done.

export const PEER_LEAKS = [
  "cluster-source", // from the cluster MAC, which switches must never learn
  "own-source", // a discovery message from one of this node's own MACs
  "outsider", // to this node's dedicated MAC, from who is no member and so must not know it
] as const;
export type PeerLeak = (typeof PEER_LEAKS)[number];
