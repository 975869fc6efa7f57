// What a session server measures of itself: how fast its replicas follow, and how long takeovers took (A16).
import type { NodeId } from "#base/ids.ts";
import { elapsedMs, type Instant } from "#base/time.ts";
import type { SESSION_TIMES, SessionFigures } from "#wire/applications/message.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import type { EngineCounts } from "./engine-parts.ts";
import { keyText } from "./key-text.ts";
import type { Serving } from "./serving.ts";
import type { Session } from "./session.ts";

const KEPT = 1000;

/** The last thousand of something. */
export class Samples {
  readonly #values: number[] = [];
  #next = 0;

  add(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % KEPT;
  }

  /** The value that this part of them does not exceed; undefined: there are none. */
  quantile(part: number): number | undefined {
    const sorted = this.#values.toSorted((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  }
}

interface Follower {
  /** Messages since its stream began. */
  sent: number;
  /** The oldest that is measured, while one is: it stands for those around it. */
  open: { readonly message: number; readonly at: Instant } | undefined;
}

/** How long replicas take to acknowledge. One message at a time is measured of each, which costs nothing for the others. */
export class Following {
  readonly latencies = new Samples();
  readonly #followers = new Map<NodeId, Follower>();

  sent(to: NodeId, now: () => Instant): void {
    const follower = this.#followers.get(to) ?? { sent: 0, open: undefined };
    this.#followers.set(to, follower);
    follower.sent += 1;
    follower.open ??= { message: follower.sent, at: now() };
  }

  /** @param messages of its stream, from the first */
  acknowledged(from: NodeId, messages: number, now: Instant): void {
    const follower = this.#followers.get(from);
    if (follower?.open === undefined || messages < follower.open.message) return;
    this.latencies.add(elapsedMs(follower.open.at, now));
    follower.open = undefined;
  }

  gone(replica: NodeId): void {
    this.#followers.delete(replica);
  }

  /** Age of the oldest that is not acknowledged. */
  lagMs(now: Instant): number {
    let oldest = now;
    for (const { open } of this.#followers.values()) {
      if (open !== undefined && open.at < oldest) oldest = open.at;
    }
    return elapsedMs(oldest, now);
  }
}

/** What was not measured is left out. */
export function timesOf(
  latencies: Samples,
  pauses: Samples,
): Partial<Record<(typeof SESSION_TIMES)[number], number>> {
  const [commitMedianMs, commitHighMs] = [latencies.quantile(0.5), latencies.quantile(0.99)];
  const [pauseMedianMs, pauseWorstMs] = [pauses.quantile(0.5), pauses.quantile(1)];
  return {
    ...(commitMedianMs === undefined ? {} : { commitMedianMs }),
    ...(commitHighMs === undefined ? {} : { commitHighMs }),
    ...(pauseMedianMs === undefined ? {} : { pauseMedianMs }),
    ...(pauseWorstMs === undefined ? {} : { pauseWorstMs }),
  };
}

/** What an engine can say of itself; the rest its links know. */
export type OwnFigures = Omit<SessionFigures, "others" | "replicas" | "waitingBytes">;

type FiguredCounts = Pick<
  EngineCounts,
  "held" | "noted" | "fetched" | "takenOver" | "lost" | "abandoned"
> &
  Pick<SessionFigures, "wanted" | "underReplicated">;

export class Figures {
  readonly following = new Following();
  readonly #pauses = new Samples();
  /** When the takeovers that are under way began. */
  readonly #takenAt = new Map<string, Instant>();
  /** Sessions of whose beginning nothing was told. */
  #untold = 0;

  untoldIs(session: Session): void {
    this.#untold += 1;
    session.on("close", () => (this.#untold -= 1));
  }

  /** A takeover. */
  began(key: ConnectionKey, now: Instant): void {
    const text = keyText(key);
    if (!this.#takenAt.has(text)) this.#takenAt.set(text, now);
  }

  resumed(key: ConnectionKey, now: Instant): void {
    this.#pauses.add(elapsedMs(this.#takenAt.get(keyText(key)) ?? now, now));
    this.ended(key);
  }

  ended(key: ConnectionKey): void {
    this.#takenAt.delete(keyText(key));
  }

  of(served: readonly Serving[], counts: FiguredCounts, now: Instant): OwnFigures {
    const count = (is: (each: Serving) => boolean): number => served.filter(is).length;
    return {
      served: served.length + this.#untold,
      withoutReplica: count((each) => each.alone && each.protected),
      beyondLimit: count((each) => !each.protected),
      untold: this.#untold,
      lagMs: this.following.lagMs(now),
      ...counts,
      ...timesOf(this.following.latencies, this.#pauses),
    };
  }
}
