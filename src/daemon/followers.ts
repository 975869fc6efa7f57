// The master's side of the control channel: brings each member to the present key, configuration and
// tables, and takes acknowledgements and operators' changes from it (A4, B9).
import { compareVersions, type ConfigVersion, type NodeId, sameConfig } from "#base/ids.ts";
import type { TableVersion } from "#base/ids.ts";
import type { IpAddress } from "#base/address.ts";
import type { Tables } from "#core/steering/tables.ts";
import { TablesOut } from "#core/steering/tables-out.ts";
import { type ControlPeer, ControlServer } from "#driver/control/server.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import type { ControlMessage, Hello, WantedSlot } from "#wire/control/message.ts";
import { encodeControl } from "#wire/control/frame.ts";
import type { JsonValue } from "#wire/control/json.ts";
import type { HealthReport } from "#wire/control/health-report.ts";
import type { FlowReport } from "#wire/control/flow-report.ts";
import type { SlotReport } from "#wire/control/slot-report.ts";
import { Agreement } from "./agreement.ts";
import type { ConfigInForce } from "./config-store.ts";
import type { GroupKeys } from "./group-keys.ts";
import { refusalOf } from "./trust.ts";
import type { Trouble } from "./trouble.ts";

/** What became of a change that a member passed on. */
export interface ChangeAnswer {
  readonly status: number;
  readonly body: JsonValue;
}

export interface FollowersOptions {
  readonly identity: NodeIdentity;
  readonly address: IpAddress;
  /** 0: any free port; see `port`. */
  readonly port: number;
  readonly keys: GroupKeys;
  readonly isMaster: () => boolean;
  readonly hello: () => Hello;
  readonly config: () => ConfigInForce;
  readonly tables: () => Tables | undefined;
  readonly revoked: () => ReadonlySet<string>;
  readonly onAcknowledged: (id: NodeId, version: TableVersion) => void;
  readonly onSlotReport: (id: NodeId, report: SlotReport) => void;
  readonly onHealthReport: (id: NodeId, report: HealthReport) => void;
  readonly onSlotsWanted: (slots: readonly WantedSlot[]) => void;
  readonly onFlowReport: (id: NodeId, report: FlowReport) => void;
  /** Never fails: what went wrong is part of the answer. */
  readonly onRequest: (method: string, body: JsonValue, from: NodeId) => Promise<ChangeAnswer>;
  /** Can come as often as strangers try. */
  readonly onRefused: (reason: string, from: string) => void;
  readonly trouble: Trouble;
}

/** Connections since the start, by what became of them, and messages whose handling failed. */
export type ControlCounts = ReadonlyMap<string, number>;

export class Followers {
  readonly #options: FollowersOptions;
  readonly #agreement = new Agreement();
  #server: ControlServer | undefined;
  /** Serial numbers of the certificates with which nodes were last here; no more than there are node ids. */
  readonly #serials = new Map<NodeId, string>();
  readonly #tablesOut = new TablesOut((bytes) => encodeControl({ type: "tables", bytes }));
  #failed = 0;

