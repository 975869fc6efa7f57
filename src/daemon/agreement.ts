// Which configuration each connected member has said it holds (A4, B8), and waiting until all of them hold one: an operator's change
// that only the master has would be lost with it.
import { type ConfigVersion, type NodeId, sameConfig } from "#base/ids.ts";

interface Waiter {
  readonly version: ConfigVersion;
  readonly missing: Set<NodeId>;
  readonly done: () => void;
}

/** Changes that may wait at once; the next one is answered without waiting. */
const MAX_WAITING = 256;

export class Agreement {
  readonly #waiters = new Set<Waiter>();

  /** A member holds this configuration, or a later one that contains it. */
  holds(id: NodeId, version: ConfigVersion): void {
    for (const waiter of this.#waiters) {
      const isLater = version.counter > waiter.version.counter;
      if (isLater || sameConfig(version, waiter.version)) this.#settle(waiter, id);
    }
  }

  /** A member that has gone is not waited for: it fetches the configuration when it comes back. */
  gone(id: NodeId): void {
    for (const waiter of this.#waiters) this.#settle(waiter, id);
  }

  #settle(waiter: Waiter, id: NodeId): void {
    waiter.missing.delete(id);
    if (waiter.missing.size === 0) waiter.done();
  }

  /** Resolves to those of them that have not said in time that they hold it. */
  reached(version: ConfigVersion, ids: readonly NodeId[], withinMs: number): Promise<NodeId[]> {
    const missing = new Set(ids);
    if (missing.size === 0 || this.#waiters.size >= MAX_WAITING)
      return Promise.resolve([...missing]);
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve([...missing]);
      };
      const timer = setTimeout(done, withinMs);
      const waiter: Waiter = { version, missing, done };
      this.#waiters.add(waiter);
    });
  }
}
