// Netlink messages as bytes: header (RFC 3549, section 2.3.2), attributes, acknowledgements with extended
// text. Netlink is spoken in the byte order of the host; Node runs on little-endian Linux only.
//
//   length(32) type(16) flags(16) sequence(32) port(32) | fixed part of the type | attributes
//   attribute: length(16) type(16) value, padded to four bytes
import { assert } from "#base/assert.ts";

export const HEADER_LENGTH = 16;
const ATTRIBUTE_HEADER_LENGTH = 4;
/** Nested and byte order flags share the field with the type. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
/** In an answer to a dump: a change happened meanwhile, the dump may be inconsistent. */
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;
export const NLM_F_DUMP = 0x300;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

const NLMSGERR_ATTR_MSG = 1;

const padded = (length: number): number => (length + 3) & ~3;
const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

/** The value of a 32-bit attribute. */
export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
}

export interface Request {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The part with a fixed layout: ifinfomsg, ifaddrmsg, rtmsg, ndmsg. */
  readonly fixed: Uint8Array;
  readonly attributes: readonly Attribute[];
}

export function encodeRequest(request: Request): Uint8Array {
  const sizes = request.attributes.map(
    ({ value }) => ATTRIBUTE_HEADER_LENGTH + padded(value.byteLength),
  );
  const start = HEADER_LENGTH + padded(request.fixed.byteLength);
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, start));
  const view = viewOf(bytes);
  view.setUint32(0, bytes.byteLength, true);
  view.setUint16(4, request.type, true);
  view.setUint16(6, request.flags, true);
  view.setUint32(8, request.sequence, true);
  bytes.set(request.fixed, HEADER_LENGTH);
  let offset = start;
  for (const [index, { type, value }] of request.attributes.entries()) {
    assert(
      value.byteLength <= 0xffff - ATTRIBUTE_HEADER_LENGTH,
      "an attribute has 16 bits of length",
    );
    view.setUint16(offset, ATTRIBUTE_HEADER_LENGTH + value.byteLength, true);
    view.setUint16(offset + 2, type, true);
    bytes.set(value, offset + ATTRIBUTE_HEADER_LENGTH);
    offset += sizes[index] ?? 0;
  }
  return bytes;
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Everything after the header. */
  readonly payload: Uint8Array;
}

/** The messages of one datagram. What is cut short at the end is left out. */
export function decodeMessages(bytes: Uint8Array): Message[] {
  const view = viewOf(bytes);
  const messages: Message[] = [];
  let offset = 0;
  while (offset + HEADER_LENGTH <= bytes.byteLength) {
    const length = view.getUint32(offset, true);
    if (length < HEADER_LENGTH || offset + length > bytes.byteLength) break;
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      payload: bytes.subarray(offset + HEADER_LENGTH, offset + length),
    });
    offset += padded(length);
  }
  return messages;
}

/** Attributes by type; of several with one type the last one counts. */
export function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const view = viewOf(bytes);
  const attributes = new Map<number, Uint8Array>();
  let offset = 0;
  while (offset + ATTRIBUTE_HEADER_LENGTH <= bytes.byteLength) {
    const length = view.getUint16(offset, true);
    if (length < ATTRIBUTE_HEADER_LENGTH || offset + length > bytes.byteLength) break;
    attributes.set(
      view.getUint16(offset + 2, true) & ATTRIBUTE_TYPE_MASK,
      bytes.subarray(offset + ATTRIBUTE_HEADER_LENGTH, offset + length),
    );
    offset += padded(length);
  }
  return attributes;
}

export const readUint8 = (value: Uint8Array | undefined): number | undefined => value?.[0];

export const readUint32 = (value: Uint8Array | undefined): number | undefined =>
  value === undefined || value.byteLength < 4 ? undefined : viewOf(value).getUint32(0, true);

/** Text with or without its closing zero byte. */
export function readText(value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

export interface Acknowledgement {
  /** 0: done. Otherwise a positive errno. */
  readonly errno: number;
  /** The kernel's explanation (NETLINK_EXT_ACK), where it gives one. */
  readonly text: string | undefined;
}

/** The payload of NLMSG_ERROR: a negative errno, the request (only its header when capped), attributes. */
export function decodeAcknowledgement({ flags, payload }: Message): Acknowledgement {
  if (payload.byteLength < 4 + HEADER_LENGTH) return { errno: 0, text: undefined };
  const view = viewOf(payload);
  const errno = -view.getInt32(0, true);
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, text: undefined };
  const echoed = (flags & NLM_F_CAPPED) === 0 ? view.getUint32(4, true) : HEADER_LENGTH;
  const attributes = decodeAttributes(payload.subarray(4 + padded(echoed)));
  return { errno, text: readText(attributes.get(NLMSGERR_ATTR_MSG)) };
}
