// Steps that take back what has been done to the host so far, for the case that a later one fails; and descriptors that are needed
// for as long as that may happen.
import { libc } from "../libc.ts";

export class Undo {
  #steps: (() => void)[] = [];
  readonly #closers: (() => void)[] = [];

  /** What takes back the thing that has just been done. */
  add(step: () => void): void {
    this.#steps.push(step);
  }

  /** Does this when nothing can be taken back any more. */
  whenClosed(close: () => void): void {
    this.#closers.push(close);
  }

  keepFd(fd: number): number {
    this.whenClosed(() => libc.close(fd));
    return fd;
  }

  /** Newest first. A step that fails does not keep the others from being done; the first failure is thrown then. */
  run(): void {
    const failures: unknown[] = [];
    for (const step of this.#steps.toReversed()) {
      try {
        step();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#steps = [];
    if (failures.length > 0) throw failures[0];
  }

  close(): void {
    for (const close of this.#closers.splice(0)) close();
  }
}

/** Does it, and when it fails takes back what it has done up to there. What it threw is what the caller hears of. */
export function orUndo<T>(undo: Undo, action: () => T): T {
  try {
    return action();
  } catch (error) {
    try {
      undo.run();
    } catch (failure) {
      throw new AggregateError([error, failure], String(error), { cause: failure });
    }
    throw error;
  }
}
