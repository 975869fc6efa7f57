// The composition root on virtual time: one queue of events, one network, the machines on it, and whoever looks on. Everything
// random comes from the run's seed, in streams of its own for the network, the nodes and each workload.
import { ip, mac, type IpAddress } from "#base/address.ts";
import { EventQueue } from "#base/event-queue.ts";
import { type NodeId, nodeId } from "#base/ids.ts";
import { Prng } from "#base/prng.ts";
import type { AdmittedNode } from "#core/membership/protocol.ts";
import type { ClientFrame } from "./client-frame.ts";
import { NodeClock } from "./clock.ts";
import type { ClusterConfig } from "./cluster-config.ts";
import { FAIR, Network } from "./network.ts";
import { SimNode } from "./node.ts";
import { type Observer, type Probes, probesOf } from "./probes.ts";
import type { Packet } from "./packet.ts";
import { Transcript } from "./transcript.ts";
import { Violation } from "./violation.ts";
import type { ShiftingLoad } from "./workloads/shifting-load.ts";

export const SAMPLE_MS = 50;
/** Of one node in a second; a busy one needs a tenth of it. */
const MOST_EVENTS = 20_000;
const AUTHORITY = 0xca;
const CLUSTER = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
/** What the transcript counts as, besides the lengths of words. */
const [ROUTINE, ARRIVED] = [3, 1];
/** Clocks of real machines are not further apart in speed. */
const WORST_DRIFT = 500e-6;

export interface WorldSettings {
  readonly seed: number;
  readonly nodes: number;
  readonly config: (admitted: readonly AdmittedNode[]) => ClusterConfig;
}

export const addressOf = (id: number): IpAddress => ip(`10.0.${id >> 8}.${id & 255}`);
const byte = (value: number): string => value.toString(16).padStart(2, "0");
const macOf = (id: number): ReturnType<typeof mac> =>
  mac(`02:00:00:00:${byte(id >> 8)}:${byte(id & 255)}`);

export class World {
  readonly queue = new EventQueue();
  readonly transcript = new Transcript();
  readonly network: Network;
  readonly nodes: readonly SimNode[];
  readonly config: ClusterConfig;
  /** Of what happens inside nodes and control connections. */
  readonly prng: Prng;
  probes: Probes = probesOf([]);
  /** Of a group that is balanced by measured load, where a run has one. */
  load: ShiftingLoad | undefined;
  /** A frame that a node held goes on from there; whoever sends frames says how. */
  sendOn: (from: SimNode, frame: ClientFrame, to: NodeId) => void = () => {};
  nowMs = 0;
  readonly #byAddress: ReadonlyMap<string, SimNode>;
  /** Undefined: to be looked for. */
  #masters: readonly SimNode[] | undefined;
  #second = 0;
  #thisSecond = 0;

  constructor(settings: WorldSettings) {
    const { seed, nodes: size } = settings;
    this.prng = new Prng(seed);
    const clocks = new Prng(seed ^ 0x10c4);
    this.network = new Network(size, new Prng(seed ^ 0x4e7), this.queue, (to, packet) =>
      this.#arrived(to, packet),
    );
    this.nodes = Array.from({ length: size }, (_, index) => {
      const id = nodeId(index + 1);
      const drift = (clocks.uint32() / 2 ** 31 - 1) * WORST_DRIFT;
      const clock = new NodeClock(1000 + clocks.below(10_000_000), 1 + drift);
      const place = { id, address: addressOf(id), mac: macOf(id), clock };
      return new SimNode(this, { ...place, authority: AUTHORITY, cluster: CLUSTER });
    });
    this.#byAddress = new Map(this.nodes.map((node) => [node.address, node]));
    this.config = settings.config(
      this.nodes.map(({ id, address }) => ({ id, name: `n${id}`, address })),
    );
  }

