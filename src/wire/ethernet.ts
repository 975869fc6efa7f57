// Ethernet II header (IEEE 802.3):  destination(6) source(6) EtherType(2)
import { assert } from "#base/assert.ts";

export const ETHERNET_LENGTH = 14;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
const DESTINATION = 0;
/** Where the source MAC stands in a frame. */
export const SOURCE = 6;
const ETHERTYPE = 12;

/** Everybody on the segment. */
export const BROADCAST: Uint8Array = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

/** Fields of the caller's frame, in place. */
export class EthernetView {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    assert(bytes.byteLength >= ETHERNET_LENGTH, "a view is made over checked bytes only");
    this.#bytes = bytes;
  }

  get destination(): Uint8Array {
    return this.#bytes.subarray(DESTINATION, SOURCE);
  }

  set destination(mac: Uint8Array) {
    this.#bytes.set(mac.subarray(0, 6), DESTINATION);
  }

  get source(): Uint8Array {
    return this.#bytes.subarray(SOURCE, ETHERTYPE);
  }

  set source(mac: Uint8Array) {
    this.#bytes.set(mac.subarray(0, 6), SOURCE);
  }

  get etherType(): number {
    return ((this.#bytes[ETHERTYPE] ?? 0) << 8) | (this.#bytes[ETHERTYPE + 1] ?? 0);
  }

  set etherType(value: number) {
    this.#bytes[ETHERTYPE] = value >>> 8;
    this.#bytes[ETHERTYPE + 1] = value & 0xff;
  }
}

/** A frame without padding and without checksum; the payload is copied. */
export function encodeEthernet(
  header: {
    readonly destination: Uint8Array;
    readonly source: Uint8Array;
    readonly etherType: number;
  },
  payload: Uint8Array,
): Uint8Array {
  const frame = new Uint8Array(ETHERNET_LENGTH + payload.byteLength);
  const view = new EthernetView(frame);
  view.destination = header.destination;
  view.source = header.source;
  view.etherType = header.etherType;
  frame.set(payload, ETHERNET_LENGTH);
  return frame;
}
