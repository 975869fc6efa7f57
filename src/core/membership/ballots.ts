// A10: the applications at the master are asked whether a node may join. Until they have answered, or their time is
// over, the node is told to wait. One ballot a node and start of it; bounded, whoever asks and how often.
import type { NodeId } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { JoinRequest } from "#wire/cluster/message.ts";
import type { Context } from "./context.ts";
import type { Received, Verdict } from "./protocol.ts";

/** Nodes that are voted on, or were refused a moment ago. Further ones are told to wait, and ask again. */
export const MAX_BALLOTS = 64;
/** So long a refusal answers further requests: applications are not asked as often as somebody likes to send. */
export const REFUSAL_STANDS_MS = 500;

interface Ballot {
  readonly number: number;
  readonly boot: bigint;
  /** The last request, with the nonce that an answer has to quote. */
  question: Question;
  until: Instant;
  verdict: Verdict | undefined;
}

export interface Question {
  readonly received: Received;
  readonly request: JoinRequest;
}

export class Ballots {
  readonly #context: Context;
  readonly #ballots = new Map<NodeId, Ballot>();

  constructor(context: Context) {
    this.#context = context;
  }

  get deadline(): Instant | undefined {
    if (this.#ballots.size === 0) return undefined; // asked after every step
    let first: Instant | undefined;
    for (const { until } of this.#ballots.values()) first = earliest(first, until);
    return first;
  }

  /** What the applications say to this request; undefined: not yet. */
  verdictOn(now: Instant, question: Question): Verdict | undefined {
    const { sender, boot } = question.received;
    const ballot = this.#ballots.get(sender);
    if (ballot?.boot === boot) {
      ballot.question = question;
      return ballot.verdict;
    }
    // an earlier start of the node is not waiting any more
    this.#ballots.delete(sender);
    const rule = this.#context.voteRule;
    if (rule === undefined) return { accepted: true };
    if (this.#ballots.size < MAX_BALLOTS) this.#open(now, question, rule.withinMs);
    return undefined;
  }

  #open(now: Instant, question: Question, withinMs: number): void {
    const { sender: id, from: address, boot } = question.received;
    const number = this.#context.nextBallot();
    const until = after(now, withinMs);
    this.#ballots.set(id, { number, boot, question, until, verdict: undefined });
    this.#context.emit({ type: "vote-wanted", ballot: number, id, address, withinMs });
  }

  /** Answers the request that the ballot was about; undefined: there is no such ballot, or it is over. */
  decide(now: Instant, number: number, verdict: Verdict): Question | undefined {
    for (const ballot of this.#ballots.values()) {
      if (ballot.number !== number || ballot.verdict !== undefined) continue;
      ballot.verdict = verdict;
      ballot.until = after(now, REFUSAL_STANDS_MS);
      return ballot.question;
    }
    return undefined;
  }

  /** Ends what is over. Answers the requests that the rule decides, because nobody else has. */
  expire(now: Instant): Question[] {
    const decided: Question[] = [];
    for (const [id, ballot] of this.#ballots) {
      if (now < ballot.until) continue;
      if (ballot.verdict !== undefined) {
        this.#ballots.delete(id);
        continue;
      }
      const outcome = this.#context.voteRule?.unanswered ?? "accept";
      const text = "no application answered in time";
      this.#context.emit({ type: "vote-unanswered", ballot: ballot.number, id, outcome });
      const verdict: Verdict =
        outcome === "accept" ? { accepted: true } : { accepted: false, text };
      const question = this.decide(now, ballot.number, verdict);
      if (question !== undefined) decided.push(question);
    }
    return decided;
  }

  forget(id: NodeId): void {
    this.#ballots.delete(id);
  }
}