  observe(observers: readonly Observer[]): void {
    this.probes = probesOf([this.#recorder(), ...observers]);
    const tick = (): void => {
      this.probes.sample();
      this.queue.add(this.nowMs + SAMPLE_MS, tick);
    };
    this.queue.add(this.nowMs + SAMPLE_MS, tick);
  }

  /** What goes into the transcript whatever is checked. */
  #recorder(): Observer {
    const note = (node: number, what: string, detail?: unknown): void =>
      this.transcript.note(this.nowMs, node, what, detail);
    return {
      decided: (heart, event) => note(heart.id, event.type, event),
      sent: (heart, to, message) => {
        const isRoutine = message.type.endsWith("keepalive") || message.type === "probe";
        if (isRoutine) this.transcript.count(this.nowMs, heart.id, ROUTINE);
        else note(heart.id, `sends to ${to}:`, message);
      },
      installed: (node, { version, groups }) =>
        note(node.id, "installs tables", () => ({ version, owners: groups[0]?.owners.join() })),
      tablesRefused: (id, { version }) => note(id, "kernel keeps its tables, not", version),
      tablesWanted: ({ id }) => note(id, "asks for all of the tables"),
      nodeChanged: (node) => note(node.id, `is ${node.state}`),
      announced: (node, vips, { method }) =>
        note(node.id, `announces ${vips.join()} at the MAC of`, method),
      fault: (what, detail) => note(0, what, detail),
    };
  }

  node(id: number): SimNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new RangeError(`there is no node ${id}`);
    return node;
  }

  at(address: IpAddress): SimNode | undefined {
    return this.#byAddress.get(address);
  }

  in(delayMs: number, run: () => void): void {
    this.queue.add(this.nowMs + delayMs, run);
  }

  runUntil(endMs: number): void {
    for (;;) {
      const atMs = this.queue.nextAtMs;
      if (atMs === undefined || atMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, atMs);
      this.#count();
      this.queue.take()?.run();
    }
    this.nowMs = endMs;
  }

  /** A deadline that is met and stays in the past is met again and again: an agent would do nothing else. */
  #count(): void {
    const second = Math.floor(this.nowMs / 1000);
    if (second !== this.#second) this.#thisSecond = 0;
    this.#second = second;
    this.#thisSecond += 1;
    if (this.#thisSecond <= MOST_EVENTS * this.nodes.length) return;
    throw new Violation("progress", `${this.#thisSecond} events in one simulated second`);
  }

  /** A datagram leaves a node's socket. */
  transmit(from: number, to: IpAddress | "everyone", packet: Packet): void {
    if (to === "everyone") return this.network.broadcast(this.nowMs, from, packet);
    const target = this.at(to);
    if (target !== undefined) this.network.send(this.nowMs, from, target.id, packet);
  }

  #arrived(to: number, packet: Packet): void {
    this.transcript.count(this.nowMs, to, ARRIVED);
    this.node(to).arrive(packet);
  }

  /** The kernel of a machine without an agent refuses a unicast datagram; probes are the ones that want to know. */
  nobodyListens(node: SimNode, packet: Packet): void {
    const sender = this.at(packet.from);
    const isProbe = packet.said?.message.type === "probe";
    if (sender === undefined || !isProbe || !this.network.carries(node.id, sender.id)) return;
    if (this.prng.chance(this.network.lossBetween(node.id, sender.id))) return;
    this.in(FAIR.jitterMs, () => {
      sender.agent?.heart.portUnreachable({ type: "port-unreachable", address: node.address });
    });
  }

  get masters(): readonly SimNode[] {
    this.#masters ??= this.nodes.filter((node) => node.agent?.heart.machine.view.role === "master");
    return this.#masters;
  }

  /** A node has another view of the cluster, or another agent, or none any more. */
  viewsChanged(): void {
    this.#masters = undefined;
  }

  isListed(id: NodeId): boolean {
    return this.masters.some((node) =>
      node.agent?.heart.machine.view.members.some((member) => member.id === id),
    );
  }
}
