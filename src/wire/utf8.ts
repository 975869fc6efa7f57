// UTF-8 (RFC 3629) for the pure layers, which have no TextEncoder. Strict: what is not UTF-8 is refused, not replaced,
// so that decoding and encoding again gives the same bytes.
import { assert } from "#base/assert.ts";

const REPLACEMENT = 0xfffd;
/** String.fromCharCode takes its characters as arguments; more than this at once may overflow the stack. */
const PIECE = 8192;

/** Bytes of the text. A lone surrogate, which UTF-8 cannot say, becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  const out = new Uint8Array(text.length * 3);
  let at = 0;
  for (let index = 0; index < text.length; index++) {
    let code = text.codePointAt(index) ?? REPLACEMENT;
    if (code >= 0x10000) index++;
    else if (code >= 0xd800 && code <= 0xdfff) code = REPLACEMENT;
    at = putCodePoint(out, at, code);
  }
  return out.slice(0, at);
}

function putCodePoint(out: Uint8Array, start: number, code: number): number {
  let at = start;
  if (code < 0x80) {
    out[at++] = code;
    return at;
  }
  if (code < 0x800) {
    out[at++] = 0xc0 | (code >> 6);
  } else {
    if (code < 0x10000) {
      out[at++] = 0xe0 | (code >> 12);
    } else {
      out[at++] = 0xf0 | (code >> 18);
      out[at++] = 0x80 | ((code >> 12) & 0x3f);
    }
    out[at++] = 0x80 | ((code >> 6) & 0x3f);
  }
  out[at++] = 0x80 | (code & 0x3f);
  return at;
}

/** How long a sequence is by its first byte; 0 for a byte that cannot come first. */
function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

const SMALLEST_OF_LENGTH = [0, 0, 0x80, 0x800, 0x10000];

/** The code point that starts at `at`, or undefined where no valid sequence does. */
function codePointIn(bytes: Uint8Array, at: number, length: number): number | undefined {
  const lead = bytes[at] ?? 0;
  if (length === 1) return lead;
  if (length === 0 || at + length > bytes.length) return undefined;
  let code = lead & (0x7f >> length);
  for (let next = at + 1; next < at + length; next++) {
    const byte = bytes[next] ?? 0;
    if ((byte & 0xc0) !== 0x80) return undefined;
    code = (code << 6) | (byte & 0x3f);
  }
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  const overlong = code < (SMALLEST_OF_LENGTH[length] ?? 0);
  return surrogate || overlong || code > 0x10ffff ? undefined : code;
}

/** Undefined when the bytes are not UTF-8: cut short, overlong, a surrogate, or beyond U+10FFFF. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  let text = "";
  let piece: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes[at] ?? 0);
    const code = codePointIn(bytes, at, length);
    if (code === undefined) return undefined;
    at += length;
    if (code < 0x10000) piece.push(code);
    else piece.push(0xd7c0 + (code >> 10), 0xdc00 | (code & 0x3ff));
    if (piece.length >= PIECE) {
      text += String.fromCharCode(...piece);
      piece = [];
    }
  }
  return text + String.fromCharCode(...piece);
}

/** Bytes of a text that must fit a length field; our own callers keep to the limit. */
export function encodeUtf8Within(text: string, limitBytes: number): Uint8Array {
  const bytes = encodeUtf8(text);
  assert(bytes.byteLength <= limitBytes, `a text of at most ${limitBytes} bytes`);
  return bytes;
}

/** One line that fits: control characters become blanks, and what is beyond the limit is cut off between two characters. */
export function clipToLine(text: string, limitBytes: number): string {
  let clipped = "";
  let bytes = 0;
  for (const character of text) {
    const length = encodeUtf8(character).byteLength;
    if (bytes + length > limitBytes) break;
    bytes += length;
    const code = character.codePointAt(0) ?? 0;
    clipped += code < 0x20 || (code >= 0x7f && code < 0xa0) ? " " : character;
  }
  return clipped.trim();
}
