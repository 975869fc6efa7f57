// How many keepalives must fit into one detection interval, from the loss that their sequence numbers
// show (A17). More loss means more keepalives, never a later detection.

export const FEWEST_PER_INTERVAL = 2;
export const MOST_PER_INTERVAL = 20;
/** Assumed before anything is known, so that loss is survived from the first second (n = 5). */
export const INITIAL_LOSS = 0.1;
const POLICY = 1 / 3600;
const WEIGHT = 1 / 128;
/** A longer hole says no more about the next keepalive than this. */
const LONGEST_HOLE = 128;

/** The smallest n in 2..20 with n · Pⁿ < 1/3600; 20 when there is none. */
export function keepalivesPerInterval(loss: number): number {
  for (let n = FEWEST_PER_INTERVAL; n < MOST_PER_INTERVAL; n++) {
    if (n * loss ** n < POLICY) return n;
  }
  return MOST_PER_INTERVAL;
}

/** The loss on the way from one peer. */
export class LossEstimate {
  #loss = INITIAL_LOSS;
  #last: number | undefined;
  #perInterval = keepalivesPerInterval(INITIAL_LOSS);

  get loss(): number {
    return this.#loss;
  }

  get perInterval(): number {
    return this.#perInterval;
  }

  /** @param sequence rises by one with each keepalive that the peer sends */
  received(sequence: number): void {
    const last = this.#last;
    if (last !== undefined && sequence <= last) return;
    this.#last = sequence;
    if (last === undefined) return;
    const lost = Math.min(sequence - last - 1, LONGEST_HOLE);
    this.#loss = Math.min(1, this.#loss * (1 - WEIGHT) + lost * WEIGHT);
    this.#perInterval = keepalivesPerInterval(this.#loss);
  }
}
