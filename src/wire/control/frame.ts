// Framing of the control channel: [u32 length][u8 version][u8 type][payload], integers in network order. The length counts
// what follows it. A stream cannot be read on after a frame that we do not understand, so each failure is final
// and has a name; nothing here throws for what a peer sends.
import { assert } from "#base/assert.ts";
import type { ControlMessage, ControlMessageType } from "./message.ts";
import { MAX_SLOT_REPORT } from "./slot-report.ts";
import { decodePayload, encodePayload } from "./payload.ts";

export const CONTROL_VERSION = 1;
export const CONTROL_HEADER_LENGTH = 6;
/** Longest frame, header included. */
export const MAX_CONTROL_FRAME = 16 * 1024 * 1024;

export type ControlFailure = "oversize" | "unsupported-version" | "unsupported-type" | "malformed";

export type ControlReceived =
  | { readonly ok: true; readonly message: ControlMessage }
  | { readonly ok: false; readonly reason: ControlFailure };

interface Kind {
  readonly type: ControlMessageType;
  readonly code: number;
  /** A frame of this type with a longer payload is refused before it is buffered. */
  readonly maxPayload: number;
}

const KINDS: readonly Kind[] = [
  { type: "hello", code: 1, maxPayload: 1024 },
  { type: "group-key", code: 2, maxPayload: 128 },
  { type: "config", code: 3, maxPayload: 4 * 1024 * 1024 },
  { type: "config-ack", code: 4, maxPayload: 1024 },
  { type: "tables", code: 5, maxPayload: MAX_CONTROL_FRAME - CONTROL_HEADER_LENGTH },
  { type: "tables-ack", code: 6, maxPayload: 1024 },
  { type: "tables-wanted", code: 7, maxPayload: 1024 },
  { type: "request", code: 8, maxPayload: 1024 * 1024 },
  { type: "response", code: 9, maxPayload: 8 * 1024 * 1024 },
  { type: "ping", code: 10, maxPayload: 4 },
  { type: "pong", code: 11, maxPayload: 4 },
  { type: "slot-report", code: 12, maxPayload: MAX_SLOT_REPORT },
];
const KIND_BY_TYPE = new Map(KINDS.map((kind) => [kind.type, kind]));
const KIND_BY_CODE = new Map(KINDS.map((kind) => [kind.code, kind]));

function kindOf(type: ControlMessageType): Kind {
  const kind = KIND_BY_TYPE.get(type);
  assert(kind !== undefined, `a control message of a known type, not ${type}`);
  return kind;
}

/** The whole frame. Undefined when the message is longer than its type may be. */
export function encodeControl(message: ControlMessage): Uint8Array | undefined {
  const payload = encodePayload(message);
  const kind = kindOf(message.type);
  if (payload.byteLength > kind.maxPayload) return undefined;
  const frame = new Uint8Array(CONTROL_HEADER_LENGTH + payload.byteLength);
  new DataView(frame.buffer).setUint32(0, payload.byteLength + 2);
  frame[4] = CONTROL_VERSION;
  frame[5] = kind.code;
  frame.set(payload, CONTROL_HEADER_LENGTH);
  return frame;
}

/** What the six bytes of a header announce: a payload of that many bytes, or why not. */
function decodeHeader(header: Uint8Array): { kind: Kind; payloadLength: number } | ControlFailure {
  const length = new DataView(header.buffer, header.byteOffset).getUint32(0);
  if (length < 2) return "malformed";
  if (length > MAX_CONTROL_FRAME - 4) return "oversize";
  if (header[4] !== CONTROL_VERSION) return "unsupported-version";
  const kind = KIND_BY_CODE.get(header[5] ?? 0);
  if (kind === undefined) return "unsupported-type";
  return length - 2 > kind.maxPayload ? "oversize" : { kind, payloadLength: length - 2 };
}

const FIRST_CAPACITY = 1024;

/** Cuts a byte stream into messages. Holds at most one frame; after a failure it takes nothing more. */
export class ControlDecoder {
  #buffer = new Uint8Array(FIRST_CAPACITY);
  #filled = 0;
  #expected: { readonly kind: Kind; readonly payloadLength: number } | undefined;
  #failed = false;

  /** Bytes of the frame that has not arrived completely. */
  get bufferedBytes(): number {
    return this.#filled;
  }

  /** The messages that these bytes complete, in order; a failure is the last entry ever. */
  push(chunk: Uint8Array): ControlReceived[] {
    const received: ControlReceived[] = [];
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
    return CONTROL_HEADER_LENGTH + (this.#expected?.payloadLength ?? 0);
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

  #advance(): ControlReceived | undefined {
    if (this.#expected === undefined && this.#filled === CONTROL_HEADER_LENGTH) {
      const header = decodeHeader(this.#buffer);
      if (typeof header === "string") return { ok: false, reason: header };
      this.#expected = header;
    }
    return this.#complete && this.#expected !== undefined
      ? this.#finish(this.#expected.kind)
      : undefined;
  }

  #finish(kind: Kind): ControlReceived {
    // A copy: the message outlives this buffer.
    const payload = this.#buffer.slice(CONTROL_HEADER_LENGTH, this.#filled);
    this.#filled = 0;
    this.#expected = undefined;
    if (this.#buffer.byteLength > 64 * FIRST_CAPACITY)
      this.#buffer = new Uint8Array(FIRST_CAPACITY);
    const message = decodePayload(kind.type, payload);
    return message === undefined ? { ok: false, reason: "malformed" } : { ok: true, message };
  }
}
