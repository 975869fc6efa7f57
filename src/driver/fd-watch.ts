// Waiting for a file descriptor on Node's event loop. koffi's poll handles stop silently when they are
// garbage-collected, stop after POLLERR, and die when a callback throws; this wrapper does none of that.
import koffi from "koffi";

const alive = new Set<FdWatch>();

// koffi calls back with (status, events), whatever its declaration says
type PollCallback = (status: unknown) => void;

/** Calls back on the main thread whenever the descriptor is readable, until closed. */
export class FdWatch {
  readonly #handle: ReturnType<typeof koffi.node.poll>;
  readonly #onReadable: () => void;
  readonly #onThrow: (error: unknown) => void;
  #closed = false;

  /**
   * @param onReadable must read until EAGAIN is near, and also take a pending socket error off (after
   *   POLLERR it is called as well, because only reading clears the error)
   * @param onThrow receives what onReadable throws; without it the process stops with that error
   */
  constructor(
    fd: number,
    onReadable: () => void,
    onThrow: (error: unknown) => void = (error) => {
      setImmediate(() => {
        throw error;
      });
    },
  ) {
    this.#onReadable = onReadable;
    this.#onThrow = onThrow;
    this.#handle = koffi.node.poll(fd, { readable: true }, this.#callback());
    alive.add(this);
  }

  /** The process may end while this is the only thing left. */
  unref(): this {
    this.#handle.unref();
    return this;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    alive.delete(this);
    this.#handle.close();
  }

  #callback(): PollCallback {
    return (status) => {
      if (this.#closed) return;
      try {
        this.#onReadable();
      } catch (error) {
        this.#onThrow(error);
      }
      // on POLLERR libuv reports once and stops watching
      if (typeof status === "number" && status < 0 && !this.#closed) {
        this.#handle.start({ readable: true }, this.#callback());
      }
    };
  }
}
