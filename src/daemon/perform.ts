// The one list of what the controller's decisions do to the world, and what happens when the world refuses: the agent
// says so, goes on, and tries again where that makes sense.
import type { Logger } from "pino";
import type { IpAddress, MacAddress } from "#base/address.ts";
import { clusterMac, FLOODED_METHODS, igmpGroup } from "#base/delivery.ts";
import { PanError } from "#base/error-codes.ts";
import type { TableVersion } from "#base/ids.ts";
import type { Effect } from "#core/node/protocol.ts";
import type { Delivery, Tables } from "#core/steering/tables.ts";
import type { Datapath } from "#driver/bpf/datapath.ts";
import type { Change, DesiredHost, HostState } from "#driver/host/host-state.ts";
import { NO_MACS, type DesiredMacs } from "#driver/host/receive-filter.ts";
import type { Segments } from "#driver/host/segments.ts";
import type { SwitchProbe } from "#driver/host/switch-probe.ts";
import type { Followers } from "./followers.ts";
import type { Following } from "./following.ts";
import type { HeartCommand } from "./heart-protocol.ts";
import type { Peers } from "./peers.ts";
import type { PrivatePaths } from "./paths/private-paths.ts";
import type { StateFolder } from "./state-folder.ts";
import type { Trouble } from "./trouble.ts";
import type { NodeTunnels } from "./tunnels/node-tunnels.ts";

export interface World {
  /** The node's dedicated address. */
  readonly address: IpAddress;
  readonly datapath: Datapath;
  readonly host: HostState;
  /** No agent was on this host before. */
  readonly isFirst: boolean;
  readonly segments: Segments;
  readonly followers: Followers;
  readonly following: Following;
  readonly paths: PrivatePaths;
  readonly tunnels: NodeTunnels;
  /** Goes by what the configuration says of sorry servers (B7). */
  readonly servePorts: () => void;
  readonly state: StateFolder;
  readonly heart: (command: HeartCommand) => void;
  /** The packet program forwards by them now. */
  readonly tablesInForce: (tables: Tables) => void;
  /** Where members share one MAC (part C). */
  readonly peers?: Peers | undefined;
  /** Asks members what reaches them, and answers when they ask. */
  readonly probe: SwitchProbe;
  readonly ownMacs?: (() => OwnMacs) | undefined;
}

/** Where members share one MAC (part C). */
export interface OwnMacs {
  /** The interfaces have it already. */
  readonly linkMac: MacAddress;
  /** Dedicated MACs of this node, that peers send to. */
  readonly dedicated: readonly MacAddress[];
}

/** What of the world effects reach. */
export interface Surroundings {
  readonly ownMacs?: (() => OwnMacs) | undefined;
  readonly address: IpAddress;
  readonly datapath: Pick<Datapath, "publish">;
  readonly host: Pick<HostState, "apply">;
  readonly segments: Pick<Segments, "announce" | "report" | "join">;
  readonly followers: Pick<Followers, "sendTables">;
  readonly following: Pick<Following, "send" | "follow" | "stop">;
  readonly state: Pick<StateFolder, "saveTables">;
  readonly heart: (command: HeartCommand) => void;
  readonly tablesInForce: (tables: Tables) => void;
}

type Placement = Extract<Effect, { type: "place-vips" }>;

const SAVE_AFTER_MS = 50;

export class Performer {
  readonly #world: Surroundings;
  readonly #log: Pick<Logger, "info" | "warn">;
  readonly #trouble: Trouble;
  /** Where the VIPs belong; repair() sees to it that they are there. */
  #placement: Placement | undefined;
  #withdrawn = false;
  /** True while they are not there, or while a cluster MAC is not listened to. */
  #misplaced = false;
  /** The newest tables, while the packet program does not have them. */
  #unpublished: Tables | undefined;
  /** In force, and not on the disk yet. */
  #unsaved: Tables | undefined;
  /** Tables that the master waits for. */
  #owed: TableVersion | undefined;

  constructor(world: Surroundings, log: Pick<Logger, "info" | "warn">, trouble: Trouble) {
    this.#world = world;
    this.#log = log;
    this.#trouble = trouble;
  }

  /** At the start. Throws: a host that refuses is no host for an agent. Tables of an agent that was killed may be newer. */
  open(effects: readonly Effect[]): void {
    for (const effect of effects) {
      try {
        this.#perform(effect);
      } catch (error) {
        if (!(error instanceof PanError && error.code === "PAN_TABLES_OLD")) throw error;
        this.#unpublished = undefined;
        this.#log.info({ reason: error.message }, "the packet program keeps its newer tables");
      }
    }
  }

