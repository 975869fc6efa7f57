// The packet program on one interface (B1, B2, B3, B5): loads or takes over what is there, publishes tables into
// its maps, reads its counters. The interface keeps the program and the program keeps its maps, so forwarding
// goes on when this process dies, and the next one finds everything through the interface: nothing is pinned.
import type { TableVersion } from "#base/ids.ts";
import type { Connection } from "#core/steering/former-slots.ts";
import type { Tables } from "#core/steering/tables.ts";
import { REASON_NAMES } from "./abi.gen.ts";
import {
  detach,
  detachMask,
  detachPeers,
  detachSession,
  PROGRAM_NAMES,
  removeUnusedClsact,
} from "./attachment.ts";
import { CounterMaps } from "./counter-maps.ts";
import { isFirstSeen } from "./fragment-lookup.ts";
import { findNetdev, netdev, type Netdev } from "./netdev.ts";
import { loadSteer, putArm, putSteer, withHook } from "./placement.ts";
import { Predecessor } from "./predecessor.ts";
import type { LoadedObject } from "./program-loader.ts";
import { listSessions } from "./udp-sessions.ts";
import { NodePathMap, type NodePaths } from "./node-paths.ts";
import {
  counterFds,
  nodePathEntries,
  sizesOf,
  tableMapFds,
  type Sizes,
} from "./program-options.ts";
import { SlotCounters, type SlotLoad } from "./slot-counters.ts";
import type { OtherPorts } from "./table-plan.ts";
import { TableWriter } from "./table-writer.ts";
import type { NodeTunnel } from "./tunnel-map.ts";
import { testRun } from "./test-run.ts";
import type { Counters, DatapathOptions, Hook, PublishReport, TestResult } from "./types.ts";
import { orUndo, Undo } from "./undo.ts";

export class Datapath {
  readonly hook: Hook;
  /** Index of each interface that has the program, by name. */
  readonly ports: ReadonlyMap<string, number>;
  /** False: the maps were new (or of another layout), so nothing is forwarded until publish(). */
  readonly reused: boolean;
  readonly #object: LoadedObject;
  readonly #tables: TableWriter;
  readonly #counters: CounterMaps;
  readonly #slotCounters: SlotCounters;
  readonly #heldSize: number;
  readonly #nodePaths: NodePathMap;
  #published: Tables | undefined;

  private constructor(
    object: LoadedObject,
    found: { readonly hook: Hook; readonly reused: boolean },
    ports: ReadonlyMap<string, number>,
    sizes: Sizes,
  ) {
    this.hook = found.hook;
    this.ports = ports;
    this.reused = found.reused;
    this.#object = object;
    this.#tables = new TableWriter(tableMapFds(object), sizes);
    this.#counters = new CounterMaps(counterFds(object));
    this.#slotCounters = new SlotCounters(object.mapFd("slot_counters"), sizes.slots);
    this.#heldSize = sizes.held;
    this.#nodePaths = new NodePathMap(object.mapFd("node_paths"), nodePathEntries(sizes));
    this.#nodePaths.clear(); // what works is found out anew
  }

  /**
   * Loads the program and puts it on the interfaces, or replaces the one that is there and goes on with its maps. When that
   * fails on one of them, all are left as they were.
   * PAN_INTERFACE_MISSING, PAN_NO_LIBBPF, PAN_NO_BPF (no permission, verifier, another XDP program).
   */
  static open(options: DatapathOptions): Datapath {
    const device = netdev(options.interface);
    const predecessor = Predecessor.find(device.ifindex);
    try {
      return withHook(device, options, (hook) =>
        Datapath.#openAt(device, hook, options, predecessor),
      );
    } finally {
      predecessor?.close();
    }
  }

