// Waiting for the cluster's socket, a wake-up from the main thread, or a deadline, whichever comes first.
import { check, errno, libc } from "../libc.ts";

const POLLIN = 1;
const EINTR = 4;
/**
 * So that a thread that waits can always be ended: nobody can interrupt a system call from outside. Longer
 * than keepalives are apart, because every turn of an idle heart costs CPU time on every node.
 */
export const LONGEST_WAIT_MS = 250;

export class Waiting {
  readonly #fds = new Uint8Array(16);
  readonly #timeout = new Uint8Array(16);
  readonly #wakeFd: number;
  readonly #drain = new Uint8Array(8);

  /** @param wakeFd a non-blocking eventfd */
  constructor(socketFd: number, wakeFd: number) {
    this.#wakeFd = wakeFd;
    const view = new DataView(this.#fds.buffer);
    for (const [index, fd] of [socketFd, wakeFd].entries()) {
      view.setInt32(8 * index, fd, true);
      view.setInt16(8 * index + 4, POLLIN, true);
    }
  }

  /** @param durationMs may be zero or negative: then it only looks */
  wait(durationMs: number): void {
    const ns = Math.round(Math.min(Math.max(durationMs, 0), LONGEST_WAIT_MS) * 1e6);
    new DataView(this.#timeout.buffer).setBigInt64(8, BigInt(ns), true);
    const ready = libc.ppoll(this.#fds, 2, this.#timeout, null);
    if (ready < 0 && errno() !== EINTR) check(ready, "wait for the cluster's socket");
    if (ready > 0) libc.read(this.#wakeFd, this.#drain, 8);
  }
}
