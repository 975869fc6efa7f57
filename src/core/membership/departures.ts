// Is a member that fell silent really gone? Its slots move at once; here its machine is asked a little longer.
// When its kernel answers that nobody listens, the agent alone is down and connections there live on.
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import type { Absences } from "./absences.ts";
import type { Context } from "./context.ts";

export const CONFIRM_MS = 500;
export const PROBE_EVERY_MS = 100;
/** When more depart at once, the oldest are confirmed early. */
export const MAX_DEPARTURES = 512;

interface Departed {
  readonly address: IpAddress;
  readonly confirmAt: Instant;
}

export class Departures {
  readonly #context: Context;
  readonly #absences: Absences;
  readonly #silent = new Map<NodeId, Departed>();
  #probeAt: Instant | undefined;

  constructor(context: Context, absences: Absences) {
    this.#context = context;
    this.#absences = absences;
  }

  get deadline(): Instant | undefined {
    return this.#probeAt;
  }

  watch(now: Instant, id: NodeId, address: IpAddress): void {
    const [oldest] = this.#silent.keys();
    if (this.#silent.size >= MAX_DEPARTURES && oldest !== undefined)
      this.#confirm(oldest, "silent");
    this.#silent.set(id, { address, confirmAt: after(now, CONFIRM_MS) });
    this.#context.send(address, { type: "probe" });
    this.#probeAt ??= after(now, PROBE_EVERY_MS);
  }

  /** It came back before it was certain. */
  forget(id: NodeId): void {
    this.#silent.delete(id);
  }

  deadlineReached(now: Instant): void {
    if (this.#probeAt === undefined || now < this.#probeAt) return;
    for (const [id, { address, confirmAt }] of this.#silent) {
      if (now >= confirmAt) this.#confirm(id, "silent");
      else this.#context.send(address, { type: "probe" });
    }
    this.#probeAt = this.#silent.size === 0 ? undefined : after(now, PROBE_EVERY_MS);
  }

  portUnreachable(now: Instant, address: IpAddress): void {
    for (const [id, departed] of this.#silent) {
      if (departed.address !== address) continue;
      this.#confirm(id, "agent-down");
      this.#absences.watch(now, id, address);
    }
  }

  #confirm(id: NodeId, reason: "silent" | "agent-down"): void {
    this.#silent.delete(id);
    this.#context.emit({ type: "departure-confirmed", id, reason });
    // it may be well, hear nobody, and have told clients that the VIPs are its own
    const isOurs = reason === "silent" && this.#context.quorum.isMost;
    if (isOurs) this.#context.emit({ type: "announce-wanted" });
  }
}
