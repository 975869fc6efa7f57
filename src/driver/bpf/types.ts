// What the packet program's driver offers to the daemon: types only, see datapath.ts for the class.
import type { MacAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { Reason } from "#core/steering/reasons.ts";

/** Where in the kernel the program runs. */
export type Hook = "xdp" | "tc";

/** An interface with the packet program. */
export interface Port {
  /** Name in the calling thread's network namespace, such as "eth0". */
  readonly interface: string;
  /** This node's MAC on that interface. Default: the interface's own. */
  readonly mac?: MacAddress;
}

export interface DatapathOptions extends Port {
  /** More interfaces with the same program, tables and counters (A22). At most 7. */
  readonly arms?: readonly Port[];
  /** How many of the last arms are private paths, over which frames to other nodes are spread (B11). Default 0. */
  readonly paths?: number;
  /** auto: native XDP where the driver has it, tc on veth and wherever XDP would only be generic. Default auto. */
  readonly hook?: Hook | "auto";
  readonly self: NodeId;
  /** The interfaces have the cluster MAC, and the peering programs come behind this one (C1). Default: no. */
  readonly peering?: boolean;
  /** Slots of all groups together; a multiple of 4. Default 262 144 (4.5 MB of kernel memory). */
  readonly slotCapacity?: number;
  /** Entries in tables 1 and 2 together. Default 16 384. */
  readonly serviceCapacity?: number;
  /** Service groups. Default 4096. */
  readonly groupCapacity?: number;
  /** UDP sessions noted at once, of groups that pin them; the least recently used one goes first. Default 32 768 (3.5 MB). */
  readonly sessionCapacity?: number;
  /** First fragments remembered at once; the least recently used one goes first. Default 4096. */
  readonly fragmentCapacity?: number;
  /** Bytes for frames that wait for the agent; a power of two, of pages. Default 1 MiB: 500 of the longest, 4000 short ones. */
  readonly heldCapacity?: number;
}

export interface Count {
  readonly packets: number;
  /** Of whole frames, Ethernet header included. */
  readonly bytes: number;
}

/** Totals since the maps were made; they survive the agent. */
export interface Counters {
  readonly reasons: Readonly<Record<Reason, Count>>;
  /** Frames sent on, by the node they went to. Nodes without frames are absent. */
  readonly nodes: ReadonlyMap<NodeId, Count>;
  /** Frames to a group's services that were passed to this node or sent on, by group name. */
  readonly groups: ReadonlyMap<string, Count>;
}

/** What one publish() wrote. All zero: the kernel held these tables already. */
export interface PublishReport {
  readonly nodes: number;
  readonly slots: number;
  readonly services: number;
  readonly vips: number;
  readonly exceptions: number;
}

/** For tests and tools: what the program did with one frame. */
export interface TestResult {
  readonly reason: Reason;
  /** The program's return value: XDP_PASS 2, XDP_TX 3 …; TC_ACT_OK 0, TC_ACT_SHOT 2, TC_ACT_REDIRECT 7. */
  readonly returned: number;
  readonly bytes: Uint8Array;
}
