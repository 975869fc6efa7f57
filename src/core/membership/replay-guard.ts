// Refuses messages that were recorded earlier: of each sender, only what is newer than everything before.
import type { NodeId } from "#base/ids.ts";

interface Run {
  readonly boot: bigint;
  counter: number;
}

/**
 * Remembers the last counter of the latest two starts of each node. Two, because the second machine of a
 * pair that wrongly use one id must not silence the first. At most 4095 nodes can prove who they are.
 */
export class ReplayGuard {
  readonly #runs = new Map<NodeId, Run[]>();

  /** Whether the message is new; if so, its like is refused from now on. Call only for proved messages. */
  admit(sender: NodeId, boot: bigint, counter: number): boolean {
    const runs = this.#runs.get(sender) ?? [];
    const run = runs.find((known) => known.boot === boot);
    if (run !== undefined) {
      if (counter <= run.counter) return false;
      run.counter = counter;
      return true;
    }
    const [latest] = runs;
    if (latest !== undefined && boot < latest.boot) return false;
    this.#runs.set(sender, [{ boot, counter }, ...(latest === undefined ? [] : [latest])]);
    return true;
  }
}
