// How a stream is cut into messages: lines, or messages behind their length. What stands for a message is passed on as it came.

export const FRAMINGS = ["line", "u8", "u16", "u32", "u16le", "u32le"] as const;
/** line: up to and with "\n"; the others: a length, big-endian unless "le", that does not count itself, and so many bytes. */
export type Framing = (typeof FRAMINGS)[number];

const LINE_END = 0x0a;
const PREFIX: Readonly<Record<Exclude<Framing, "line">, number>> = {
  ...{ u8: 1, u16: 2, u32: 4, u16le: 2, u32le: 4 },
};

export class FrameCutter {
  readonly #framing: Framing;
  readonly #maxFrame: number;
  #rest: Buffer = Buffer.alloc(0);
  /** Lines: so many bytes of the rest have no end in them. */
  #searched = 0;

  /** @param maxFrame bytes, with line end or length */
  constructor(framing: Framing, maxFrame: number) {
    this.#framing = framing;
    this.#maxFrame = maxFrame;
  }

  /** The beginning of a message, as far as it has come. */
  get rest(): Uint8Array {
    return this.#rest;
  }

  /** Whole messages; undefined: one is too long, and nothing that follows can be understood. */
  push(bytes: Uint8Array): Uint8Array[] | undefined {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: Uint8Array[] = [];
    let at = 0;
    for (;;) {
      const length = this.#lengthAt(at);
      if (length !== undefined && length > this.#maxFrame) return undefined;
      if (length === undefined || at + length > this.#rest.byteLength) break;
      frames.push(this.#rest.subarray(at, at + length));
      at += length;
    }
    this.#rest = this.#rest.subarray(at);
    this.#searched = this.#rest.byteLength;
    return this.#rest.byteLength > this.#maxFrame ? undefined : frames;
  }

  /** Of the message that begins there; undefined: not known yet. */
  #lengthAt(at: number): number | undefined {
    if (this.#framing === "line") {
      const end = this.#rest.indexOf(LINE_END, Math.max(at, this.#searched));
      return end < 0 ? undefined : end + 1 - at;
    }
    const prefix = PREFIX[this.#framing];
    if (at + prefix > this.#rest.byteLength) return undefined;
    const length = this.#framing.endsWith("le")
      ? this.#rest.readUIntLE(at, prefix)
      : this.#rest.readUIntBE(at, prefix);
    return prefix + length;
  }

  /** What has not become a message is forgotten. */
  clear(): void {
    this.#rest = Buffer.alloc(0);
    this.#searched = 0;
  }
}
