// Brings the kernel's maps from whatever they hold to new tables, writing only what differs. The order makes every
// state in between one that a packet may meet, also the one that a killed agent leaves behind: services that vanish
// go first; then nodes, which groups hold, exceptions, slots, services, each needing only what was written before it; the version last.
import { ipBytes, macBytes, type IpAddress } from "#base/address.ts";
import { putMapped } from "#base/mapped-address.ts";
import { compareVersions, NO_NODE, type TableVersion } from "#base/ids.ts";
import { PanError } from "#base/error-codes.ts";
import type { GroupTable, Tables } from "#core/steering/tables.ts";
import {
  ADDRESS,
  FORMER,
  FORMER_OWNERS,
  SERVICE_HOLDS,
  SLOT_HAS_EXCEPTIONS,
  SLOT_HAS_FORMER,
  TABLE_ANY,
  TABLE_VIP,
  VIP_OF_MASTER,
  VIP_OF_NOBODY,
} from "./abi.gen.ts";
import { ExceptionMap, mapExceptions } from "./exception-map.ts";
import { GroupNumbers, portNumber } from "./group-numbers.ts";
import { bpfCheck, libbpf } from "./libbpf.ts";
import { NamedNodes } from "./named-nodes.ts";
import type { Mapping } from "../libc.ts";
import { readHashMap, ServiceMap, tableOfKey, type ServiceMapFds } from "./service-map.ts";
import { SessionIdle } from "./udp-sessions.ts";
import { NodeMap, SlotMaps, StateMap } from "./shared-maps.ts";
import type { GroupRegion } from "./slot-counters.ts";
import { type OtherPorts, planTables, type Capacities, type TablePlan } from "./table-plan.ts";
import { TunnelMap, type TunnelMapFds } from "./tunnel-map.ts";
import type { PublishReport } from "./types.ts";

const FORMER_STRIDE = FORMER.size / 2;
const ENOENT = 2;
/** Of a value of map vips. */
const HOLDER_SIZE = 2;

export interface TableMapFds extends ServiceMapFds, TunnelMapFds {
  readonly state: number;
  readonly slots: number;
  readonly former: number;
  readonly nodes: number;
  readonly vips: number;
  readonly exceptions: number;
  readonly sessionIdle: number;
  readonly otherPorts: number;
  readonly named: number;
}

const show = ({ epoch, counter, master }: TableVersion): string => `${epoch}.${counter}@${master}`;

/** Key of map vips: IPv4 as ::ffff:a.b.c.d. */
function vipKeyText(vip: IpAddress): string {
  const key = Buffer.alloc(ADDRESS.size);
  putMapped(key, 0, ipBytes(vip));
  return key.toString("latin1");
}

export class TableWriter {
  readonly state: StateMap;
  readonly tunnels: TunnelMap;
  readonly #slots: SlotMaps;
  readonly #nodes: NodeMap;
  readonly #services: ServiceMap;
  readonly #exceptionMemory: Mapping;
  readonly #exceptions: ExceptionMap;
  readonly #sessionIdle: SessionIdle;
  readonly #portMap: GroupNumbers;
  readonly #named: NamedNodes;
  readonly #vipsFd: number;
  /** With the value that says who answers. */
  readonly #vips = new Map<string, number>();
  readonly #capacities: Capacities;
  /** Names of the groups by counter index, as of the last publish. */
  #groupNames: ReadonlyMap<number, string> = new Map();
  #regions: readonly GroupRegion[] = [];
  /** Of the next publish. */
  otherPorts: OtherPorts = new Map();

