// The path of one frame through a node: parse, announce, admit, classify, lookup, hash, own, emit. The model of
// bpf/steer.bpf.c; docs/walks/a-packet-arrives.md tells the same story in words.
import type { NodeId } from "#base/ids.ts";
import type { FragmentMemory } from "./fragments.ts";
import type { IndexedTables } from "./indexed-tables.ts";
import type { Reason } from "./reasons.ts";
import type { Protocol } from "./tables.ts";

/** A flow as its server sees it: the source is the client, the destination the VIP. Addresses in network order. */
export interface Flow {
  readonly protocol: Protocol;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface PipelineContext {
  readonly tables: IndexedTables;
  readonly self: NodeId;
  /** Six bytes. */
  readonly mac: Uint8Array;
  /** This node is the interface node of the VIPs and its lease has not run out. */
  readonly leased: boolean;
  /** This node's own TCP table knows the connection. */
  knows(flow: Flow): boolean;
  readonly fragments: FragmentMemory;
}

export type Verdict =
  | { readonly action: "pass"; readonly reason: Reason }
  | { readonly action: "drop"; readonly reason: Reason }
  | {
      readonly action: "forward";
      readonly reason: Reason;
      /** Whom the frame goes to. Its two MAC addresses have been rewritten in place. */
      readonly node: NodeId;
      /** 1 … 4, now in the source MAC. */
      readonly hop: number;
    };
