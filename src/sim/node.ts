// One simulated machine: its kernel (packet program, connections), its disk, and the agent that runs on it, or does not. What survives
// what: a dead agent leaves kernel and disk, a restarted machine its disk, and a new disk nothing.
import type { IpAddress, MacAddress } from "#base/address.ts";
import { clusterMac } from "#base/delivery.ts";
import type { NodeId } from "#base/ids.ts";
import type { Instant } from "#base/time.ts";
import type { Effect } from "#core/node/protocol.ts";
import { tablesIn } from "./tables-bytes.ts";
import type { NodeClock } from "./clock.ts";
import type { ClusterConfig } from "./cluster-config.ts";
import type { ControlEnd } from "./control.ts";
import { Heart } from "./heart.ts";
import { MainThread } from "./main-thread.ts";
import type { Packet } from "./packet.ts";
import { PacketProgram } from "./packet-program.ts";
import { type Certificate, encodeCertificate } from "./signing.ts";
import type { World } from "./world.ts";

/** What a wall clock says at the beginning, in microseconds. */
export const FIRST_BOOT = 1_000_000n;

/** The state folder (daemon/state-folder.ts). */
export interface Disk {
  epoch: number;
  boot: bigint;
  tables: Uint8Array | undefined;
  config: ClusterConfig | undefined;
}

const emptyDisk = (): Disk => ({ epoch: 0, boot: 0n, tables: undefined, config: undefined });

export interface Agent {
  readonly heart: Heart;
  readonly main: MainThread;
  readonly serverEnd: ControlEnd;
}

export type NodeState = "running" | "frozen" | "agent-down" | "machine-down" | "paused";

export class SimNode {
  readonly id: NodeId;
  readonly address: IpAddress;
  readonly mac: MacAddress;
  readonly clock: NodeClock;
  /** Of its certificate; an operator makes it a new one when that is revoked. */
  serial: number;
  readonly #world: World;
  readonly #authority: number;
  readonly #cluster: Uint8Array;
  state: NodeState = "machine-down";
  /** What health checks find of the service on it (B7). */
  isWell = true;
  /** True time since when `state` is what it is. */
  sinceMs = 0;
  disk: Disk = emptyDisk();
  program: PacketProgram;
  agent: Agent | undefined;

  constructor(
    world: World,
    place: {
      readonly id: NodeId;
      readonly address: IpAddress;
      readonly mac: MacAddress;
      readonly clock: NodeClock;
      readonly authority: number;
      readonly cluster: Uint8Array;
    },
  ) {
    this.#world = world;
    this.id = place.id;
    this.address = place.address;
    this.mac = place.mac;
    this.clock = place.clock;
    this.serial = place.id;
    this.#authority = place.authority;
    this.#cluster = place.cluster;
    this.program = this.#freshProgram();
  }

  get now(): Instant {
    return this.clock.at(this.#world.nowMs);
  }

  /** The machine runs, so its kernel forwards, answers and refuses. */
  get isUp(): boolean {
    return this.state !== "machine-down" && this.state !== "paused";
  }

  /** Its agent runs. */
  get responds(): boolean {
    return this.state === "running";
  }

  /** Nothing keeps its threads from running. */
  get isHealthy(): boolean {
    const { agent } = this;
    return this.responds && agent !== undefined && !agent.heart.isHeld && !agent.main.tasks.isBusy;
  }

  #freshProgram(): PacketProgram {
    return new PacketProgram(this.id, this.mac, () => this.now);
  }

  #become(state: NodeState): void {
    this.state = state;
    this.sinceMs = this.#world.nowMs;
    this.#world.probes.nodeChanged(this);
  }

  /** Starts the machine where it is down, and the agent. `first`: the configuration file that an operator put there. */
  start(first: ClusterConfig): void {
    if (this.state === "machine-down") this.program = this.#freshProgram();
    const config = this.disk.config ?? first;
    const wallClock = BigInt(Math.round(this.#world.nowMs * 1000)) + FIRST_BOOT;
    const boot = this.disk.boot >= wallClock ? this.disk.boot + 1n : wallClock;
    this.disk.boot = boot;
    this.disk.config = config;
    const tables = this.disk.tables === undefined ? undefined : tablesIn(this.disk.tables);
    const main = new MainThread(this.#world, this, config, tables);
    const { version, admitted, detection, revoked } = config;
    const epochs = [this.disk.epoch, tables?.version.epoch ?? 0, this.program.version.epoch];
    const heart = new Heart(
      this.#world,
      { clock: this.clock, program: this.program },
      {
        self: { id: this.id, address: this.address, mac: this.mac },
        identity: this.#identity(boot),
        epoch: Math.max(...epochs),
        config: version,
        ...{ admitted, detection, revoked },
      },
      (event) => main.fromHeart(event),
    );
    this.agent = { heart, main, serverEnd: main.serverEnd };
    this.#world.viewsChanged();
    this.#become("running");
    main.open(heart);
  }

  #identity(boot: bigint): Heart["identity"] {
    const { id, address, serial } = this;
    const certificate: Certificate = { authority: this.#authority, serial, id, address };
    const certificateBytes = encodeCertificate(certificate);
    return { certificate, certificateBytes, cluster: this.#cluster, boot };
  }

  arrive(packet: Packet): void {
    if (!this.isUp) return;
    if (this.agent === undefined) return this.#world.nobodyListens(this, packet);
    this.agent.heart.arrive(packet);
  }

  /** Health checks come to another finding. */
  checksFind(isWell: boolean): void {
    this.isWell = isWell;
    this.agent?.main.tasks.post(() => this.agent?.main.instance.found(isWell));
  }

  /** Says goodbye; `agentEnded` follows. */
  leave(): void {
    this.agent?.heart.order({ type: "leave" });
  }

  /** The process is gone; the kernel goes on. */
  agentEnded(): void {
    const { agent } = this;
    if (agent === undefined) return;
    this.agent = undefined;
    this.#world.viewsChanged();
    agent.heart.stop();
    agent.main.close(this.isUp);
    if (this.isUp) this.#become("agent-down");
  }

  /** It is no node of the cluster any more, so it answers for nothing and ends (daemon/rollout.ts). */
  agentOut(): void {
    this.program.answers = [];
    this.program.leaseUntilMs = 0;
    this.agentEnded();
  }

  /** Power failure. */
  crash(): void {
    this.state = "machine-down";
    this.isWell = true;
    this.agentEnded();
    for (const key of this.program.connections.keys()) this.program.forget(key);
    this.#become("machine-down");
  }

  loseDisk(): void {
    this.disk = emptyDisk();
  }

  /** SIGSTOP, or a hypervisor that stops the whole machine. */
  freeze(what: "frozen" | "paused"): void {
    this.agent?.heart.holdUntil(Number.POSITIVE_INFINITY);
    this.agent?.main.tasks.busyUntil(Number.POSITIVE_INFINITY);
    this.#become(what);
  }

  thaw(): void {
    this.#become("running");
    this.agent?.main.tasks.busyUntil(this.#world.nowMs);
    this.agent?.heart.holdUntil(this.#world.nowMs);
  }

  placeVips({ answered, delivery }: Extract<Effect, { type: "place-vips" }>): void {
    const { method, primary } = delivery;
    if (method !== "forward" && primary !== undefined) {
      this.program.listensTo.add(clusterMac(method, primary));
    }
    this.program.answers = answered;
    this.program.changes += 1;
  }

  announce({ vips, delivery }: Extract<Effect, { type: "announce-vips" }>): void {
    this.#world.probes.announced(this, vips, delivery);
  }
}