  static #openAt(
    device: Netdev,
    hook: Hook,
    options: DatapathOptions,
    predecessor: Predecessor | undefined,
  ): Datapath {
    const sizes = sizesOf(options);
    const arms = (options.arms ?? []).map((arm) => netdev(arm.interface));
    const ports = new Map([device, ...arms].map(({ name, ifindex }) => [name, ifindex]));
    const { object, reused } = loadSteer(device, hook, options, predecessor);
    const undo = new Undo();
    try {
      const datapath = new Datapath(object, { hook, reused }, ports, sizes);
      orUndo(undo, () => {
        const links = [putSteer({ device, hook, object, options }, predecessor, undo)];
        datapath.#tables.state.markRevision();
        for (const arm of arms) {
          links.push(putArm({ device: arm, object, options, peerLink: device.ifindex }, undo));
        }
        if (options.peering !== true) for (const { ifindex } of links) detachPeers(ifindex);
        datapath.#tables.state.clsactLinks = links.flatMap(({ ifindex, ownsClsact }) =>
          ownsClsact ? [ifindex] : [],
        );
      });
      return datapath;
    } catch (error) {
      object.close();
      throw error;
    } finally {
      undo.close();
    }
  }

  /** Removes programs, filters and (if it is ours and empty) clsact. Quiet when nothing of ours is there. */
  static teardown(interfaceName: string): void {
    const device = findNetdev(interfaceName);
    if (device === undefined) return;
    detachPeers(device.ifindex);
    detachMask(device.ifindex);
    // What a server of sessions left that was killed: it guards its connections until then (A16).
    detachSession(device.ifindex);
    for (;;) {
      const found = Predecessor.find(device.ifindex);
      if (found === undefined) return;
      try {
        detach(device.ifindex, found.hook);
        if (found.ownsClsact) removeUnusedClsact(device.ifindex);
      } finally {
        found.close();
      }
    }
  }

  /** For new AnswerLease(stateFd), also in a worker thread, while this Datapath is open. */
  get stateFd(): number {
    return this.#object.mapFd(".data.state");
  }

  /** Map own_addresses, which the peering programs have as well. */
  get ownAddressesFd(): number {
    return this.#object.mapFd("own_addresses");
  }

  /** Of the last publish that was completed; NO_TABLES for new maps. */
  version(): TableVersion {
    return this.#tables.state.version;
  }

  /**
   * Makes the program forward by these tables; writes only what differs from what the kernel holds.
   * PAN_TABLES_OLD when that is a later version, PAN_TABLES_CAPACITY (before anything is written) when they do not fit.
   */
  publish(tables: Tables): PublishReport {
    const report = this.#tables.publish(tables, (index) => this.#counters.resetGroup(index));
    this.#published = tables;
    return report;
  }

  /** On which other ports this node serves TCP services, by group (B7). At once, for the tables that are published. */
  serveElsewhere(ports: OtherPorts): void {
    const before = this.#tables.otherPorts;
    const isSame =
      before.size === ports.size && [...ports].every(([name, port]) => before.get(name) === port);
    if (isSame) return;
    this.#tables.otherPorts = ports;
    if (this.#published !== undefined) this.publish(this.#published);
  }

  /** Over which private paths frames to a node go from now on (B11). */
  setPaths(paths: NodePaths): void {
    this.#nodePaths.set(paths);
  }

  /** These nodes, and no others, are reached by encapsulation (B11). Parameters as of TunnelMap.set. */
  setTunnels(tunnels: readonly NodeTunnel[], address: Uint8Array, clamped: boolean): void {
    this.#tables.tunnels.set(tunnels, address, clamped);
  }

  counters(): Counters {
    return this.#counters.read(this.#tables.groupNames);
  }

  /** The name of a group by what struct held says of it; undefined when it has gone. */
  heldGroup(group: number): string | undefined {
    return this.#tables.groupNames.get(group - 1);
  }

  /** UDP sessions that this node serves, of groups that pin them (B12). */
  sessions(): Connection[] {
    return listSessions(this.#object.mapFd("udp_sessions"), process.hrtime.bigint());
  }

  /** The ring buffer of frames that wait (struct held), and its size in bytes. */
  get held(): { readonly fd: number; readonly size: number } {
    return { fd: this.#object.mapFd("held"), size: this.#heldSize };
  }

  /** Whether the first fragment of a frame that waits has come by: then the program knows where the frame belongs. */
  isFirstFragmentSeen(frame: Uint8Array): boolean {
    return isFirstSeen(this.#object.mapFd("fragments"), frame);
  }

  /** Counts what this node takes, slot by slot, from now on or no more (A8). */
  measureSlots(on: boolean): void {
    this.#tables.state.slotsMeasured = on;
  }

  /** By group name: what this node has taken since the last call. */
  slotCounters(): ReadonlyMap<string, SlotLoad> {
    return this.#slotCounters.read(this.#tables.regions);
  }

  /** Runs the program once over a frame, without the network; for tests and `pan trace`. */
  testRun(frame: Uint8Array): TestResult {
    const before = this.counters().reasons;
    const result = testRun(this.#object.programFd(PROGRAM_NAMES[this.hook]), frame);
    const after = this.counters().reasons;
    const reason = REASON_NAMES.find((name) => after[name].packets > before[name].packets);
    return { ...result, reason: reason ?? "drop-no-neighbour" };
  }

  /** Lets go of it; forwarding continues. */
  close(): void {
    this.#slotCounters.close();
    this.#nodePaths.close();
    this.#tables.close();
    this.#object.close();
  }
}
