// The fields of tables as bytes, shared by both forms of tables-codec.ts. Readers answer undefined for what is not the one
// encoding of valid tables; whether the bytes merely ended too early is then to be seen in `reader.short`.
import { DELIVERY_METHODS, HASH_KINDS } from "#base/delivery.ts";
import { ipBytes, ipFromBytes, macBytes, macFromBytes, type IpAddress } from "#base/address.ts";
import { assert } from "#base/assert.ts";
import { MAX_NODE_ID, NO_NODE, type NodeId, type TableVersion } from "#base/ids.ts";
import type { ByteReader, ByteWriter } from "#wire/byte-cursor.ts";
import { type FlowKey, readFlow, writeFlow } from "#wire/flow-key.ts";
import { decodeUtf8, encodeUtf8Within } from "#wire/utf8.ts";
import { sameNumbers } from "./same-content.ts";
import { readColumn, wholeColumn, writeColumn, type SlotColumn } from "./slot-column.ts";
import {
  ANSWERS,
  FORMER_OWNERS,
  MAX_EXCEPTIONS,
  POLICIES,
  type Delivery,
  type Exceptions,
  type GroupTable,
  type NodeRow,
  type Protocol,
  type ServiceKey,
  type Tables,
  type VipHolders,
} from "./tables.ts";

/** Slots of all groups together. Bounds what a few bytes of runs can make a receiver allocate: 10 MiB. */
export const MAX_TABLE_SLOTS = 2 ** 20;
export const MAX_GROUP_SLOTS = 65_536;
const MAX_COUNT = 65_535;
const MAX_NAME_BYTES = 255;
const PROTOCOLS: readonly Protocol[] = ["tcp", "udp", "any"];
const ANY_PORT = 0;
const NO_ADDRESS = 0;

export const writeCount = (writer: ByteWriter, count: number): void => {
  assert(count <= MAX_COUNT, "a list in tables has at most 65 535 entries");
  writer.u16(count);
};

export function writeTableVersion(writer: ByteWriter, version: TableVersion): void {
  writer.u32(version.epoch);
  writer.u32(version.counter);
  writer.u16(version.master);
}

export function readTableVersion(reader: ByteReader): TableVersion | undefined {
  const version = { epoch: reader.u32(), counter: reader.u32(), master: reader.u16() as NodeId };
  return version.master > MAX_NODE_ID ? undefined : version;
}

export type Preamble = Omit<Tables, "groups">;

/** Everything but the groups. */
export function writePreamble(writer: ByteWriter, tables: Preamble): void {
  writeTableVersion(writer, tables.version);
  writer.u32(tables.hashKey[0]);
  writer.u32(tables.hashKey[1]);
  writer.u8(HASH_KINDS.indexOf(tables.hash));
  writeDelivery(writer, tables.delivery);
  writeCount(writer, tables.nodes.length);
  for (const node of tables.nodes) {
    writer.u16(node.id);
    writer.put(macBytes(node.mac));
  }
  writeCount(writer, tables.vips.length);
  for (const vip of tables.vips) writeIp(writer, vip);
  writeHolders(writer, tables);
}

function writeHolders(writer: ByteWriter, { vips, vipHolders }: Preamble): void {
  writer.u8(vipHolders === undefined ? 0 : 1);
  if (vipHolders === undefined) return;
  const { holders, homes } = vipHolders;
  assert(holders.length === vips.length && homes.length === vips.length, "every VIP has both");
  for (const [index, holder] of holders.entries()) {
    writer.u16(holder);
    writer.u16(homes[index] ?? NO_NODE);
  }
}

/** "none": the master answers for all. */
function readHolders(reader: ByteReader, count: number): VipHolders | "none" | undefined {
  const present = reader.u8();
  if (present === 0) return "none";
  if (present > 1) return undefined;
  const [holders, homes]: [NodeId[], NodeId[]] = [[], []];
  while (holders.length < count) {
    const [holder, home] = [reader.u16() as NodeId, reader.u16() as NodeId];
    if (reader.short || holder > MAX_NODE_ID || home > MAX_NODE_ID) return undefined;
    holders.push(holder);
    homes.push(home);
  }
  return { holders, homes };
}

export function readPreamble(reader: ByteReader): Preamble | undefined {
  const version = readTableVersion(reader);
  const hashKey = [reader.u32(), reader.u32()] as const;
  const hash = HASH_KINDS[reader.u8()];
  const delivery = readDelivery(reader);
  const nodes = readNodes(reader);
  const vips = readList(reader, () => readIp(reader));
  if (version === undefined || hash === undefined || delivery === undefined) return undefined;
  if (nodes === undefined || vips === undefined) return undefined;
  const vipHolders = readHolders(reader, vips.length);
  if (vipHolders === undefined) return undefined;
  const placed = vipHolders === "none" ? {} : { vipHolders };
  return { version, hashKey, hash, delivery, nodes, vips, ...placed };
}

