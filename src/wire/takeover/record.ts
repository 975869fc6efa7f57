// The state of a TCP connection that outlives its member (A16), in the specification's parts, and its bytes. The calculable part is
// never sent: core/takeover/calculable.ts makes it. Little-endian.
//
//   initial    family (4 or 6)   VIP   peer   VIP's port (2)   peer's port (2)   MSS (2)   MSS and options (2)
//   essential  flags (2)   send next (4)   wl1 (4)   wl2 (4)   send window (4)   receive next (4)
//              receive advertised (4)   send scale (1)   receive scale (1)   recent timestamp (4)
//   clock      timestamp value (4)   read at, milliseconds of the owner's clock (8)
import { familyOf, type IpAddress, ipBytes, ipFromBytes } from "#base/address.ts";
import { assert } from "#base/assert.ts";
import type { ByteReader, ByteWriter } from "../byte-cursor.ts";
import { counter as readCounter, putCounter } from "../cluster/field.ts";

/** What names a connection in the whole cluster. */
export interface ConnectionKey {
  readonly vip: IpAddress;
  readonly port: number;
  readonly peer: IpAddress;
  readonly peerPort: number;
}

/** Sent once (A16). */
export interface InitialState {
  readonly key: ConnectionKey;
  /** Most bytes of data in a segment to the peer, as agreed, without options. */
  readonly mss: number;
  /** The same with the options that every segment carries: what the peer announced. */
  readonly mssWithOptions: number;
}

export interface ConnectionFlags {
  readonly noDelay: boolean;
  /** Neither side sends any option after the handshake. */
  readonly noOptions: boolean;
  readonly windowScalingRequested: boolean;
  readonly windowScalingReceived: boolean;
  readonly timestampsRequested: boolean;
  readonly timestampsReceived: boolean;
  readonly sackPermitted: boolean;
}

/** Sent whenever one of them changes in a way that the peer's next segment would not tell (A16). Sequence numbers: 32 bits. */
export interface EssentialState {
  readonly flags: ConnectionFlags;
  readonly sendNext: number;
  /** Sequence and acknowledgement of the segment that last changed the send window (RFC 9293 section 3.3.1). */
  readonly wl1: number;
  readonly wl2: number;
  /** In bytes: already scaled. */
  readonly sendWindow: number;
  readonly receiveNext: number;
  /** The right edge that was advertised to the peer. */
  readonly receiveAdvertised: number;
  readonly sendScale: number;
  readonly receiveScale: number;
  /** The peer's timestamp to echo next (RFC 7323 section 4.3). */
  readonly recentTimestamp: number;
}

/** Where the owner's timestamps stand: a value that goes back would make the peer drop everything (RFC 7323 section 5). */
export interface TimestampClock {
  /** 32 bits, one step a millisecond. */
  readonly value: number;
  readonly readAtMs: number;
}

/** RFC 7323 section 2.3: no scale is larger. */
export const MAX_SCALE = 14;

const FLAGS: readonly (keyof ConnectionFlags)[] = [
  "noDelay",
  "noOptions",
  "windowScalingRequested",
  "windowScalingReceived",
  "timestampsRequested",
  "timestampsReceived",
  "sackPermitted",
];

function putFlags(out: ByteWriter, flags: ConnectionFlags): void {
  let bits = 0;
  for (const [bit, name] of FLAGS.entries()) if (flags[name]) bits |= 1 << bit;
  out.u16(bits);
}

function readFlags(bytes: ByteReader): ConnectionFlags | undefined {
  const bits = bytes.u16();
  if (bits >> FLAGS.length !== 0) return undefined;
  const has = (name: keyof ConnectionFlags): boolean => ((bits >> FLAGS.indexOf(name)) & 1) === 1;
  return {
    noDelay: has("noDelay"),
    noOptions: has("noOptions"),
    windowScalingRequested: has("windowScalingRequested"),
    windowScalingReceived: has("windowScalingReceived"),
    timestampsRequested: has("timestampsRequested"),
    timestampsReceived: has("timestampsReceived"),
    sackPermitted: has("sackPermitted"),
  };
}

export function putInitial(out: ByteWriter, { key, mss, mssWithOptions }: InitialState): void {
  assert(familyOf(key.vip) === familyOf(key.peer), "both ends have addresses of one family");
  out.u8(familyOf(key.vip));
  out.put(ipBytes(key.vip));
  out.put(ipBytes(key.peer));
  out.u16(key.port);
  out.u16(key.peerPort);
  out.u16(mss);
  out.u16(mssWithOptions);
}

export function readInitial(bytes: ByteReader): InitialState | undefined {
  const family = bytes.u8();
  if (family !== 4 && family !== 6) return undefined;
  const length = family === 4 ? 4 : 16;
  const [vip, peer] = [bytes.take(length), bytes.take(length)];
  const [port, peerPort] = [bytes.u16(), bytes.u16()];
  const [mss, mssWithOptions] = [bytes.u16(), bytes.u16()];
  const isWhole = !bytes.short && port > 0 && peerPort > 0 && mss > 0 && mss <= mssWithOptions;
  if (!isWhole) return undefined;
  return {
    key: { vip: ipFromBytes(vip), port, peer: ipFromBytes(peer), peerPort },
    mss,
    mssWithOptions,
  };
}

export function putEssential(out: ByteWriter, state: EssentialState): void {
  putFlags(out, state.flags);
  out.u32(state.sendNext);
  out.u32(state.wl1);
  out.u32(state.wl2);
  out.u32(state.sendWindow);
  out.u32(state.receiveNext);
  out.u32(state.receiveAdvertised);
  out.u8(state.sendScale);
  out.u8(state.receiveScale);
  out.u32(state.recentTimestamp);
}

export function readEssential(bytes: ByteReader): EssentialState | undefined {
  const flags = readFlags(bytes);
  const [sendNext, wl1, wl2, sendWindow] = [bytes.u32(), bytes.u32(), bytes.u32(), bytes.u32()];
  const [receiveNext, receiveAdvertised] = [bytes.u32(), bytes.u32()];
  const [sendScale, receiveScale] = [bytes.u8(), bytes.u8()];
  const recentTimestamp = bytes.u32();
  if (flags === undefined || sendScale > MAX_SCALE || receiveScale > MAX_SCALE) return undefined;
  return {
    flags,
    sendNext,
    wl1,
    wl2,
    sendWindow,
    receiveNext,
    receiveAdvertised,
    sendScale,
    receiveScale,
    recentTimestamp,
  };
}

export function putClock(out: ByteWriter, clock: TimestampClock): void {
  out.u32(clock.value);
  putCounter(out, Math.round(clock.readAtMs));
}

export function readClock(bytes: ByteReader): TimestampClock | undefined {
  const value = bytes.u32();
  const readAtMs = readCounter(bytes);
  return readAtMs === undefined ? undefined : { value, readAtMs };
}
