// The packet program on one interface (B1, B2, B3, B5): loads or takes over what is there, publishes tables into
// its maps, reads its counters. The interface keeps the program and the program keeps its maps, so forwarding
// goes on when this process dies, and the next one finds everything through the interface: nothing is pinned.
import type { TableVersion } from "#base/ids.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { Counters, DatapathOptions, Hook, PublishReport, TestResult } from "./types.ts";

export declare class Datapath {
  /** Loads the program, or replaces the one already attached and goes on with its maps. PAN_NO_BPF, PAN_INTERFACE_MISSING. */
  static open(options: DatapathOptions): Datapath;
  /** Removes program, filter and (if ours and empty) clsact from an interface. Quiet when nothing is there. */
  static teardown(interfaceName: string): void;
  readonly hook: Hook;
  readonly ifindex: number;
  /** For new AnswerLease(stateFd), also in a worker thread, while this Datapath is open. */
  readonly stateFd: number;
  /** False: the maps were new (or of another layout), so nothing is forwarded until publish(). */
  readonly reused: boolean;
  /** Of the last complete publish; NO_TABLES for new maps. */
  version(): TableVersion;
  /** Writes what differs. PAN_TABLES_OLD when the kernel holds a later version, PAN_TABLES_CAPACITY when it cannot hold them. */
  publish(tables: Tables): PublishReport;
  counters(): Counters;
  /** Runs the program once over a frame, without the network. */
  testRun(frame: Uint8Array, hook?: Hook): TestResult;
  /** Lets go of it; forwarding continues. */
  close(): void;
}
