// A seeded generator (xorshift128, Marsaglia 2003) for whatever must be random and repeatable.

export class Prng {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    // splitmix32 spreads small seeds over the whole state, which must not be all zero
    this.#state = new Uint32Array(4);
    let z = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      z = (z + 0x9e3779b9) >>> 0;
      let x = z;
      x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
      x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
      this.#state[i] = (x ^ (x >>> 15)) | 1;
    }
  }

  /** 0 … 2^32 − 1. */
  uint32(): number {
    const s = this.#state;
    const t = s[3] ?? 0;
    const first = s[0] ?? 0;
    s[3] = s[2] ?? 0;
    s[2] = s[1] ?? 0;
    s[1] = first;
    let x = t ^ (t << 11);
    x ^= x >>> 8;
    s[0] = x ^ first ^ (first >>> 19);
    return s[0] ?? 0;
  }

  /** 0 … limit − 1. */
  below(limit: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * limit);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.uint32() < probability * 2 ** 32;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("Cannot pick from an empty list");
    return item;
  }

  shuffle<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const swapped = result[i] as T;
      result[i] = result[j] as T;
      result[j] = swapped;
    }
    return result;
  }
}
