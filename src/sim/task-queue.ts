// A node's main thread as far as time goes: tasks run one after the other, a little later than they were posted, and all of them
// wait while the thread is busy (parsing, collecting garbage, loading a program) or the process is frozen.
import type { World } from "./world.ts";

/** From posting a message to another thread until it is taken. */
const POST_MS = 0.05;
/** Tasks that may wait: far more than ever do, so that more means that they multiply. */
export const MOST_TASKS = 5000;

export class TaskQueue {
  readonly #world: World;
  #tasks: (() => void)[] = [];
  #busyUntilMs = 0;
  #drainMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(world: World) {
    this.#world = world;
  }

  get length(): number {
    return this.#tasks.length;
  }

  get isBusy(): boolean {
    return this.#world.nowMs < this.#busyUntilMs;
  }

  post(task: () => void): void {
    if (this.#closed) return;
    this.#tasks.push(task);
    this.#drainAt(this.#world.nowMs + POST_MS);
  }

  /** Like setTimeout. */
  later(delayMs: number, task: () => void): () => void {
    let isOff = false;
    this.#world.queue.add(this.#world.nowMs + delayMs, () => {
      if (!isOff) this.post(task);
    });
    return () => {
      isOff = true;
    };
  }

  busyUntil(trueMs: number): void {
    this.#busyUntilMs = trueMs;
    if (trueMs !== Number.POSITIVE_INFINITY) this.#drainAt(trueMs);
  }

  close(): void {
    this.#closed = true;
    this.#tasks = [];
  }

  #drainAt(atMs: number): void {
    const due = Math.max(atMs, this.#world.nowMs);
    if (due >= this.#drainMs) return;
    this.#drainMs = due;
    this.#world.queue.add(due, () => {
      if (this.#drainMs === due) this.#drain();
    });
  }

  #drain(): void {
    this.#drainMs = Number.POSITIVE_INFINITY;
    if (this.#closed) return;
    if (this.isBusy) {
      if (this.#busyUntilMs !== Number.POSITIVE_INFINITY) this.#drainAt(this.#busyUntilMs);
      return;
    }
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) if (!this.#closed) task();
  }
}
