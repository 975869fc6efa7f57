// Nodes that are no members, but whose machines may live, and connections on them (B4): an agent that left or was killed, or a node that
// was none of this master's members when it became master. As long as tables name such a machine, segments are passed on to it; when it dies, they
// would get lost there. So it is asked every second; its kernel answers that nobody listens.
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import type { Context } from "./context.ts";
import { MAX_DEPARTURES } from "./departures.ts";

/** A Linux kernel sends each host one such answer a second on the average, six at once. */
export const ASK_EVERY_MS = 1000;
/** Unanswered in a row until a machine counts as dead. */
export const ASK_TIMES = 5;

interface Absent {
  readonly address: IpAddress;
  unanswered: number;
}

export class Absences {
  readonly #context: Context;
  readonly #absent = new Map<NodeId, Absent>();
  #askAt: Instant | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  get deadline(): Instant | undefined {
    return this.#askAt;
  }

  watch(now: Instant, id: NodeId, address: IpAddress): void {
    const [oldest] = this.#absent.keys();
    if (this.#absent.size >= MAX_DEPARTURES && oldest !== undefined) this.#gone(oldest);
    this.#absent.set(id, { address, unanswered: 0 });
    this.#askAt ??= after(now, ASK_EVERY_MS);
  }

  /** It is a member again, or its silence is judged elsewhere. */
  forget(id: NodeId): void {
    this.#absent.delete(id);
  }

  /** It has said something, if only that it wants to join. */
  heard(id: NodeId): void {
    const absent = this.#absent.get(id);
    if (absent !== undefined) absent.unanswered = 0;
  }

  portUnreachable(address: IpAddress): void {
    for (const absent of this.#absent.values()) {
      if (absent.address === address) absent.unanswered = 0;
    }
  }

  deadlineReached(now: Instant): void {
    if (this.#askAt === undefined || now < this.#askAt) return;
    for (const [id, absent] of this.#absent) {
      if (absent.unanswered >= ASK_TIMES) this.#gone(id);
      else {
        absent.unanswered += 1;
        this.#context.send(absent.address, { type: "probe" });
      }
    }
    this.#askAt = this.#absent.size === 0 ? undefined : after(now, ASK_EVERY_MS);
  }

  #gone(id: NodeId): void {
    this.#absent.delete(id);
    this.#context.emit({ type: "machine-gone", id });
  }
}
