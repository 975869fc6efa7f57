// The master's side of the control channel: brings each member to the present key, configuration and
// tables, and takes acknowledgements and operators' changes from it (A4, B9).
import { sameConfig, compareVersions, type NodeId, type TableVersion } from "#base/ids.ts";
import type { IpAddress } from "#base/address.ts";
import { encodeTables } from "#core/steering/tables-codec.ts";
import type { Tables } from "#core/steering/tables.ts";
import { type ControlPeer, ControlServer } from "#driver/control/server.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import type { ControlMessage, Hello } from "#wire/control/message.ts";
import type { JsonValue } from "#wire/control/json.ts";
import type { ConfigInForce } from "./config-store.ts";
import type { GroupKeys } from "./group-keys.ts";

/** What became of a change that a member passed on. */
export interface ChangeAnswer {
  readonly status: number;
  readonly body: JsonValue;
}

export interface FollowersOptions {
  readonly identity: NodeIdentity;
  readonly address: IpAddress;
  readonly port: number;
  readonly keys: GroupKeys;
  readonly isMaster: () => boolean;
  readonly hello: () => Hello;
  readonly config: () => ConfigInForce;
  readonly tables: () => Tables | undefined;
  readonly revoked: () => ReadonlySet<string>;
  readonly onAcknowledged: (id: NodeId, version: TableVersion) => void;
  /** Never throws: what went wrong is part of the answer. */
  readonly onRequest: (method: string, body: JsonValue) => ChangeAnswer;
}

export class Followers {
  readonly #options: FollowersOptions;
  #server: ControlServer | undefined;
  /** Serial numbers of the certificates with which nodes were last here; no more than there are node ids. */
  readonly #serials = new Map<NodeId, string>();

  constructor(options: FollowersOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    const { address, port, identity, revoked } = this.#options;
    this.#server = await ControlServer.listen({
      address,
      port,
      identity,
      revoked,
      onOpen: (peer) => this.#opened(peer),
      onMessage: (peer, message) => this.#received(peer, message),
      onClose: () => {},
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
        this.#sendTables(peer);
        return;
      case "request":
        this.#answer(peer, message.id, message.method, message.body);
        return;
      case "config-ack":
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
    if (!sameConfig(theirs.config, version)) peer.send({ type: "config", version, yaml });
    const tables = this.#options.tables();
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
    if (tables !== undefined) peer.send({ type: "tables", bytes: encodeTables(tables) });
  }

  #answer(peer: ControlPeer, id: number, method: string, body: JsonValue): void {
    peer.send({ type: "response", id, ...this.#options.onRequest(method, body) });
  }

  sendKeyToAll(): void {
    const key = keyMessage(this.#options.keys);
    if (key !== undefined) this.#server?.broadcast(key);
  }

  sendConfigToAll({ version, yaml }: ConfigInForce): void {
    this.#server?.broadcast({ type: "config", version, yaml });
    // Whom it revokes hears of it and why, unlike one whose connection is cut.
    const revoked = this.#options.revoked();
    for (const peer of this.#server?.peers ?? []) if (revoked.has(peer.node.serial)) peer.close();
  }

  sendTablesToAll(tables: Tables): void {
    this.#server?.broadcast({ type: "tables", bytes: encodeTables(tables) });
  }

  /** When the node stops being master: its members have another one to ask. */
  dismiss(): void {
    for (const peer of this.#server?.peers ?? []) peer.close();
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }
}

function keyMessage({ current, previous }: GroupKeys): ControlMessage | undefined {
  if (current === undefined) return undefined;
  return { type: "group-key", ...current, ...(previous === undefined ? {} : { previous }) };
}
