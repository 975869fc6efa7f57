// The packet program on one interface (B1, B2, B3, B5): loads or takes over what is there, publishes tables into
// its maps, reads its counters. The interface keeps the program and the program keeps its maps, so forwarding
// goes on when this process dies, and the next one finds everything through the interface: nothing is pinned.
import type { TableVersion } from "#base/ids.ts";
import type { Tables } from "#core/steering/tables.ts";
import { REASON_NAMES } from "./abi.gen.ts";
import {
  attach,
  detach,
  detachMask,
  preferredHooks,
  PROGRAM_NAMES,
  removeUnusedClsact,
} from "./attachment.ts";
import { CounterMaps } from "./counter-maps.ts";
import { isFirstSeen } from "./fragment-lookup.ts";
import { putMask } from "./mask.ts";
import { findNetdev, netdev, type Netdev } from "./netdev.ts";
import { Predecessor } from "./predecessor.ts";
import { LoadedObject } from "./program-loader.ts";
import {
  constants,
  counterFds,
  mapCapacities,
  sizesOf,
  tableMapFds,
  type Sizes,
} from "./program-options.ts";
import { SlotCounters, type SlotLoad } from "./slot-counters.ts";
import { TableWriter } from "./table-writer.ts";
import { testRun } from "./test-run.ts";
import type { Counters, DatapathOptions, Hook, PublishReport, TestResult } from "./types.ts";

/** Frames above this do not fit into one buffer of native XDP. */
const LARGEST_SINGLE_BUFFER_MTU = 3498;

/** @param peerLink of an arm: index of the cluster interface */
function loadOptions(device: Netdev, hook: Hook, options: DatapathOptions, peerLink = 0) {
  const multiBuffer = hook === "xdp" && device.mtu > LARGEST_SINGLE_BUFFER_MTU;
  const sizes = sizesOf(options);
  const port = [options, ...(options.arms ?? [])].find((each) => each.interface === device.name);
  const place = { self: options.self, mac: port?.mac ?? device.mac, peerLink };
  return {
    capacities: mapCapacities(sizes),
    constants: constants(place, sizes, multiBuffer),
    multiBuffer,
  };
}

/** With the predecessor's maps if all of them are as we would make them, otherwise with new ones. */
function load(
  device: Netdev,
  hook: Hook,
  options: DatapathOptions,
  predecessor: Predecessor | undefined,
): { readonly object: LoadedObject; readonly reused: boolean } {
  const anew = loadOptions(device, hook, options);
  if (predecessor === undefined || !predecessor.compatible) {
    return { object: LoadedObject.load(`steer-${hook}.o`, anew), reused: false };
  }
  const object = LoadedObject.load(`steer-${hook}.o`, {
    ...anew,
    existing: (name, shape) => predecessor.mapFd(name, shape),
  });
  if (predecessor.compatible) return { object, reused: true };
  // some map has another size: start anew with all of them, rather than with half of the old state
  object.close();
  return { object: LoadedObject.load(`steer-${hook}.o`, anew), reused: false };
}

/** With the hook that suits the interface best; otherwise with the next one. */
function withHook<T>(device: Netdev, options: DatapathOptions, open: (hook: Hook) => T): T {
  const [first, otherwise] = preferredHooks(device, options.hook ?? "auto");
  try {
    return open(first);
  } catch (error) {
    if (otherwise === undefined) throw error;
    return open(otherwise);
  }
}

interface OwnLink {
  readonly ifindex: number;
  readonly ownsClsact: boolean;
}

/** Puts a loaded program on an interface, in the place of what an earlier agent left there, and the egress program beside it. */
function put(
  device: Netdev,
  hook: Hook,
  object: LoadedObject,
  { constants: bytes }: { readonly constants: Uint8Array },
  predecessor: Predecessor | undefined,
): OwnLink {
  const { ifindex } = device;
  const made = [
    attach(device, hook, object.programFd(PROGRAM_NAMES[hook])),
    putMask(device, object, bytes),
  ];
  if (predecessor !== undefined && predecessor.hook !== hook) detach(ifindex, predecessor.hook);
  return { ifindex, ownsClsact: made.includes(true) || predecessor?.ownsClsact === true };
}

/**
 * The same program on an arm (A22): every map is the cluster interface's, so there is one set of tables, leases and counters. The
 * interface keeps it, as the cluster interface does. Frames to other nodes leave by the cluster interface.
 */
function putArm(
  device: Netdev,
  steer: LoadedObject,
  options: DatapathOptions,
  peerLink: number,
): OwnLink {
  const predecessor = Predecessor.find(device.ifindex);
  try {
    return withHook(device, options, (hook) => {
      const anew = loadOptions(device, hook, options, peerLink);
      const existing = (name: string): number => steer.mapFd(name);
      const object = LoadedObject.load(`steer-${hook}.o`, { ...anew, existing });
      try {
        return put(device, hook, object, anew, predecessor);
      } finally {
        object.close();
      }
    });
  } finally {
    predecessor?.close();
  }
}

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
  }

  /**
   * Loads the program and puts it on the interface, or replaces the one that is there and goes on with its maps.
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
    const { object, reused } = load(device, hook, options, predecessor);
    try {
      const arms = (options.arms ?? []).map((arm) => netdev(arm.interface));
      const ports = new Map([device, ...arms].map(({ name, ifindex }) => [name, ifindex]));
      const datapath = new Datapath(object, { hook, reused }, ports, sizes);
      const links = [put(device, hook, object, loadOptions(device, hook, options), predecessor)];
      datapath.#tables.state.markRevision();
      for (const arm of arms) links.push(putArm(arm, object, options, device.ifindex));
      datapath.#tables.state.clsactLinks = links.flatMap(({ ifindex, ownsClsact }) =>
        ownsClsact ? [ifindex] : [],
      );
      return datapath;
    } catch (error) {
      object.close();
      throw error;
    }
  }

  /** Removes programs, filters and (if it is ours and empty) clsact. Quiet when nothing of ours is there. */
  static teardown(interfaceName: string): void {
    const device = findNetdev(interfaceName);
    if (device === undefined) return;
    detachMask(device.ifindex);
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

  /** Of the last publish that was completed; NO_TABLES for new maps. */
  version(): TableVersion {
    return this.#tables.state.version;
  }

  /**
   * Makes the program forward by these tables; writes only what differs from what the kernel holds.
   * PAN_TABLES_OLD when that is a later version, PAN_TABLES_CAPACITY (before anything is written) when they do not fit.
   */
  publish(tables: Tables): PublishReport {
    return this.#tables.publish(tables, (index) => this.#counters.resetGroup(index));
  }

  counters(): Counters {
    return this.#counters.read(this.#tables.groupNames);
  }

  /** The name of a group by what struct held says of it; undefined when it has gone. */
  heldGroup(group: number): string | undefined {
    return this.#tables.groupNames.get(group - 1);
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
    this.#tables.close();
    this.#object.close();
  }
}
