// One vote on a join (A10), as it is collected from the applications of this node: all have to agree, one refusal is enough. An
// application that ends before it has answered leaves its part to the configuration's rule.
import type { Verdict, VoteRule } from "#core/membership/protocol.ts";

export interface Voter {
  readonly name: string;
}

export class Poll {
  readonly #unanswered: VoteRule["unanswered"];
  readonly #waitingFor: Set<Voter>;
  #verdict: Verdict | undefined;

  constructor(voters: Iterable<Voter>, unanswered: VoteRule["unanswered"]) {
    this.#waitingFor = new Set(voters);
    this.#unanswered = unanswered;
    if (this.#waitingFor.size === 0) this.#verdict = { accepted: true };
  }

  /** Undefined: somebody has still to answer. */
  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** Names of those that have not answered yet. */
  get missing(): string[] {
    return Array.from(this.#waitingFor, ({ name }) => name);
  }

  /** `refusal`: the reason; undefined: it accepts. False: it was not asked, or has answered already. */
  answered(voter: Voter, refusal: string | undefined): boolean {
    if (this.#verdict !== undefined || !this.#waitingFor.delete(voter)) return false;
    if (refusal !== undefined) {
      const words = refusal === "" ? "refused without a reason" : refusal;
      this.#verdict = { accepted: false, text: `${voter.name}: ${words}` };
    } else if (this.#waitingFor.size === 0) this.#verdict = { accepted: true };
    return true;
  }

  /** It will not answer any more. */
  gone(voter: Voter): boolean {
    return this.answered(
      voter,
      this.#unanswered === "accept" ? undefined : "it ended without an answer",
    );
  }
}