  constructor(fds: TableMapFds, capacities: Capacities) {
    this.state = new StateMap(fds.state);
    this.#slots = new SlotMaps(fds.slots, fds.former, capacities.slots);
    this.#nodes = new NodeMap(fds.nodes);
    this.tunnels = new TunnelMap(fds, this.#nodes, this.state);
    this.#services = new ServiceMap(fds, capacities.services, this.state);
    this.#exceptionMemory = mapExceptions(fds.exceptions);
    this.#exceptions = new ExceptionMap(this.#exceptionMemory.cells, this.state);
    this.#sessionIdle = new SessionIdle(fds.sessionIdle, capacities.groups);
    this.#portMap = new GroupNumbers(fds.otherPorts, capacities.groups);
    this.#named = new NamedNodes(fds.named, capacities.groups);
    this.#vipsFd = fds.vips;
    this.#capacities = capacities;
    for (const [key, value] of readHashMap(fds.vips, ADDRESS.size, HOLDER_SIZE)) {
      this.#vips.set(key.toString("latin1"), value.readUInt16LE(0));
    }
  }

  /** Pinned flows that the map had no room for. */
  get unplaced(): number {
    return this.#exceptions.unplaced;
  }

  get groupNames(): ReadonlyMap<number, string> {
    return this.#groupNames;
  }

  /** Where the groups have their slots, as of the last publish. */
  get regions(): readonly GroupRegion[] {
    return this.#regions;
  }

  /** @param resetGroup clears the counter of a group index that is given to another group */
  publish(tables: Tables, resetGroup: (index: number) => void): PublishReport {
    const held = this.state.version;
    if (compareVersions(tables.version, held) < 0) {
      throw new PanError(
        "PAN_TABLES_OLD",
        `Refused to go back from tables ${show(held)} to ${show(tables.version)}: somebody else publishes newer ones.`,
      );
    }
    const plan = planTables(tables, this.#services.entries, this.#capacities, this.otherPorts);
    for (const key of plan.vanished) this.#services.delete(key);
    let nodes = 0;
    for (const { id, mac } of tables.nodes) if (this.#nodes.set(id, macBytes(mac))) nodes++;
    const holding = this.#writeHolding(plan);
    const pinned = plan.groups.map(({ table }) => table.exceptions);
    const added = this.#exceptions.add(tables.hashKey, pinned);
    const slots = this.#writeGroups(plan, resetGroup);
    this.state.setHash(tables.hash, tables.hashKey);
    const exceptions = added + this.#exceptions.keepOnly(pinned);
    this.state.delivery = tables.delivery;
    const vips = this.#writeVips(tables);
    const services = holding + this.#writeServices(plan) + plan.vanished.length;
    const removed = this.#removeVips(tables.vips);
    nodes += this.#nodes.keepOnly(new Set(tables.nodes.map(({ id }) => id)));
    this.#groupNames = new Map(plan.groups.map(({ table, entry }) => [entry.group, table.name]));
    this.#regions = plan.groups.map(({ table: { name }, entry: { base, slots } }) => ({
      name,
      base,
      slots,
    }));
    this.state.version = tables.version;
    return { nodes, slots, services, vips: vips + removed, exceptions };
  }

  close(): void {
    this.state.close();
    this.tunnels.close();
    this.#slots.close();
    this.#nodes.close();
    this.#services.close();
    this.#exceptionMemory.unmap();
    this.#sessionIdle.close();
    this.#portMap.close();
    this.#named.close();
  }

  /**
   * That packets wait for an owner is said before a slot loses its owner, and taken back after it has got one: otherwise the lease
   * holder takes a SYN in between, for a slot that goes to another node.
   */
  #writeHolding(plan: TablePlan): number {
    let written = 0;
    for (const { keys, entry } of plan.groups) {
      if ((entry.flags & SERVICE_HOLDS) === 0) continue;
      for (const key of keys) {
        const present = this.#services.entries.get(key);
        if (present?.base !== entry.base || present.group !== entry.group) continue;
        const flags = present.flags | SERVICE_HOLDS;
        if (this.#services.set(key, { ...present, flags })) written++;
      }
    }
    return written;
  }

