// The control channel between master and members (A2, B9): connections that carry messages in order, are held up by lost packets
// and cut links, and end when a process ends or nothing came for several pings.
import type { ConfigVersion, TableVersion } from "#base/ids.ts";
import type { SlotRef } from "#core/steering/assignment.ts";
import type { Sent } from "#core/steering/tables-out.ts";
import type { FlowReport } from "#wire/control/flow-report.ts";
import type { HealthReport } from "#wire/control/health-report.ts";
import type { SlotReport } from "#wire/control/slot-report.ts";
import type { ClusterConfig } from "./cluster-config.ts";
import type { GroupKey } from "./key-ring.ts";
import type { World } from "./world.ts";

export type ControlMessage =
  | { readonly type: "hello"; readonly config: ConfigVersion; readonly tables: TableVersion }
  | { readonly type: "group-key"; readonly newest: GroupKey; readonly before: GroupKey | undefined }
  | { readonly type: "config"; readonly config: ClusterConfig }
  /** As they travel, in full or as a delta: tables-codec. */
  | { readonly type: "tables"; readonly bytes: Uint8Array }
  | { readonly type: "slot-report"; readonly report: SlotReport }
  | { readonly type: "flow-report"; readonly report: FlowReport }
  | { readonly type: "health-report"; readonly report: HealthReport }
  | { readonly type: "tables-ack"; readonly version: TableVersion }
  | { readonly type: "slots-wanted"; readonly slots: readonly SlotRef[] }
  /** What was sent builds on tables that are not held. */
  | { readonly type: "tables-wanted"; readonly held: TableVersion };

export type Report = Extract<
  ControlMessage,
  { type: "slot-report" | "flow-report" | "health-report" }
>;

/** What the two ends do with what comes; each is called on its node's main thread. */
export interface ControlEnd {
  readonly node: number;
  /** Whether the process takes part at all. */
  readonly responds: () => boolean;
  readonly post: (task: () => void) => void;
  readonly received: (connection: Connection, message: ControlMessage) => void;
  readonly closed: (connection: Connection) => void;
}

const HANDSHAKE_MS = 8;
const CONNECT_LIMIT_MS = 5000;
const POLL_MS = 100;
const DELIVER_MS = 0.3;
/** A segment that was lost is sent again. */
const RETRANSMIT_MS = 200;
const TICK_MS = 2000;
const SILENT_TICKS = 4;
/** Messages that may wait for a peer; beyond it is a slow reader. */
export const MOST_QUEUED = 4096;

interface Queued {
  readonly to: ControlEnd;
  readonly message: ControlMessage;
}

export class Connection {
  readonly client: ControlEnd;
  readonly server: ControlEnd;
  readonly #world: World;
  readonly #queues = new Map<ControlEnd, Queued[]>();
  #open = true;
  #silent = 0;

  constructor(world: World, client: ControlEnd, server: ControlEnd) {
    this.#world = world;
    this.client = client;
    this.server = server;
    this.#tick();
  }

  get isOpen(): boolean {
    return this.#open;
  }

  get queued(): number {
    let most = 0;
    for (const { length } of this.#queues.values()) if (length > most) most = length;
    return most;
  }

  get #carries(): boolean {
    const { client, server } = this;
    return this.#world.network.connects(client.node, server.node);
  }

  send(from: ControlEnd, message: ControlMessage): Sent {
    if (!this.#open) return "closed";
    const to = from === this.client ? this.server : this.client;
    const queue = this.#queues.get(to) ?? [];
    this.#queues.set(to, queue);
    // tables that nobody has read yet are worth nothing once newer ones exist
    const old =
      message.type === "tables"
        ? queue.findIndex((q, i) => i > 0 && q.message.type === "tables")
        : -1;
    if (old !== -1) queue.splice(old, 1);
    queue.push({ to, message });
    if (queue.length > MOST_QUEUED) {
      this.cut();
      return "closed";
    }
    if (queue.length === 1) this.#deliverIn(to, DELIVER_MS);
    if (old !== -1) return "replaced";
    return queue.length === 1 ? "sent" : "queued";
  }

  #deliverIn(to: ControlEnd, delayMs: number): void {
    this.#world.queue.add(this.#world.nowMs + delayMs, () => this.#deliver(to));
  }

  #deliver(to: ControlEnd): void {
    const queue = this.#queues.get(to);
    const next = queue?.[0];
    if (!this.#open || queue === undefined || next === undefined) return;
    const { client, server } = this;
    const lost = this.#world.prng.chance(this.#world.network.lossBetween(client.node, server.node));
    if (!this.#carries || lost || !to.responds()) return this.#deliverIn(to, RETRANSMIT_MS);
    queue.shift();
    to.post(() => {
      if (this.#open) to.received(this, next.message);
    });
    if (queue.length > 0) this.#deliverIn(to, 0.01);
  }

  /** Pings: an end that hears nothing for long gives the connection up. */
  #tick(): void {
    this.#world.queue.add(this.#world.nowMs + TICK_MS, () => {
      if (!this.#open) return;
      const hears = this.#carries && this.client.responds() && this.server.responds();
      this.#silent = hears ? 0 : this.#silent + 1;
      if (this.#silent > SILENT_TICKS) this.cut();
      else this.#tick();
    });
  }

  /** Both ends learn of it. */
  cut(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const end of [this.client, this.server]) end.post(() => end.closed(this));
  }

  /** One end closes, or its process dies: the other hears of it when it hears from that machine at all. */
  close(by: ControlEnd, isMachineUp: boolean): void {
    if (!this.#open) return;
    if (isMachineUp && this.#carries) return this.cut();
    // its side is gone; the other finds out when its next ping is answered by a reset, or by silence
    this.#queues.clear();
    this.#open = false;
    this.#findOut(by === this.client ? this.server : this.client, 0);
  }

  #findOut(other: ControlEnd, ticks: number): void {
    this.#world.queue.add(this.#world.nowMs + TICK_MS, () => {
      if (this.#carries || ticks >= SILENT_TICKS) other.post(() => other.closed(this));
      else this.#findOut(other, ticks + 1);
    });
  }
}

export interface Attempt {
  cancelled: boolean;
}

/** Connects, or says that it could not. */
export function connect(
  world: World,
  client: ControlEnd,
  target: number,
  done: (connection: Connection | undefined) => void,
): Attempt {
  const attempt = { cancelled: false };
  const startedMs = world.nowMs;
  const finish = (connection: Connection | undefined): void =>
    client.post(() => {
      if (!attempt.cancelled) done(connection);
      else if (connection !== undefined) connection.cut();
    });
  const poll = (): void => {
    if (attempt.cancelled) return;
    if (world.nowMs - startedMs > CONNECT_LIMIT_MS) return finish(undefined);
    const again = (): void => world.queue.add(world.nowMs + POLL_MS, poll);
    if (!client.responds() || !world.network.connects(client.node, target)) return again();
    const node = world.node(target);
    if (!node.isUp) return again();
    const server = node.agent?.serverEnd;
    if (server === undefined) return finish(undefined); // nobody listens there
    if (!server.responds()) return again();
    if (!node.agent?.main.admits(client.node)) return finish(undefined);
    const connection = new Connection(world, client, server);
    node.agent?.main.followers.accepted(connection);
    finish(connection);
  };
  world.queue.add(world.nowMs + HANDSHAKE_MS, poll);
  return attempt;
}
