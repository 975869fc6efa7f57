// What the kernel says, and is told, about neighbours (rtnetlink(7), neighbour.h).
import { type IpAddress, ipFromBytes, macFromBytes, type MacAddress } from "#base/address.ts";
import { decodeAttributes, type Message } from "./message.ts";

export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;

/** Neighbour attributes. */
export const NDA = { address: 1, mac: 2, vlan: 5 } as const;

export interface Neighbour {
  readonly link: number;
  readonly address: IpAddress;
  readonly mac: MacAddress | undefined;
  /** Bits of NUD_*: 2 reachable, 4 stale, 8 delay, 16 probe, 32 failed, 128 permanent. */
  readonly state: number;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function addressOrUndefined(bytes: Uint8Array | undefined): IpAddress | undefined {
  const known = bytes?.byteLength === 4 || bytes?.byteLength === 16;
  return bytes !== undefined && known ? ipFromBytes(bytes) : undefined;
}

export const macOrUndefined = (bytes: Uint8Array | undefined): MacAddress | undefined =>
  bytes?.byteLength === 6 ? macFromBytes(bytes) : undefined;

/** ndmsg: family(8) pad(24) index(32) state(16) flags(8) type(8). */
export const NEIGHBOUR_LENGTH = 12;

export function neighbourHeader(family: number, link: number, flags = 0, state = 0): Uint8Array {
  const fixed = new Uint8Array(NEIGHBOUR_LENGTH);
  const view = viewOf(fixed);
  fixed[0] = family;
  view.setInt32(4, link, true);
  view.setUint16(8, state, true);
  fixed[10] = flags;
  return fixed;
}

export function decodeNeighbour({ payload }: Message): Neighbour | undefined {
  const attributes = decodeAttributes(payload.subarray(NEIGHBOUR_LENGTH));
  const address = addressOrUndefined(attributes.get(NDA.address));
  if (address === undefined) return undefined;
  const view = viewOf(payload);
  return {
    link: view.getInt32(4, true),
    address,
    mac: macOrUndefined(attributes.get(NDA.mac)),
    state: view.getUint16(8, true),
  };
}
