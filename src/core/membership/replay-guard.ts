// Refuses messages that were recorded earlier: each counter of each sender is taken once. Networks reorder
// datagrams that follow each other closely, so the last 32 counters may come in any order (as in RFC 4303 3.4.3).
import type { NodeId } from "#base/ids.ts";

const WINDOW = 32;

interface Run {
  readonly boot: bigint;
  highest: number;
  /** Bit k: the counter `highest − k` has been taken. */
  taken: number;
}

function take(run: Run, counter: number): boolean {
  const ahead = counter - run.highest;
  if (ahead > 0) {
    run.taken = ahead >= WINDOW ? 1 : (run.taken << ahead) | 1;
    run.highest = counter;
    return true;
  }
  if (-ahead >= WINDOW) return false;
  const bit = 1 << -ahead;
  if ((run.taken & bit) !== 0) return false;
  run.taken |= bit;
  return true;
}

/**
 * Remembers the latest two starts of each node. Two, because the second machine of a pair that wrongly use one
 * id must not silence the first. At most 4095 nodes can prove who they are.
 */
export class ReplayGuard {
  readonly #runs = new Map<NodeId, Run[]>();

  /** Whether the message is new; if so, its like is refused from now on. Call only for proved messages. */
  admit(sender: NodeId, boot: bigint, counter: number): boolean {
    const runs = this.#runs.get(sender) ?? [];
    const run = runs.find((known) => known.boot === boot);
    if (run !== undefined) return take(run, counter);
    const [latest] = runs;
    if (latest !== undefined && boot < latest.boot) return false;
    const started = { boot, highest: counter, taken: 1 };
    this.#runs.set(sender, latest === undefined ? [started] : [started, latest]);
    return true;
  }
}
