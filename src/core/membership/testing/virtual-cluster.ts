// A cluster of membership machines on virtual time: latency, loss, partitions, crashes and frozen agents,
// all from one seed. Keys are simulated as the drivers do it: a MAC convinces only who holds its key.
import { ip, mac, type IpAddress } from "#base/address.ts";
import { type ConfigVersion, nodeId, type NodeId } from "#base/ids.ts";
import { Prng } from "#base/prng.ts";
import { instant } from "#base/time.ts";
import { authKindOf, type Message } from "#wire/cluster/message.ts";
import { Membership } from "../machine.ts";
import {
  type AdmittedNode,
  DEFAULT_DETECTION,
  type Detection,
  type Effect,
  type Input,
  type Received,
} from "../protocol.ts";
import type { View } from "../types.ts";
import { EventQueue } from "#base/event-queue.ts";
import type { SplitOfTwo } from "#base/split-of-two.ts";

export interface VirtualSettings {
  readonly size: number;
  readonly seed: number;
  /** Share of datagrams that each receiver loses. */
  readonly loss?: number;
  readonly detection?: Detection;
  readonly splitOfTwo?: SplitOfTwo;
  /** Nodes that can never be master. */
  readonly remote?: readonly number[];
}

export type ClusterEvent = Exclude<Effect, { type: "send" | "ignored" }>;

export interface LogEntry {
  readonly atMs: number;
  readonly node: NodeId;
  readonly event: ClusterEvent;
}

const LATENCY_MS = 0.1;
const JITTER_MS = 0.4;
const FETCH_KEY_MS = 20;
export const FIRST_CONFIG: ConfigVersion = { counter: 1, digest: "0000000000000001" };

class VirtualNode {
  readonly id: NodeId;
  readonly address: IpAddress;
  machine: Membership;
  boot: bigint;
  counter = 0;
  keys = new Set<number>();
  activeKey: number | undefined;
  state: "running" | "frozen" | "agent-down" | "machine-down" = "running";
  /** What the kernel received while the agent was frozen. */
  backlog: Input[] = [];
  ignored = new Map<string, number>();

  constructor(id: NodeId, address: IpAddress, machine: Membership, boot: bigint) {
    this.id = id;
    this.address = address;
    this.machine = machine;
    this.boot = boot;
  }
}

const addressOf = (id: number): IpAddress => ip(`10.0.${id >> 8}.${id & 255}`);
const macOf = (id: number): ReturnType<typeof mac> =>
  mac(
    `02:00:00:00:${(id >> 8).toString(16).padStart(2, "0")}:${(id & 255).toString(16).padStart(2, "0")}`,
  );

export class VirtualCluster {
  readonly log: LogEntry[] = [];
  readonly sent = new Map<Message["type"], number>();
  nowMs = 1000;
  loss: number;
  readonly #settings: VirtualSettings;
  readonly #prng: Prng;
  readonly #queue = new EventQueue();
  readonly #nodes = new Map<number, VirtualNode>();
  readonly #byAddress = new Map<string, VirtualNode>();
  readonly admitted: readonly AdmittedNode[];
  /** Which side of a partition a node is on; nodes hear their own side only. */
  readonly #side = new Map<number, number>();
  readonly #deaf = new Set<string>();
  #nextKey = 0;
  #boot = 1n;

  constructor(settings: VirtualSettings) {
    this.#settings = settings;
    this.loss = settings.loss ?? 0;
    this.#prng = new Prng(settings.seed);
    this.admitted = Array.from({ length: settings.size }, (_, index) => ({
      id: nodeId(index + 1),
      name: `n${index + 1}`,
      address: addressOf(index + 1),
      ...(settings.remote?.includes(index + 1) === true ? { remote: true } : {}),
    }));
  }

  get ids(): NodeId[] {
    return this.admitted.map(({ id }) => id);
  }

