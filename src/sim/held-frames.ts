// Frames that wait at a simulated node for an owner of their slot (A15): daemon/slot-work.ts on virtual time. The packet program puts them
// where the agent reads them a little later; who keeps them, who is asked and where they go then is the real Holding's business.
import type { NodeId } from "#base/ids.ts";
import type { Instant } from "#base/time.ts";
import type { SlotRef } from "#core/steering/assignment.ts";
import { type HeldFrame, Holding, type SentOn } from "#core/steering/holding.ts";
import { SlotRequests } from "#core/steering/slot-requests.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { ClientFrame } from "./client-frame.ts";
import type { TaskQueue } from "./task-queue.ts";

/** What the packet program may leave for an agent that does not read. */
export const MOST_UNREAD = 256;

export interface HeldFramesOptions {
  readonly self: NodeId;
  readonly tasks: TaskQueue;
  readonly now: () => Instant;
  readonly isMaster: () => boolean;
  readonly take: (slots: readonly SlotRef[]) => void;
  readonly send: (slots: readonly SlotRef[]) => void;
  readonly sendOn: (frame: ClientFrame, to: NodeId) => void;
}

export class HeldFrames {
  readonly #options: HeldFramesOptions;
  readonly #holding: Holding;
  readonly #requests: SlotRequests;
  readonly #frames = new WeakMap<Uint8Array, ClientFrame>();
  #unread: HeldFrame[] = [];
  #tables: Tables | undefined;
  #callOff: () => void = () => {};

  constructor(options: HeldFramesOptions) {
    this.#options = options;
    const { tasks } = options;
    this.#holding = new Holding(options.self);
    this.#requests = new SlotRequests({
      ...options,
      later: (delayMs, act) => tasks.later(delayMs, act),
    });
  }

  get waiting(): number {
    return this.#holding.counts.waiting + this.#unread.length;
  }

  /** The packet program holds a frame. False: there is no room. */
  arrived(frame: ClientFrame, slot: SlotRef): boolean {
    if (this.#unread.length >= MOST_UNREAD) return false;
    this.#frames.set(frame.bytes, frame);
    this.#unread.push({ frame: frame.bytes, slot });
    if (this.#unread.length === 1) this.#options.tasks.post(() => this.#read());
    return true;
  }

  #read(): void {
    this.#requests.ask(this.#taken());
    this.#sendOn(this.#holding.decided(this.#options.now()));
    this.#arm();
  }

  #taken(): SlotRef[] {
    const unread = this.#unread;
    this.#unread = [];
    return this.#holding.hold(this.#options.now(), unread);
  }

  /** What was held by the tables before is read first. */
  installed(tables: Tables): void {
    const isNewMaster = this.#tables?.version.master !== tables.version.master;
    this.#tables = tables;
    const slots = this.#taken();
    this.#sendOn(this.#holding.installed(this.#options.now(), tables));
    this.#arm();
    const wanted = isNewMaster ? this.#holding.wanted : slots;
    // effects are being performed
    if (wanted.length > 0) this.#options.tasks.post(() => this.#requests.ask(wanted));
  }

  #sendOn(released: readonly SentOn[]): void {
    for (const { frame: bytes, to } of released) {
      const frame = this.#frames.get(bytes);
      if (frame !== undefined && to !== undefined) this.#options.sendOn(frame, to);
    }
  }

  #arm(): void {
    this.#callOff();
    const { tasks, now } = this.#options;
    const { deadline } = this.#holding;
    if (deadline === undefined) return;
    this.#callOff = tasks.later(Math.max(1, deadline - now()), () => {
      this.#sendOn(this.#holding.deadlineReached(now(), () => false));
      this.#arm();
    });
  }

  close(): void {
    this.#callOff();
    this.#requests.close();
  }
}
