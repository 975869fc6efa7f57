// What a server tells its operator on stderr: each kind of trouble at once, and then at most once in a while, with how often it was met.
export class Notices {
  readonly #write: (line: string) => void;
  readonly #everyMs: number;
  readonly #kinds = new Map<string, { last: string; missed: number }>();

  constructor(write: (line: string) => void, everyMs = 10_000) {
    this.#write = write;
    this.#everyMs = everyMs;
  }

  /** @param kind one of few */
  say(kind: string, line: string): void {
    const known = this.#kinds.get(kind);
    if (known !== undefined) {
      known.last = line;
      known.missed += 1;
      return;
    }
    this.#write(`${line}\n`);
    const entry = { last: line, missed: 0 };
    this.#kinds.set(kind, entry);
    setTimeout(() => {
      this.#kinds.delete(kind);
      const { missed, last } = entry;
      if (missed > 0) this.say(kind, missed === 1 ? last : `${last} (${missed} times of late)`);
    }, this.#everyMs).unref();
  }
}