  /** An effect that fails does not keep back the others. */
  perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#trouble.guard(effect.type, () => this.#perform(effect));
  }

  /**
   * For a node that is out of the cluster: it answers for no VIP, whatever is decided from now on. The VIPs stay
   * on its loopback, where connections that it still has come to their end; `pan agent --teardown` removes them.
   */
  withdraw(): void {
    const placement = this.#placement;
    this.#withdrawn = true;
    this.#placement = undefined;
    if (placement === undefined) return;
    this.#trouble.guard("place-vips", () =>
      this.#world.host.apply({ ...this.#desiredHost(placement), answered: [] }),
    );
  }

  /** Puts back what others have taken away, and what could not be done before. To be called every few seconds. */
  repair(): void {
    const placement = this.#placement;
    if (placement !== undefined) {
      this.#trouble.guard("place-vips", () => {
        const changes = this.#place(placement);
        if (changes.length > 0) this.#log.warn({ changes: changes.map(inWords) }, "repaired");
      });
    }
    const tables = this.#unpublished;
    if (tables !== undefined) {
      this.#trouble.guard("install-tables", () => this.#publish(tables));
    }
    this.#acknowledge();
  }

  #place(placement: Placement): Change[] {
    this.#misplaced = true;
    const { method, primary } = placement.delivery;
    const changes = this.#world.host.apply(this.#desiredHost(placement));
    if (method === "igmp" && primary !== undefined) this.#world.segments.join(igmpGroup(primary));
    this.#misplaced = false;
    return changes;
  }

  #desiredHost({ vips, answered, delivery }: Placement): DesiredHost {
    const macs = desiredMacs(delivery, this.#world.ownMacs?.());
    return { vips, answered, macs };
  }

  /** Not what this node does not go by, nor before it hears what it will be sent: the master would count on it. */
  #acknowledge(): void {
    const version = this.#owed;
    if (version === undefined || this.#misplaced || this.#unpublished !== undefined) return;
    this.#owed = undefined;
    this.#world.following.send({ type: "tables-ack", version });
  }

  #perform(effect: Effect): void {
    const world = this.#world;
    switch (effect.type) {
      case "place-vips":
        if (this.#withdrawn) return;
        this.#placement = effect;
        this.#place(effect);
        return;
      case "announce-vips":
        world.segments.announce(effect.vips, toldMac(effect.delivery));
        return;
      case "report-group":
        world.segments.report(effect.group, world.address);
        return;
      case "install-tables":
        this.#publish(effect.tables);
        return;
      case "replicate-tables":
        world.followers.sendTables(effect.tables, (id) => !effect.withheld.includes(id));
        return;
      case "release-tables":
        world.followers.sendTables(effect.tables, (id) => effect.to.includes(id));
        return;
      case "acknowledge-tables":
        this.#owed = effect.version;
        this.#acknowledge();
        return;
      case "follow":
        if (effect.master === undefined) world.following.stop();
        else world.following.follow(effect.master);
        return;
    }
  }

  #publish(tables: Tables): void {
    this.#unpublished = tables;
    this.#world.datapath.publish(tables);
    this.#unpublished = undefined;
    this.#world.heart({ type: "tables-published", version: tables.version });
    this.#world.tablesInForce(tables);
    this.#saveSoon(tables);
  }

  /** Off the path of a failover or a change: the disk can wait until the other members have used the processor for it, too. */
  #saveSoon(tables: Tables): void {
    const isWaiting = this.#unsaved !== undefined;
    this.#unsaved = tables;
    if (!isWaiting) setTimeout(() => this.save(), SAVE_AFTER_MS).unref();
  }

  /** What is in force and not on the disk yet; also to be called at the end. */
  save(): void {
    const tables = this.#unsaved;
    if (tables === undefined) return;
    this.#unsaved = undefined;
    this.#trouble.guard("save tables", () => this.#world.state.saveTables(tables));
  }
}

/** The MAC that clients are told, unless it is the interface node's own (undefined). */
export function toldMac({ method, primary }: Delivery): MacAddress | undefined {
  return method === "forward" || primary === undefined ? undefined : clusterMac(method, primary);
}

/** Clients may remember any of the three for as long as they are the cluster's. */
function desiredMacs(delivery: Delivery, own: OwnMacs | undefined): DesiredMacs {
  const { primary } = delivery;
  const dedicated = own?.dedicated ?? [];
  if (primary === undefined) return { ...NO_MACS, listen: dedicated };
  const told = toldMac(delivery);
  return {
    listen: told === undefined || told === own?.linkMac ? dedicated : [told, ...dedicated],
    keep: FLOODED_METHODS.map((method) => clusterMac(method, primary)),
  };
}

/** How a change of the host is shown to operators. */
export const inWords = (change: Change): string => {
  switch (change.type) {
    case "link-mac":
      return `gave ${change.device} the MAC ${change.mac}`;
    case "address-added":
      return `added ${change.address} to ${change.device}`;
    case "address-removed":
      return `removed ${change.address} from ${change.device}`;
    case "mac-added":
      return `made ${change.device} listen to ${change.mac}`;
    case "mac-removed":
      return `made ${change.device} listen to ${change.mac} no more`;
    case "sysctl-changed":
      return `${change.device} ${change.name} is ${change.after}`;
  }
};