  constructor(options: FollowersOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    const { address, port, identity, revoked, config, onRefused } = this.#options;
    this.#server = await ControlServer.listen({
      address,
      port,
      identity,
      revoked,
      refusal: (node, remote) => refusalOf(config().config, node, remote),
      onOpen: (peer) => this.#guarded("a member's connection", () => this.#opened(peer)),
      onMessage: (peer, message) =>
        this.#guarded(`${message.type} of a member`, () => this.#received(peer, message)),
      onClose: ({ node }) => {
        this.#agreement.gone(node.id);
        this.#tablesOut.gone(node.id);
      },
      onRefused,
    });
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  get connected(): number {
    return this.#server?.peers.length ?? 0;
  }

  get counts(): ControlCounts {
    const counts = new Map<string, number>(this.#server?.counters);
    if (this.#failed > 0) counts.set("message-failed", this.#failed);
    return counts;
  }

  /** Nothing that a member says ends the master's agent. */
  #guarded(action: string, act: () => void): void {
    this.#options.trouble.guard(action, () => {
      try {
        act();
      } catch (error) {
        this.#failed += 1;
        throw error;
      }
    });
  }

  /** A node that is not master has nothing to hand out; whoever asks looks for the master again. */
  #opened(peer: ControlPeer): void {
    if (!this.#options.isMaster()) {
      peer.close();
      return;
    }
    this.#serials.set(peer.node.id, peer.node.serial);
    peer.send(this.#options.hello());
  }

  /** Nodes whose certificate was good when they came and is not any more (A2). */
  revokedNodes(): NodeId[] {
    const revoked = this.#options.revoked();
    const found = [...this.#serials].filter(([, serial]) => revoked.has(serial));
    for (const [id] of found) this.#serials.delete(id);
    return found.map(([id]) => id);
  }

  #received(peer: ControlPeer, message: ControlMessage): void {
    switch (message.type) {
      case "hello":
        this.#bringUpToDate(peer, message);
        return;
      case "tables-ack":
        this.#options.onAcknowledged(peer.node.id, message.version);
        return;
      case "tables-wanted":
        this.#tablesOut.lost(peer.node.id);
        this.#sendTables(peer);
        return;
      case "slot-report":
        this.#options.onSlotReport(peer.node.id, message.report);
        return;
      case "health-report":
        this.#options.onHealthReport(peer.node.id, message.report);
        return;
      case "slots-wanted":
        this.#options.onSlotsWanted(message.slots);
        return;
      case "flow-report":
        this.#options.onFlowReport(peer.node.id, message.report);
        return;
      case "request":
        void this.#answer(peer, message.id, message.method, message.body);
        return;
      case "config-ack":
        this.#agreement.holds(peer.node.id, message.version);
        return;
      case "ping":
      case "pong":
        return;
      case "group-key":
      case "config":
      case "tables":
      case "response":
        peer.close(); // only a master says these
        return;
    }
  }

  #bringUpToDate(peer: ControlPeer, theirs: Hello): void {
    this.#sendKey(peer);
    const { version, yaml } = this.#options.config();
    if (sameConfig(theirs.config, version)) this.#agreement.holds(peer.node.id, version);
    else if (peer.send({ type: "config", version, yaml }) === "too-long") throw tooLong("config");
    const tables = this.#options.tables();
    if (theirs.deltas === true) this.#tablesOut.reads(peer.node.id, theirs.tables, tables);
    if (tables === undefined) return;
    if (compareVersions(theirs.tables, tables.version) === 0) {
      this.#options.onAcknowledged(peer.node.id, tables.version);
    } else this.#sendTables(peer);
  }

  #sendKey(peer: ControlPeer): void {
    const key = keyMessage(this.#options.keys);
    if (key !== undefined) peer.send(key);
  }

  #sendTables(peer: ControlPeer): void {
    const tables = this.#options.tables();
    if (tables !== undefined && !this.#tablesOut.send(tables, peer)) throw tooLong("tables");
  }

  async #answer(peer: ControlPeer, id: number, method: string, body: JsonValue): Promise<void> {
    try {
      const answer = await this.#options.onRequest(method, body, peer.node.id);
      peer.send({ type: "response", id, ...answer });
    } catch (error) {
      this.#guarded("request of a member", () => {
        throw error;
      });
    }
  }

  sendKeyToAll(): void {
    const key = keyMessage(this.#options.keys);
    if (key !== undefined) this.#server?.broadcast(key);
  }

  sendConfigToAll({ version, yaml }: ConfigInForce): void {
    const sent = this.#server?.broadcast({ type: "config", version, yaml }) ?? true;
    // Whom it revokes or does not name hears of it and why, unlike one whose connection is cut.
    for (const peer of this.#server?.peers ?? []) if (!this.#isTrusted(peer)) peer.close();
    if (!sent) throw tooLong("config");
  }

  #isTrusted({ node, remoteAddress }: ControlPeer): boolean {
    const { revoked, config } = this.#options;
    return (
      !revoked().has(node.serial) && refusalOf(config().config, node, remoteAddress) === undefined
    );
  }

  /** Once every connected member has said that it holds this configuration, or else later: who has not. */
  agreed(version: ConfigVersion, withinMs: number): Promise<NodeId[]> {
    const ids = (this.#server?.peers ?? []).map(({ node }) => node.id);
    return this.#agreement.reached(version, ids, withinMs);
  }

  sendTables(tables: Tables, isFor: (id: NodeId) => boolean): void {
    const peers = (this.#server?.peers ?? []).filter(({ node }) => isFor(node.id));
    const sent = peers.map((peer) => this.#tablesOut.send(tables, peer));
    if (sent.includes(false)) throw tooLong("tables");
  }

  /** When the node stops being master: its members have another one to ask. */
  dismiss(): void {
    for (const peer of this.#server?.peers ?? []) peer.close();
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }
}

const tooLong = (type: ControlMessage["type"]): Error =>
  new Error(
    `The ${type} message is longer than the control channel carries; members go without it`,
  );

function keyMessage({ newest, before }: GroupKeys): ControlMessage | undefined {
  if (newest === undefined) return undefined;
  return { type: "group-key", ...newest, ...(before === undefined ? {} : { previous: before }) };
}