function writeDelivery(writer: ByteWriter, { method, primary }: Delivery): void {
  writer.u8(DELIVERY_METHODS.indexOf(method));
  if (primary === undefined) writer.u8(NO_ADDRESS);
  else writeIp(writer, primary);
}

function readDelivery(reader: ByteReader): Delivery | undefined {
  const method = DELIVERY_METHODS[reader.u8()];
  const length = reader.u8();
  const primary = length === NO_ADDRESS ? undefined : readIpOf(reader, length);
  if (method === undefined || (length !== NO_ADDRESS && primary === undefined)) return undefined;
  return { method, primary };
}

/** Stops at the first entry that cannot be read, so that a wrong count costs nothing. */
function readList<T>(reader: ByteReader, readEntry: () => T | undefined): T[] | undefined {
  const count = reader.u16();
  const entries: T[] = [];
  while (entries.length < count) {
    const entry = readEntry();
    if (entry === undefined || reader.short) return undefined;
    entries.push(entry);
  }
  return entries;
}

function readNodes(reader: ByteReader): NodeRow[] | undefined {
  const seen = new Set<number>();
  return readList(reader, () => {
    const id = reader.u16();
    const mac = macFromBytes(reader.take(6));
    if (id === 0 || id > MAX_NODE_ID || seen.has(id)) return undefined;
    seen.add(id);
    return { id: id as NodeId, mac };
  });
}

function writeIp(writer: ByteWriter, address: IpAddress): void {
  const bytes = ipBytes(address);
  writer.u8(bytes.byteLength);
  writer.put(bytes);
}

const readIp = (reader: ByteReader): IpAddress | undefined => readIpOf(reader, reader.u8());

function readIpOf(reader: ByteReader, length: number): IpAddress | undefined {
  if (length !== 4 && length !== 16) return undefined;
  const bytes = reader.take(length);
  return reader.short ? undefined : ipFromBytes(bytes);
}

function writeService(writer: ByteWriter, service: ServiceKey): void {
  assert(service.port !== ANY_PORT, "a service has a port of 1 … 65 535, or any");
  assert(service.protocol !== "any" || service.port === "any", "any protocol goes with any port");
  writer.u8(PROTOCOLS.indexOf(service.protocol));
  writeIp(writer, service.vip);
  writer.u16(service.port === "any" ? ANY_PORT : service.port);
}

function readService(reader: ByteReader): ServiceKey | undefined {
  const protocol = PROTOCOLS[reader.u8()];
  const vip = readIp(reader);
  const port = reader.u16();
  if (protocol === undefined || vip === undefined) return undefined;
  if (protocol === "any" && port !== ANY_PORT) return undefined;
  return { protocol, vip, port: port === ANY_PORT ? "any" : port };
}

const formerColumn = (former: Uint16Array, age: number): SlotColumn => ({
  values: former,
  first: age,
  stride: FORMER_OWNERS,
  count: former.length / FORMER_OWNERS,
});

/** The five columns of a group: owners, homes, and former owners from the newest on. */
export const columnsOf = ({ owners, home, former }: Columns): SlotColumn[] => [
  wholeColumn(owners),
  wholeColumn(home),
  ...Array.from({ length: FORMER_OWNERS }, (_, age) => formerColumn(former, age)),
];

/** Everything of a group but its slots and what is pinned. */
export function writeGroupHead(writer: ByteWriter, group: GroupTable): void {
  const slots = group.owners.length;
  assert(slots >= 2 && slots <= MAX_GROUP_SLOTS, "a group has 2 … 65 536 slots");
  assert((slots & (slots - 1)) === 0, "the number of slots is a power of two");
  assert(group.home.length === slots, "every slot has a home");
  assert(group.former.length === slots * FORMER_OWNERS, "every slot has its former owners");
  const name = encodeUtf8Within(group.name, MAX_NAME_BYTES);
  writer.u8(name.byteLength);
  writer.put(name);
  writer.u8(POLICIES.indexOf(group.policy));
  writer.u8(holdingOf(group));
  writer.u32(group.udpIdleMs);
  writeCount(writer, group.services.length);
  for (const service of group.services) writeService(writer, service);
  if (group.policy === "quic") writeNamed(writer, group.named ?? []);
  writer.u8(31 - Math.clz32(slots));
}

