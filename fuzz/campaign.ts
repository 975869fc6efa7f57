// One target, one seed, many inputs. Inputs with a new outcome join the pool from which further ones are made; nothing else
// guides the search, which the small decoders here do not need.
import { Prng } from "#base/prng.ts";
import { mutate } from "./mutate.ts";
import type { Target } from "./target.ts";

/** Inputs that are kept beside the seeds; beyond, a random one makes room. */
const POOL_LIMIT = 512;

export interface Failure {
  readonly input: Uint8Array;
  readonly error: unknown;
}

export interface Progress {
  readonly runs: number;
  /** How many runs ended in each outcome. */
  readonly outcomes: ReadonlyMap<string, number>;
}

export class Campaign {
  readonly #target: Target;
  readonly #prng: Prng;
  readonly #pool: Uint8Array[];
  readonly #outcomes = new Map<string, number>();
  #runs = 0;

  constructor(target: Target, seed: number) {
    this.#target = target;
    this.#prng = new Prng(seed);
    this.#pool = [...target.seeds];
  }

  get progress(): Progress {
    return { runs: this.#runs, outcomes: this.#outcomes };
  }

  /** Runs one new input. `before` sees it first, in case the target never returns. */
  step(before: (input: Uint8Array) => void): Failure | undefined {
    const input = this.#next();
    before(input);
    this.#runs++;
    try {
      this.#note(this.#target.run(input), input);
      return undefined;
    } catch (error) {
      return { input, error };
    }
  }

  #next(): Uint8Array {
    const input = mutate(this.#prng, this.#prng.pick(this.#pool), this.#prng.pick(this.#pool));
    const { mend } = this.#target;
    return mend !== undefined && this.#prng.chance(0.7) ? mend(input) : input;
  }

  #note(outcome: string, input: Uint8Array): void {
    const count = this.#outcomes.get(outcome) ?? 0;
    this.#outcomes.set(outcome, count + 1);
    if (count > 0) return;
    if (this.#pool.length < POOL_LIMIT) this.#pool.push(input);
    else this.#pool[this.#prng.below(POOL_LIMIT)] = input;
  }
}
