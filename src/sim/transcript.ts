// What happened in a run: a digest over every delivery and decision, by which two runs are told to be the same, and the last
// notable events as text for whoever has to find out why a checker failed.

export interface TranscriptEntry {
  readonly atMs: number;
  /** A node's number, or 0 for the world around them. */
  readonly node: number;
  readonly what: string;
  /** A function makes it when it is printed. */
  readonly detail: unknown;
}

const KEPT = 600;

const plain = (_key: string, value: unknown): unknown => {
  if (typeof value === "bigint") return String(value);
  return value instanceof Uint8Array || value instanceof Uint16Array ? `${value.length}…` : value;
};

function shown({ atMs, node, what, detail }: TranscriptEntry): string {
  const seconds = (atMs / 1000).toFixed(4).padStart(10);
  const value: unknown = typeof detail === "function" ? detail() : detail;
  const text = typeof value === "string" ? value : JSON.stringify(value, plain);
  const where = node === 0 ? "world" : `n${node}`;
  return `${seconds}  ${where.padEnd(6)} ${what}${text === undefined ? "" : ` ${text}`}`;
}

export class Transcript {
  /** A ring: text is only made when somebody asks for it. */
  readonly #entries: TranscriptEntry[] = [];
  #next = 0;
  #low = 0x811c9dc5;
  #high = 0x01000193;
  events = 0;

  /** Goes into the digest only: every delivery, every wake-up. */
  count(atMs: number, node: number, code: number): void {
    this.events += 1;
    const fraction = Math.imul((atMs * 1000) | 0, 0x9e3779b1);
    this.#low = Math.imul(this.#low ^ fraction ^ (code << 12) ^ node, 0x01000193);
    this.#high = (Math.imul(this.#high, 0x85ebca6b) ^ (this.#low >>> 15)) | 0;
  }

  note(atMs: number, node: number, what: string, detail?: unknown): void {
    this.count(atMs, node, what.length);
    this.#entries[this.#next % KEPT] = { atMs, node, what, detail };
    this.#next += 1;
  }

  get digest(): string {
    const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
    return hex(this.#high) + hex(this.#low);
  }

  /** Oldest first. */
  last(count: number): string[] {
    const from = Math.max(0, this.#next - Math.min(count, KEPT));
    const lines: string[] = [];
    for (let index = from; index < this.#next; index++) {
      const entry = this.#entries[index % KEPT];
      if (entry !== undefined) lines.push(shown(entry));
    }
    return lines;
  }
}
