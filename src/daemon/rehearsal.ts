// What a node has to compute when its master dies, done beforehand and thrown away. A function that runs for the first time in this
// process takes ten times as long as one that has run often, and on a busy machine clients would wait for that.

/** So many at the beginning, as often as asked; after that rarely enough to cost nothing. */
const FIRST = 20;
/** Of the time from one rehearsal to the next, at the beginning and later. */
const FIRST_SHARE = 0.05;
const SHARE = 0.001;

export class Rehearsal {
  readonly #act: () => void;
  readonly #nowMs: () => number;
  #done = 0;
  #nextMs = 0;

  constructor(act: () => void, nowMs: () => number) {
    this.#act = act;
    this.#nowMs = nowMs;
  }

  /** To be called every second or so. */
  perhaps(): void {
    const beganMs = this.#nowMs();
    if (beganMs < this.#nextMs) return;
    this.#act();
    this.#done += 1;
    const tookMs = this.#nowMs() - beganMs;
    this.#nextMs = beganMs + tookMs / (this.#done < FIRST ? FIRST_SHARE : SHARE);
  }
}
