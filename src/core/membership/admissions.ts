// The master's answer to a join request (A2, A4, A10). Whoever is accepted here becomes a member with its first
// keepalive, which proves that it has fetched the group key.
import type { NodeId } from "#base/ids.ts";
import { sameConfig } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import type { JoinRequest, RefusalReason } from "#wire/cluster/message.ts";
import { MAX_REFUSAL_TEXT, MAX_ROSTER } from "#wire/cluster/message.ts";
import { clipToLine } from "#wire/utf8.ts";
import { Ballots } from "./ballots.ts";
import type { Context } from "./context.ts";
import type { MemberWatch } from "./member-watch.ts";
import type { Received, Verdict } from "./protocol.ts";

/** Time for the main thread of the joining node to fetch the key. */
export const FETCH_MS = 10_000;
/** A member whose other start still lives after so many waits is a second machine with its id. */
export const DUPLICATE_WAITS = 4;
/** While applications decide, the node asks so often; the answer does not wait for its question. */
export const VOTE_RETRY_MS = 250;

interface Pending {
  readonly boot: bigint;
  readonly until: Instant;
}

export class Admissions {
  readonly #context: Context;
  /** Both bounded by the nodes of the configuration. */
  readonly #pending = new Map<NodeId, Pending>();
  readonly #waits = new Map<NodeId, number>();
  readonly #ballots: Ballots;

  constructor(context: Context) {
    this.#context = context;
    this.#ballots = new Ballots(context);
  }

  get deadline(): Instant | undefined {
    return this.#ballots.deadline;
  }

  deadlineReached(now: Instant, members: ReadonlyMap<NodeId, MemberWatch>): void {
    for (const { received, request } of this.#ballots.expire(now)) {
      this.requested(now, received, request, members);
    }
  }

  /** The applications have decided: the last request is answered now, as far as nothing else forbids it meanwhile. */
  voted(
    now: Instant,
    ballot: number,
    verdict: Verdict,
    members: ReadonlyMap<NodeId, MemberWatch>,
  ): void {
    const question = this.#ballots.decide(now, ballot, verdict);
    if (question === undefined) return this.#context.ignore("unexpected");
    this.requested(now, question.received, question.request, members);
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
    const verdict = this.#verdict(now, received, request, members);
    if (verdict === undefined) {
      return this.#context.send(from, { type: "join-wait", nonce, retryMs: VOTE_RETRY_MS });
    }
    if (!verdict.accepted) {
      return this.#refuse(now, received, nonce.request, "application", verdict.text);
    }
    this.#ballots.forget(sender);
    this.#waits.delete(sender);
    this.#pending.set(sender, { boot, until: after(now, FETCH_MS) });
    this.#context.send(from, { type: "join-accepted", nonce, epoch, config });
  }

  /** Nobody is asked again about a start that was accepted, or that is a member: it only repeats its question. */
  #verdict(
    now: Instant,
    received: Received,
    request: JoinRequest,
    members: ReadonlyMap<NodeId, MemberWatch>,
  ): Verdict | undefined {
    const { sender, boot } = received;
    const pending = this.#pending.get(sender);
    const isAccepted = pending?.boot === boot && now <= pending.until;
    if (isAccepted || members.get(sender)?.boot === boot) return { accepted: true };
    return this.#ballots.verdictOn(now, { received, request });
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
    text?: string,
  ): void {
    const words = text === undefined ? {} : { text: clipToLine(text, MAX_REFUSAL_TEXT) };
    this.#context.deny(now, { sender, address: from, reason, ...words });
    const nonce = { boot, request };
    // two machines share the address of a duplicate: only a broadcast reaches both
    const to = reason === "duplicate" ? "everyone" : from;
    this.#context.send(to, { type: "join-refused", nonce, reason, ...words });
  }

  /** Whether the keepalive's sender was accepted; it is not any more afterwards. */
  take(now: Instant, id: NodeId, boot: bigint): boolean {
    const pending = this.#pending.get(id);
    if (pending === undefined || pending.boot !== boot || now > pending.until) return false;
    this.#pending.delete(id);
    return true;
  }

  /** It has to ask again: what was answered to a member that asked once more is not for whoever has been given up since. */
  departed(id: NodeId): void {
    this.#pending.delete(id);
  }

  withdraw(id: NodeId): void {
    this.#ballots.forget(id);
    this.#pending.delete(id);
  }
}