  #writeGroups(plan: TablePlan, resetGroup: (index: number) => void): number {
    let changed = 0;
    for (const { table, entry, fresh } of plan.groups) {
      if (fresh) resetGroup(entry.group);
      this.#sessionIdle.setMs(entry.group, table.udpIdleMs);
      this.#portMap.set(entry.group, portNumber(this.otherPorts.get(table.name) ?? 0));
      if (table.policy === "quic") this.#named.setNodes(entry.group, table.named ?? []);
      changed += this.#writeSlots(table, entry.base);
    }
    return changed;
  }

  /** A slot's former owners are there before the slot says so, and go after it has stopped saying so. */
  #writeSlots({ owners, former, exceptions }: GroupTable, base: number): number {
    const kernel = this.#slots;
    const pinned = new Uint8Array(owners.length);
    for (let at = 0; at < exceptions.slots.length; at++) pinned[exceptions.slots[at] ?? 0] = 1;
    let changed = 0;
    for (let slot = 0; slot < owners.length; slot++) {
      const from = slot * FORMER_OWNERS;
      const to = (base + slot) * FORMER_STRIDE;
      let [any, isOther] = [0, false];
      for (let k = 0; k < FORMER_OWNERS; k++) {
        const id = former[from + k] ?? 0;
        any |= id;
        if (kernel.former[to + k] !== id) isOther = true;
      }
      const flags =
        (any === 0 ? 0 : SLOT_HAS_FORMER) | (pinned[slot] === 1 ? SLOT_HAS_EXCEPTIONS : 0);
      const value = (owners[slot] ?? 0) | flags;
      const isMoved = kernel.owners[base + slot] !== value;
      if (!isMoved && !isOther) continue;
      if (any === 0) kernel.owners[base + slot] = value;
      if (isOther) {
        for (let k = 0; k < FORMER_OWNERS; k++) kernel.former[to + k] = former[from + k] ?? 0;
      }
      if (any !== 0) kernel.owners[base + slot] = value;
      changed++;
    }
    return changed;
  }

  #writeServices(plan: TablePlan): number {
    const used = new Set(plan.groups.flatMap(({ keys }) => keys.map(tableOfKey)));
    const [anyPort, wholeVip] = [used.has(TABLE_ANY), used.has(TABLE_VIP)];
    if (anyPort) this.state.tableAnyUsed = true;
    if (wholeVip) this.state.tableVipUsed = true;
    let written = 0;
    for (const { keys, entry } of plan.groups) {
      for (const key of keys) if (this.#services.set(key, entry)) written++;
    }
    if (!anyPort) this.state.tableAnyUsed = false;
    if (!wholeVip) this.state.tableVipUsed = false;
    return written;
  }

  #writeVips({ vips, vipHolders }: Tables): number {
    let written = 0;
    for (const [index, vip] of vips.entries()) {
      const key = vipKeyText(vip);
      const holder = vipHolders?.holders[index] ?? NO_NODE;
      const placed = holder === NO_NODE ? VIP_OF_NOBODY : holder;
      const value = vipHolders === undefined ? VIP_OF_MASTER : placed;
      if (this.#vips.get(key) === value) continue;
      const [bytes, holding] = [Buffer.from(key, "latin1"), Buffer.alloc(HOLDER_SIZE)];
      holding.writeUInt16LE(value, 0);
      bpfCheck(libbpf().updateElem(this.#vipsFd, bytes, holding, 0), "write a VIP");
      this.#vips.set(key, value);
      written++;
    }
    return written;
  }

  #removeVips(vips: readonly IpAddress[]): number {
    const wanted = new Set(vips.map(vipKeyText));
    const unwanted = [...this.#vips.keys()].filter((key) => !wanted.has(key));
    for (const key of unwanted) {
      const result = libbpf().deleteElem(this.#vipsFd, Buffer.from(key, "latin1"));
      if (result !== -ENOENT) bpfCheck(result, "remove a VIP");
      this.#vips.delete(key);
    }
    return unwanted.length;
  }
}
