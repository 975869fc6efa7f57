// What nodes say on each private path (B11), a few dozen times a second: I am here, and these I have heard here. Ethernet, to everyone on the
// segment, EtherType 88b5 (IEEE 802, for local use):
//   "PNH"(3) version(1) path(1) key(1) node(2) boot(8) counter(8) | length(2) heard(length) | tag(16)
// Little-endian. heard: bit `id % 8` of byte `id / 8` stands for a node. tag: the first 16 bytes of HMAC-SHA256 over everything before it
// with the group key `key`; it is made and judged by whoever has the key (src/daemon/paths), not here.
import { assert } from "#base/assert.ts";
import { MAX_NODE_ID, type NodeId } from "#base/ids.ts";
import { refused, type Decoded } from "../decoded.ts";

export const HELLO_ETHERTYPE = 0x88b5;
export const HELLO_TAG = 16;
const MAGIC = [0x50, 0x4e, 0x48, 1] as const;
const [PATH, KEY, NODE, BOOT, COUNTER, LENGTH, HEARD] = [4, 5, 6, 8, 16, 24, 26] as const;
const LONGEST_HEARD = (MAX_NODE_ID + 1) / 8;

export interface Hello {
  /** Which of the node's paths it is, from 1; the same segment has the same number on every node. */
  readonly path: number;
  readonly keyId: number;
  readonly node: NodeId;
  /** Larger for a later start of the same node. */
  readonly boot: bigint;
  /** Rises with every hello on that path. */
  readonly counter: bigint;
  /** Whom the node hears on this path, in rising order. */
  readonly heard: readonly NodeId[];
}

/** Without its tag, for which there is room at the end. */
export function encodeHello(hello: Hello): Uint8Array {
  assert(hello.path >= 1 && hello.path <= 255, "a path has a number from 1 to 255");
  const length = Math.floor((hello.heard.at(-1) ?? -8) / 8) + 1;
  const bytes = new Uint8Array(HEARD + length + HELLO_TAG);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint8(PATH, hello.path);
  view.setUint8(KEY, hello.keyId);
  view.setUint16(NODE, hello.node, true);
  view.setBigUint64(BOOT, hello.boot, true);
  view.setBigUint64(COUNTER, hello.counter, true);
  view.setUint16(LENGTH, length, true);
  for (const id of hello.heard) {
    const at = HEARD + (id >> 3);
    bytes[at] = (bytes[at] ?? 0) | (1 << (id & 7));
  }
  return bytes;
}

/** What follows, such as the padding of a short frame, is not looked at: see `length`. */
export function decodeHello(bytes: Uint8Array): Decoded<Hello> {
  if (bytes.byteLength < HEARD + HELLO_TAG) return refused("incomplete");
  if (!MAGIC.slice(0, 3).every((byte, index) => bytes[index] === byte)) return refused("malformed");
  if (bytes[3] !== MAGIC[3]) return refused("unsupported");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint16(LENGTH, true);
  const node = view.getUint16(NODE, true);
  if (length > LONGEST_HEARD || node === 0 || node > MAX_NODE_ID) return refused("malformed");
  const end = HEARD + length + HELLO_TAG;
  if (bytes.byteLength < end) return refused("incomplete");
  const path = view.getUint8(PATH);
  // one encoding: no path 0, no node 0, no empty byte at the end
  if (path === 0 || (length > 0 && bytes[HEARD + length - 1] === 0)) return refused("malformed");
  if (length > 0 && ((bytes[HEARD] ?? 0) & 1) !== 0) return refused("malformed");
  const value: Hello = {
    path,
    keyId: view.getUint8(KEY),
    node: node as NodeId,
    boot: view.getBigUint64(BOOT, true),
    counter: view.getBigUint64(COUNTER, true),
    heard: nodesIn(bytes.subarray(HEARD, HEARD + length)),
  };
  return { ok: true, value, length: end };
}

function nodesIn(bits: Uint8Array): NodeId[] {
  const found: NodeId[] = [];
  for (const [index, byte] of bits.entries()) {
    for (let bit = 0; bit < 8; bit++) {
      if ((byte & (1 << bit)) !== 0) found.push((index * 8 + bit) as NodeId);
    }
  }
  return found;
}
