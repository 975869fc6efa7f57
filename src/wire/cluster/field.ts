// Fields that several cluster messages share, little-endian. Readers answer undefined, or set the reader's
// `short`, where the bytes are no such field; none of them throws.
import { assert } from "#base/assert.ts";
import {
  type IpAddress,
  ipBytes,
  ipFromBytes,
  type MacAddress,
  macBytes,
  macFromBytes,
} from "#base/address.ts";
import { type ConfigVersion, MAX_NODE_ID, type NodeId, type TableVersion } from "#base/ids.ts";
import type { ByteReader, ByteWriter } from "../byte-cursor.ts";
import { decodeUtf8, encodeUtf8Within } from "../utf8.ts";
import { MAX_EPOCH, type Nonce } from "./message.ts";

const TWO_32 = 2 ** 32;

export function putBoot(out: ByteWriter, boot: bigint): void {
  out.u32(Number(BigInt.asUintN(32, boot)));
  out.u32(Number(BigInt.asUintN(32, boot >> 32n)));
}

export function boot(bytes: ByteReader): bigint {
  const low = bytes.u32();
  return (BigInt(bytes.u32()) << 32n) | BigInt(low);
}

/** 64 bits on the wire, of which a sender uses 53. */
export function putCounter(out: ByteWriter, counter: number): void {
  out.u32(counter % TWO_32);
  out.u32(Math.floor(counter / TWO_32));
}

export function counter(bytes: ByteReader): number | undefined {
  const low = bytes.u32();
  const value = bytes.u32() * TWO_32 + low;
  return Number.isSafeInteger(value) ? value : undefined;
}

export function node(bytes: ByteReader): NodeId | undefined {
  const id = bytes.u16();
  return id <= MAX_NODE_ID ? (id as NodeId) : undefined;
}

export function putConfig(out: ByteWriter, config: ConfigVersion): void {
  out.u32(config.counter);
  for (let at = 0; at < 16; at += 2) {
    out.u8(Number.parseInt(config.digest.slice(at, at + 2) || "0", 16));
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function config(bytes: ByteReader): ConfigVersion {
  const counter = bytes.u32();
  let digest = "";
  for (const byte of bytes.take(8)) digest += HEX[byte];
  return { counter, digest };
}

export function putEpoch(out: ByteWriter, epoch: number): void {
  assert(Number.isInteger(epoch) && epoch >= 0 && epoch <= MAX_EPOCH, "an epoch has 32 bits");
  out.u32(epoch);
}

export function putTables(out: ByteWriter, tables: TableVersion): void {
  putEpoch(out, tables.epoch);
  out.u32(tables.counter);
  out.u16(tables.master);
}

export function tables(bytes: ByteReader): TableVersion | undefined {
  const epoch = bytes.u32();
  const counter = bytes.u32();
  const master = node(bytes);
  return master === undefined ? undefined : { epoch, counter, master };
}

export function putNonce(out: ByteWriter, nonce: Nonce): void {
  putBoot(out, nonce.boot);
  out.u32(nonce.request);
}

export const nonce = (bytes: ByteReader): Nonce => ({ boot: boot(bytes), request: bytes.u32() });

export const putMac = (out: ByteWriter, mac: MacAddress): void => out.put(macBytes(mac));

export const mac = (bytes: ByteReader): MacAddress => macFromBytes(bytes.take(6));

export function putIp(out: ByteWriter, ip: IpAddress): void {
  const octets = ipBytes(ip);
  out.u8(octets.byteLength);
  out.put(octets);
}

export function ip(bytes: ByteReader): IpAddress | undefined {
  const length = bytes.u8();
  if (length !== 4 && length !== 16) return undefined;
  const octets = bytes.take(length);
  return octets.byteLength === length ? ipFromBytes(octets) : undefined;
}

/** Length in one byte, then UTF-8. */
export function putText(out: ByteWriter, text: string, limitBytes: number): void {
  const bytes = encodeUtf8Within(text, limitBytes);
  out.u8(bytes.byteLength);
  out.put(bytes);
}

export function text(bytes: ByteReader, limitBytes: number): string | undefined {
  const length = bytes.u8();
  return length > limitBytes ? undefined : decodeUtf8(bytes.take(length));
}
