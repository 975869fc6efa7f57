// What stays in a node's kernel when its agent dies: the packet program with its tables and leases, the VIPs, and the server's
// TCP connections. It is gone when the machine restarts.
import { ipBytes, macBytes, type IpAddress, type MacAddress } from "#base/address.ts";
import { compareVersions, NO_TABLES, type NodeId, type TableVersion } from "#base/ids.ts";
import { FragmentMemory } from "#core/steering/fragments.ts";
import type { IndexedTables } from "#core/steering/indexed-tables.ts";
import type { Flow } from "#core/steering/packet.ts";
import type { Connection } from "#core/steering/former-slots.ts";
import type { Tables } from "#core/steering/tables.ts";
import { PROTOCOL_UDP } from "#wire/ipv4.ts";
import { clientBytes, type ClientFlow, type ClientFrame, VIP_BYTES } from "./client-frame.ts";
import { SESSION_IDLE_MS } from "./cluster-spec.ts";
import { type Arrival, type Program, SteeringMemory, type Step } from "./steering-memory.ts";
import { indexOf } from "./tables-bytes.ts";

const EMPTY: Tables = {
  version: NO_TABLES,
  delivery: { method: "forward", primary: undefined },
  hash: "keyed",
  hashKey: [0, 0],
  nodes: [],
  vips: [],
  groups: [],
};

/** Enough of a flow to tell the simulator's clients and their connections apart. */
export const connectionKey = (client: number, port: number): number => client * 65_536 + port;

/** As its server's kernel lists it. */
export const connectionOf = ({ protocol, client, from, to }: ClientFlow): Connection => ({
  source: clientBytes(client),
  sourcePort: from,
  destination: VIP_BYTES,
  destinationPort: to,
  halfOpen: false,
  protocol,
});

const keyOfFlow = ({ source, sourcePort }: Flow): number =>
  connectionKey(source[source.byteLength - 1] ?? 0, sourcePort);

/** Reads like the context that steer() wants, and is always up to date. */
export class PacketProgram implements Program {
  readonly self: NodeId;
  readonly mac: Uint8Array;
  readonly fragments = new FragmentMemory(64);
  /** There is always room for frames that wait. */
  readonly canHold = (): boolean => true;
  /** By connectionKey: as the kernel lists them to whoever asks for its sockets, and UDP sessions that have not been forgotten. */
  readonly connections = new Map<number, Connection>();
  /** By connectionKey: when each UDP session had its last packet here, by this node's clock (B12). */
  readonly #lastMs = new Map<number, number>();
  readonly #memory = new SteeringMemory(this);
  readonly #nowMs: () => number;
  #tables: Tables = EMPTY;
  #indexed: IndexedTables = indexOf(EMPTY);
  /** By this node's clock. */
  leaseUntilMs = 0;
  /**
   * The right to take flooded frames (docs/adr/0008), renewed by a heart that runs; what is left of it when it does not. Asked and
   * not pushed, since a heart renews it forty times a second.
   */
  acceptUntil: () => number = () => 0;
  /** What this node listens to besides its own MAC (A13); once listened to, a cluster MAC stays so. */
  readonly listensTo = new Set<string>();
  /** VIPs that are on the interface, so that the kernel answers questions for them that the program lets pass. */
  answers: readonly IpAddress[] = [];
  /** Rises with everything that frames may notice. */
  changes = 0;

  /** @param nowMs this node's clock */
  constructor(self: NodeId, mac: MacAddress, nowMs: () => number) {
    this.self = self;
    this.mac = macBytes(mac);
    this.#nowMs = nowMs;
  }

  get installed(): Tables {
    return this.#tables;
  }

  get version(): TableVersion {
    return this.#tables.version;
  }

  get tables(): IndexedTables {
    return this.#indexed;
  }

  get leased(): boolean {
    return this.#nowMs() < this.leaseUntilMs;
  }

  get accepting(): boolean {
    return this.#nowMs() < this.acceptUntil();
  }

  /** Stage announce of the pipeline, and the kernel behind it. */
  answersFor(vip: IpAddress): boolean {
    if (!this.answers.includes(vip)) return false;
    const holder = this.#indexed.holderOf(ipBytes(vip));
    return holder === "master" ? this.leased : holder === this.self && this.accepting;
  }

  /** What becomes of a frame here. */
  steer(frame: ClientFrame, arrival: Arrival): Step {
    return this.#memory.steer(frame, arrival);
  }

  knows(flow: Flow): boolean {
    const key = keyOfFlow(flow);
    return this.connections.get(key)?.protocol === flow.protocol && !this.#isIdle(key);
  }

  #isIdle(key: number): boolean {
    const lastMs = this.#lastMs.get(key);
    return lastMs !== undefined && this.#nowMs() - lastMs > SESSION_IDLE_MS;
  }

  noteSession(flow: Flow): void {
    const key = keyOfFlow(flow);
    this.#lastMs.set(key, this.#nowMs());
    if (this.connections.has(key)) return;
    const { source, sourcePort, destinationPort } = flow;
    const client = source[source.byteLength - 1] ?? 0;
    const ends = { client, from: sourcePort, to: destinationPort };
    this.connections.set(key, connectionOf({ protocol: PROTOCOL_UDP, ...ends }));
  }

  /** What it lists to whoever asks; sessions that have been idle for too long are forgotten. */
  listConnections(): Connection[] {
    for (const key of this.#lastMs.keys()) if (this.#isIdle(key)) this.forget(key);
    return [...this.connections.values()];
  }

  forget(key: number): void {
    this.connections.delete(key);
    this.#lastMs.delete(key);
  }

  /** Whether the UDP session has had no packet for so long that it follows the table. */
  hasForgotten(key: number): boolean {
    return !this.connections.has(key) || this.#isIdle(key);
  }

  /** False: the kernel holds a later version, and keeps it. */
  publish(tables: Tables): boolean {
    if (compareVersions(tables.version, this.#tables.version) < 0) return false;
    const before = this.#tables;
    this.#tables = tables;
    this.#indexed = indexOf(tables);
    this.#memory.replaced(before);
    this.changes += 1;
    return true;
  }
}