function writeNamed(writer: ByteWriter, named: readonly NodeId[]): void {
  writeCount(writer, named.length);
  for (const id of named) writer.u16(id);
}

function readNamed(reader: ByteReader): NodeId[] | undefined {
  let previous = 0;
  return readList(reader, () => {
    const id = reader.u16();
    if (id <= previous || id > MAX_NODE_ID) return undefined;
    return (previous = id) as NodeId;
  });
}

export function writeGroup(writer: ByteWriter, group: GroupTable): void {
  writeGroupHead(writer, group);
  writeColumn(writer, wholeColumn(group.owners));
  const atHome = sameNumbers(group.home, group.owners);
  writer.u8(atHome ? 1 : 0);
  if (!atHome) writeColumn(writer, wholeColumn(group.home));
  for (let age = 0; age < FORMER_OWNERS; age++) {
    writeColumn(writer, formerColumn(group.former, age));
  }
  writeExceptions(writer, group.exceptions);
}

export function writeExceptions(writer: ByteWriter, exceptions: Exceptions): void {
  const { flows, nodes, slots } = exceptions;
  assert(flows.length <= MAX_EXCEPTIONS, "tables have at most 65 536 exceptions");
  writer.u32(flows.length);
  for (let index = 0; index < flows.length; index++) {
    writeFlow(writer, flows[index] ?? "");
    writer.u16(nodes[index] ?? 0);
    writer.u16(slots[index] ?? 0);
  }
}

/** @param slotCount of the group */
export function readExceptions(reader: ByteReader, slotCount: number): Exceptions | undefined {
  const count = reader.u32();
  if (reader.short || count > MAX_EXCEPTIONS) return undefined;
  const flows: FlowKey[] = [];
  const [nodes, slots] = [new Uint16Array(count), new Uint16Array(count)];
  let previous = "";
  for (let index = 0; index < count; index++) {
    const flow = readFlow(reader);
    const [node, slot] = [reader.u16(), reader.u16()];
    if (flow === undefined || reader.short || flow <= previous) return undefined;
    if (node === 0 || node > MAX_NODE_ID || slot >= slotCount) return undefined;
    flows.push(flow);
    nodes[index] = node;
    slots[index] = slot;
    previous = flow;
  }
  return { flows, nodes, slots };
}

/** 0: packets without an owner go to the stack, 1: they wait, 2 and more: they wait or are answered. */
const holdingOf = ({ holds, answer }: GroupTable): number =>
  holds ? 1 + (answer === undefined ? 0 : 1 + ANSWERS.indexOf(answer)) : 0;

/** Refuses a group of more than `slotLimit` slots before it allocates them. */
export function readGroup(reader: ByteReader, slotLimit: number): GroupTable | undefined {
  const name = decodeUtf8(reader.take(reader.u8()));
  const policy = POLICIES[reader.u8()];
  const holds = reader.u8();
  const udpIdleMs = reader.u32();
  const services = readList(reader, () => readService(reader));
  const named = policy === "quic" ? readNamed(reader) : undefined;
  const exponent = reader.u8();
  if (policy === "quic" && named === undefined) return undefined;
  if (name === undefined || policy === undefined || services === undefined) return undefined;
  const answer = ANSWERS[holds - 2];
  if (holds > 1 && answer === undefined) return undefined;
  if (exponent < 1 || exponent > 16 || 2 ** exponent > slotLimit) return undefined;
  const columns = readColumns(reader, 2 ** exponent);
  const exceptions = columns === undefined ? undefined : readExceptions(reader, 2 ** exponent);
  return columns === undefined || exceptions === undefined
    ? undefined
    : {
        name,
        policy,
        holds: holds > 0,
        ...(answer === undefined ? {} : { answer }),
        services,
        ...columns,
        udpIdleMs,
        ...(named === undefined ? {} : { named }),
        exceptions,
      };
}

export type Columns = Pick<GroupTable, "owners" | "home" | "former">;

function readColumns(reader: ByteReader, slots: number): Columns | undefined {
  const owners = new Uint16Array(slots);
  if (!readColumn(reader, wholeColumn(owners))) return undefined;
  const atHome = reader.u8();
  if (atHome > 1) return undefined;
  const home = atHome === 1 ? owners.slice() : new Uint16Array(slots);
  if (atHome === 0 && (!readColumn(reader, wholeColumn(home)) || sameNumbers(home, owners))) {
    return undefined;
  }
  const former = new Uint16Array(slots * FORMER_OWNERS);
  for (let age = 0; age < FORMER_OWNERS; age++) {
    if (!readColumn(reader, formerColumn(former, age))) return undefined;
  }
  return { owners, home, former };
}
