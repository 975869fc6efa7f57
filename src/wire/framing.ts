// Frames on a byte stream: [u32 length][u8 version][u8 type][payload], the length in network order; it counts what follows it. A stream
// cannot be read on after a frame that we do not understand, so each failure is final and has a name; nothing here throws for what a
// peer sends. Which types there are, and what their payloads mean, is said by whoever makes a Framing.
import { assert } from "#base/assert.ts";

export const FRAME_HEADER_LENGTH = 6;
const FIRST_CAPACITY = 1024;

export type FrameFailure = "oversize" | "unsupported-version" | "unsupported-type" | "malformed";

export type FrameReceived<Message> =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly reason: FrameFailure };

export interface FrameKind<Type> {
  readonly type: Type;
  readonly code: number;
  /** A frame of this type with a longer payload is refused before it is buffered. */
  readonly maxPayload: number;
}

export interface FrameRules<Message extends { readonly type: string }> {
  readonly version: number;
  /** Longest frame, header included. */
  readonly maxFrame: number;
  readonly kinds: readonly FrameKind<Message["type"]>[];
  /** The payload alone; its length is checked here. */
  encode(message: Message): Uint8Array;
  /** Undefined: malformed. */
  decode(type: Message["type"], payload: Uint8Array): Message | undefined;
}

export class Framing<Message extends { readonly type: string }> {
  readonly rules: FrameRules<Message>;
  readonly #byType: ReadonlyMap<string, FrameKind<Message["type"]>>;
  readonly #byCode: ReadonlyMap<number, FrameKind<Message["type"]>>;

  constructor(rules: FrameRules<Message>) {
    this.rules = rules;
    this.#byType = new Map(rules.kinds.map((kind) => [kind.type, kind]));
    this.#byCode = new Map(rules.kinds.map((kind) => [kind.code, kind]));
  }

  /** The whole frame. Undefined when the message is longer than its type may be. */
  encode(message: Message): Uint8Array | undefined {
    const payload = this.rules.encode(message);
    const kind = this.#byType.get(message.type);
    assert(kind !== undefined, `a message of a known type, not ${message.type}`);
    if (payload.byteLength > kind.maxPayload) return undefined;
    const frame = new Uint8Array(FRAME_HEADER_LENGTH + payload.byteLength);
    new DataView(frame.buffer).setUint32(0, payload.byteLength + 2);
    frame[4] = this.rules.version;
    frame[5] = kind.code;
    frame.set(payload, FRAME_HEADER_LENGTH);
    return frame;
  }

  /** What the six bytes of a header announce: a payload of that many bytes, or why not. */
  header(bytes: Uint8Array): Announced<Message["type"]> | FrameFailure {
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    if (length < 2) return "malformed";
    if (length > this.rules.maxFrame - 4) return "oversize";
    if (bytes[4] !== this.rules.version) return "unsupported-version";
    const kind = this.#byCode.get(bytes[5] ?? 0);
    if (kind === undefined) return "unsupported-type";
    return length - 2 > kind.maxPayload
      ? "oversize"
      : { type: kind.type, payloadLength: length - 2 };
  }
}

interface Announced<Type> {
  readonly type: Type;
  readonly payloadLength: number;
}

/** Cuts a byte stream into messages. Holds at most one frame; after a failure it takes nothing more. */
export class FrameDecoder<Message extends { readonly type: string }> {
  readonly #framing: Framing<Message>;
  #buffer = new Uint8Array(FIRST_CAPACITY);
  #filled = 0;
  #expected: Announced<Message["type"]> | undefined;
  #failed = false;

  constructor(framing: Framing<Message>) {
    this.#framing = framing;
  }

  /** Bytes of the frame that has not arrived completely. */
  get bufferedBytes(): number {
    return this.#filled;
  }

  /** The messages that these bytes complete, in order; a failure is the last entry ever. */
  push(chunk: Uint8Array): FrameReceived<Message>[] {
    const received: FrameReceived<Message>[] = [];
    let rest = chunk;
    while (!this.#failed && (rest.byteLength > 0 || this.#complete)) {
      const taken = Math.min(rest.byteLength, this.#wanted - this.#filled);
      this.#append(rest.subarray(0, taken));
      rest = rest.subarray(taken);
      const outcome = this.#advance();
      if (outcome === undefined) continue;
      this.#failed = !outcome.ok;
      received.push(outcome);
    }
    return received;
  }

  get #wanted(): number {
    return FRAME_HEADER_LENGTH + (this.#expected?.payloadLength ?? 0);
  }

  get #complete(): boolean {
    return this.#expected !== undefined && this.#filled === this.#wanted;
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#filled + bytes.byteLength;
    if (needed > this.#buffer.byteLength) {
      // Doubled as bytes arrive, not as a header promises: a promise must not cost memory.
      const grown = new Uint8Array(Math.max(needed, 2 * this.#buffer.byteLength));
      grown.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#filled);
    this.#filled = needed;
  }

  #advance(): FrameReceived<Message> | undefined {
    if (this.#expected === undefined && this.#filled === FRAME_HEADER_LENGTH) {
      const header = this.#framing.header(this.#buffer);
      if (typeof header === "string") return { ok: false, reason: header };
      this.#expected = header;
    }
    return this.#complete && this.#expected !== undefined
      ? this.#finish(this.#expected.type)
      : undefined;
  }

  #finish(type: Message["type"]): FrameReceived<Message> {
    // A copy: the message outlives this buffer.
    const payload = this.#buffer.slice(FRAME_HEADER_LENGTH, this.#filled);
    this.#filled = 0;
    this.#expected = undefined;
    if (this.#buffer.byteLength > 64 * FIRST_CAPACITY)
      this.#buffer = new Uint8Array(FIRST_CAPACITY);
    const message = this.#framing.rules.decode(type, payload);
    return message === undefined ? { ok: false, reason: "malformed" } : { ok: true, message };
  }
}
