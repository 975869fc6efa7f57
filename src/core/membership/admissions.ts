// The master's answer to a join request (A2, A4). Whoever is accepted here becomes a member with its first
// keepalive, which proves that it has fetched the group key.
import type { NodeId } from "#base/ids.ts";
import { sameConfig } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import type { JoinRequest, RefusalReason } from "#wire/cluster/message.ts";
import { MAX_ROSTER } from "#wire/cluster/message.ts";
import type { Context } from "./context.ts";
import type { MemberWatch } from "./member-watch.ts";
import type { Received } from "./protocol.ts";

/** Time for the main thread of the joining node to fetch the key. */
export const FETCH_MS = 10_000;
/** A member whose other start still lives after so many waits is a second machine with its id. */
export const DUPLICATE_WAITS = 4;

interface Pending {
  readonly boot: bigint;
  readonly until: Instant;
}

export class Admissions {
  readonly #context: Context;
  /** Both bounded by the nodes of the configuration. */
  readonly #pending = new Map<NodeId, Pending>();
  readonly #waits = new Map<NodeId, number>();

  constructor(context: Context) {
    this.#context = context;
  }

  requested(
    now: Instant,
    received: Received,
    request: JoinRequest,
    members: ReadonlyMap<NodeId, MemberWatch>,
  ): void {
    const { sender, from, boot } = received;
    const nonce = { boot, request: request.request };
    const reason = this.#objection(received, members);
    if (reason !== undefined) return this.#refuse(now, received, nonce.request, reason);
    const { config, epoch, detection } = this.#context;
    if (this.#runsElsewhere(sender, boot, members)) {
      const retryMs = Math.ceil(detection.intervalMs / 2);
      return this.#context.send(from, { type: "join-wait", nonce, retryMs });
    }
    if (!sameConfig(request.config, config)) {
      return this.#context.send(from, {
        type: "exit-request",
        nonce,
        reason: "configuration",
        config,
      });
    }
    this.#waits.delete(sender);
    this.#pending.set(sender, { boot, until: after(now, FETCH_MS) });
    this.#context.send(from, { type: "join-accepted", nonce, epoch, config });
  }

  #objection(
    { sender, from }: Received,
    members: ReadonlyMap<NodeId, MemberWatch>,
  ): RefusalReason | undefined {
    if (this.#context.admitted.get(sender)?.address !== from) return "not-admitted";
    if ((this.#waits.get(sender) ?? 0) >= DUPLICATE_WAITS && members.has(sender)) {
      this.#waits.delete(sender);
      return "duplicate";
    }
    return members.size >= MAX_ROSTER - 1 && !members.has(sender) ? "full" : undefined;
  }

  /**
   * A restarted node waits until its former start is given up, so that a second machine under the same id
   * is told apart from a restart: the one keeps its keepalives coming, the other does not.
   */
  #runsElsewhere(sender: NodeId, boot: bigint, members: ReadonlyMap<NodeId, MemberWatch>): boolean {
    const watch = members.get(sender);
    if (watch === undefined || watch.boot === boot) return false;
    this.#waits.set(sender, (this.#waits.get(sender) ?? 0) + 1);
    return true;
  }

  #refuse(
    now: Instant,
    { sender, from, boot }: Received,
    request: number,
    reason: RefusalReason,
  ): void {
    this.#context.deny(now, sender, from, reason);
    const nonce = { boot, request };
    // two machines share the address of a duplicate: only a broadcast reaches both
    const to = reason === "duplicate" ? "everyone" : from;
    this.#context.send(to, { type: "join-refused", nonce, reason });
  }

  /** Whether the keepalive's sender was accepted; it is not any more afterwards. */
  take(now: Instant, id: NodeId, boot: bigint): boolean {
    const pending = this.#pending.get(id);
    if (pending === undefined || pending.boot !== boot || now > pending.until) return false;
    this.#pending.delete(id);
    return true;
  }

  withdraw(id: NodeId): void {
    this.#pending.delete(id);
  }
}