  /** Starts an agent, for the first time or again. */
  start(id: number, config = FIRST_CONFIG): void {
    const node = this.admitted[id - 1];
    if (node === undefined) throw new RangeError(`there is no node ${id}`);
    this.#boot += 1n;
    const before = this.#nodes.get(id)?.machine.together ?? [];
    const machine = new Membership(
      {
        self: { id: node.id, address: node.address, mac: macOf(id) },
        boot: this.#boot,
        epoch: 0,
        config,
        admitted: this.admitted,
        detection: this.#settings.detection ?? DEFAULT_DETECTION,
        together: [...before],
        splitOfTwo: this.#settings.splitOfTwo,
      },
      instant(this.nowMs),
    );
    const started = new VirtualNode(node.id, node.address, machine, this.#boot);
    this.#nodes.set(id, started);
    this.#byAddress.set(node.address, started);
    this.#arm(started);
  }

  startAll(): void {
    for (const id of this.ids) this.start(id);
  }

  view(id: number): View {
    return this.#node(id).machine.view;
  }

  ignored(id: number, reason: string): number {
    return this.#node(id).ignored.get(reason) ?? 0;
  }

  masters(): NodeId[] {
    return this.#running()
      .filter(({ machine }) => machine.view.role === "master")
      .map(({ id }) => id);
  }

  /** Events of one kind since a time. */
  events<T extends ClusterEvent["type"]>(
    type: T,
    sinceMs = 0,
  ): {
    readonly atMs: number;
    readonly node: NodeId;
    readonly event: Extract<ClusterEvent, { type: T }>;
  }[] {
    return this.log.filter(
      (entry): entry is LogEntry & { event: Extract<ClusterEvent, { type: T }> } =>
        entry.event.type === type && entry.atMs >= sinceMs,
    );
  }

  /** For how long the node's packet program would take flooded frames if its agent ended now (docs/adr/0008). */
  acceptMs(id: number): number {
    return this.#node(id).machine.acceptMs(instant(this.nowMs));
  }

  /** Likewise for how long its sessions might speak (docs/adr/0029). */
  speakMs(id: number): number {
    return this.#node(id).machine.speakMs(instant(this.nowMs));
  }

  crash(id: number, how: "agent-down" | "machine-down"): void {
    this.#node(id).state = how;
  }

  freeze(id: number): void {
    this.#node(id).state = "frozen";
  }

  /** The agent runs again and reads what the kernel kept, as the heart does: messages first, then deadlines. */
  thaw(id: number): void {
    const node = this.#node(id);
    node.state = "running";
    const backlog = node.backlog;
    node.backlog = [];
    for (const input of backlog) this.step(id, input);
    this.step(id, { type: "deadline-reached" });
  }

  /** What `from` sends does not come to `to`, as long as they are named; without names everybody hears everybody. */
  deafen(...pairs: readonly (readonly [from: number, to: number])[]): void {
    this.#deaf.clear();
    for (const [from, to] of pairs) this.#deaf.add(`${from} ${to}`);
  }

  /** Cuts the network; without arguments it is whole again. */
  partition(...sides: readonly (readonly number[])[]): void {
    this.#side.clear();
    for (const [side, ids] of sides.entries()) for (const id of ids) this.#side.set(id, side + 1);
  }

  step(id: number, input: Input): void {
    const node = this.#node(id);
    const effects = node.machine.step(instant(this.nowMs), input);
    for (const effect of effects) this.#perform(node, effect);
    this.#arm(node);
  }

  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      const atMs = this.#queue.nextAtMs;
      if (atMs === undefined || atMs > endMs) break;
      const entry = this.#queue.take();
      this.nowMs = Math.max(this.nowMs, atMs);
      entry?.run();
    }
    this.nowMs = endMs;
  }

  /** Whether all running nodes agree on one master and on exactly these members. */
  agree(...ids: readonly number[]): boolean {
    const expected = ids.join();
    const views = ids.map((id) => this.view(id));
    const masters = new Set(views.map(({ master }) => master));
    return (
      masters.size === 1 &&
      views.every(({ role }) => role === "member" || role === "master") &&
      views.every(({ members }) => members.map(({ id }) => id).join() === expected)
    );
  }

  #node(id: number): VirtualNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new RangeError(`node ${id} was never started`);
    return node;
  }

  #running(): VirtualNode[] {
    return [...this.#nodes.values()].filter(({ state }) => state === "running");
  }

  #arm(node: VirtualNode): void {
    const { machine } = node;
    const { deadline } = machine;
    if (deadline === undefined) return;
    this.#queue.add(Math.max(deadline, this.nowMs), () => {
      const isCurrent = node.machine === machine && this.#nodes.get(node.id) === node;
      if (!isCurrent || node.state !== "running" || machine.deadline !== deadline) return;
      this.step(node.id, { type: "deadline-reached" });
    });
  }

  #perform(node: VirtualNode, effect: Effect): void {
    if (effect.type === "send") return this.#send(node, effect.to, effect.message);
    if (effect.type === "ignored") {
      node.ignored.set(effect.reason, (node.ignored.get(effect.reason) ?? 0) + 1);
      return;
    }
    this.log.push({ atMs: this.nowMs, node: node.id, event: effect });
    if (effect.type === "became-master" && node.keys.size === 0) {
      this.#nextKey += 1;
      this.#giveKeys(node, new Set([this.#nextKey]), this.#nextKey);
    }
    if (effect.type === "admitted-by") this.#fetchKey(node, effect.master);
  }

  #fetchKey(node: VirtualNode, from: NodeId): void {
    this.#queue.add(this.nowMs + FETCH_KEY_MS, () => {
      const master = this.#node(from);
      if (node.state !== "running" || master.state !== "running") return;
      if (!this.#connected(node.id, from) || master.activeKey === undefined) return;
      this.#giveKeys(node, master.keys, master.activeKey);
    });
  }

  #giveKeys(node: VirtualNode, keys: ReadonlySet<number>, active: number): void {
    for (const key of keys) node.keys.add(key);
    node.activeKey = active;
    this.#queue.add(this.nowMs, () => {
      if (node.state === "running") this.step(node.id, { type: "key-available" });
    });
  }

  #connected(a: number, b: number): boolean {
    return this.#hears(a, b) && this.#hears(b, a);
  }

  #hears(to: number, from: number): boolean {
    const isTogether = (this.#side.get(from) ?? 0) === (this.#side.get(to) ?? 0);
    return isTogether && !this.#deaf.has(`${from} ${to}`);
  }

  #send(node: VirtualNode, to: IpAddress | "everyone", message: Message): void {
    const key = authKindOf(message.type) === "mac" ? node.activeKey : undefined;
    if (authKindOf(message.type) === "mac" && key === undefined) return;
    node.counter += 1;
    this.sent.set(message.type, (this.sent.get(message.type) ?? 0) + 1);
    const { id, boot, counter, address } = node;
    const target = to === "everyone" ? undefined : this.#byAddress.get(to);
    const targets = to === "everyone" ? [...this.#nodes.values()] : target ? [target] : [];
    for (const receiver of targets) {
      if (receiver.id === id || !this.#hears(receiver.id, id)) continue;
      if (this.loss > 0 && this.#prng.chance(this.loss)) continue;
      const atMs = this.nowMs + LATENCY_MS + (this.#prng.uint32() / 2 ** 32) * JITTER_MS;
      const received = { sender: id, boot, counter, from: address, at: instant(atMs), message };
      this.#queue.add(atMs, () => this.#arrive(node, receiver.id, received, key));
    }
  }

  #arrive(sender: VirtualNode, to: NodeId, received: Received, key: number | undefined): void {
    const receiver = this.#node(to);
    if (receiver.state === "machine-down" || !this.#hears(to, sender.id)) return;
    if (receiver.state === "agent-down") {
      const lost = this.loss > 0 && this.#prng.chance(this.loss);
      if (sender.state !== "running" || received.message.type !== "probe" || lost) return;
      return this.step(sender.id, { type: "port-unreachable", address: receiver.address });
    }
    if (key !== undefined && !receiver.keys.has(key)) return;
    const input: Input = { type: "message-received", received };
    if (receiver.state === "frozen") receiver.backlog.push(input);
    else this.step(to, input);
    const isKeepalive = received.message.type === "master-keepalive";
    if (isKeepalive && receiver.machine.view.role !== "master") receiver.activeKey = key;
  }
}
