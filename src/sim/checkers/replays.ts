// A2: nothing that was said once is obeyed twice, and nothing forged is obeyed at all. The network duplicates datagrams and an attacker
// repeats them; a machine that takes the same one a second time is wrong.
import type { Received } from "#core/membership/protocol.ts";
import type { Heart } from "../heart.ts";
import type { Observer } from "../probes.ts";
import type { Packet } from "../packet.ts";
import { Violation } from "../violation.ts";

/** Per sender and start; an older one is refused by the window anyway, which is checked with what is left. */
const REMEMBERED = 256;
/** Of one sender. */
const STARTS = 4;

/** What a machine has taken of one start of one sender. */
interface Run {
  readonly boot: bigint;
  readonly counters: Set<number>;
}

/** Whether it is new. */
function remember({ counters }: Run, counter: number): boolean {
  if (counters.has(counter)) return false;
  counters.add(counter);
  if (counters.size > REMEMBERED) {
    const [oldest] = counters;
    if (oldest !== undefined) counters.delete(oldest);
  }
  return true;
}

function runOf(runs: Run[], boot: bigint): Run {
  for (const run of runs) if (run.boot === boot) return run;
  const run = { boot, counters: new Set<number>() };
  runs.push(run);
  if (runs.length > STARTS) runs.shift();
  return run;
}

export class Replays implements Observer {
  readonly #taken = new WeakMap<Heart, Run[][]>();
  /** Hostile datagrams that reached a machine, by what they were. */
  readonly hostile = new Map<string, number>();

  received(heart: Heart, packet: Packet, received: Received, isTaken: boolean): void {
    if (packet.hostile !== undefined) this.#hostile(heart, packet.hostile, isTaken);
    if (!isTaken) return;
    const { sender, boot, counter, message } = received;
    let senders = this.#taken.get(heart);
    if (senders === undefined) {
      senders = [];
      this.#taken.set(heart, senders);
    }
    const runs = (senders[sender] ??= []);
    if (remember(runOf(runs, boot), counter)) return;
    const text = `node ${heart.id} took ${message.type} ${counter} of node ${sender} a second time`;
    throw new Violation("replays", text);
  }

  refused(_heart: Heart, packet: Packet, _reason: string): void {
    if (packet.hostile === undefined) return;
    this.hostile.set(packet.hostile, (this.hostile.get(packet.hostile) ?? 0) + 1);
  }

  #hostile(heart: Heart, what: string, isTaken: boolean): void {
    this.hostile.set(what, (this.hostile.get(what) ?? 0) + 1);
    // a recording that this machine has never seen is a late datagram to it; what else is hostile proves nothing
    if (what === "replayed" || !isTaken) return;
    throw new Violation("replays", `node ${heart.id} obeyed a ${what} datagram`);
  }
}
