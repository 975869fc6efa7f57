// The members that are connected to a simulated node as their master: daemon/followers.ts on virtual time. Tables go out as the real ones
// do, as what differs from those that a member holds.
import { compareVersions, type NodeId, sameConfig, type TableVersion } from "#base/ids.ts";
import type { SlotRef } from "#core/steering/assignment.ts";
import type { Tables } from "#core/steering/tables.ts";
import { TablesOut } from "#core/steering/tables-out.ts";
import type { Connection, ControlEnd, ControlMessage, Report } from "./control.ts";
import type { ClusterConfig } from "./cluster-config.ts";
import type { GroupKeys } from "./group-keys.ts";
import type { TaskQueue } from "./task-queue.ts";

export interface FollowersOptions {
  readonly end: ControlEnd;
  readonly tasks: TaskQueue;
  readonly isMaster: () => boolean;
  readonly config: () => ClusterConfig;
  readonly isTrusted: (id: NodeId, config: ClusterConfig) => boolean;
  readonly keys: () => Pick<GroupKeys, "newest" | "before">;
  readonly hello: () => ControlMessage;
  /** The newest known here. */
  readonly tables: () => Tables | undefined;
  readonly acknowledged: (id: NodeId, version: TableVersion) => void;
  readonly wanted: (slots: readonly SlotRef[]) => void;
  readonly reported: (id: NodeId, message: Report) => void;
}

const idOf = ({ client }: Connection): NodeId => client.node as NodeId;

export class Followers {
  readonly connections = new Set<Connection>();
  readonly #options: FollowersOptions;
  readonly #tablesOut = new TablesOut((bytes) => bytes);

  constructor(options: FollowersOptions) {
    this.#options = options;
  }

  /** How often tables went out in either form. */
  get sent(): { readonly full: number; readonly delta: number } {
    return this.#tablesOut.counts;
  }

  accepted(connection: Connection): void {
    const { tasks, isMaster, end, hello } = this.#options;
    tasks.post(() => {
      if (!isMaster()) return connection.cut();
      for (const older of this.connections) if (idOf(older) === idOf(connection)) older.cut();
      this.connections.add(connection);
      connection.send(end, hello());
    });
  }

  closed(connection: Connection): void {
    if (this.connections.delete(connection)) this.#tablesOut.gone(idOf(connection));
  }

  received(connection: Connection, message: ControlMessage): void {
    const id = idOf(connection);
    switch (message.type) {
      case "hello":
        return this.#bringUpToDate(connection, message);
      case "tables-ack":
        return this.#options.acknowledged(id, message.version);
      case "tables-wanted": {
        this.#tablesOut.lost(id);
        const tables = this.#options.tables();
        if (tables !== undefined) this.#sendTables(connection, tables);
        return;
      }
      case "slots-wanted":
        return this.#options.wanted(message.slots);
      case "slot-report":
      case "flow-report":
      case "health-report":
        return this.#options.reported(id, message);
      case "group-key":
      case "config":
      case "tables":
        return;
    }
  }

  #bringUpToDate(connection: Connection, theirs: Extract<ControlMessage, { type: "hello" }>): void {
    const { end, config, acknowledged } = this.#options;
    this.#sendKey(connection);
    if (!sameConfig(theirs.config, config().version)) {
      connection.send(end, { type: "config", config: config() });
    }
    const tables = this.#options.tables();
    const id = idOf(connection);
    this.#tablesOut.reads(id, theirs.tables, tables);
    if (tables === undefined) return;
    if (compareVersions(theirs.tables, tables.version) === 0) acknowledged(id, tables.version);
    else this.#sendTables(connection, tables);
  }

  #sendKey(connection: Connection): void {
    const { newest, before } = this.#options.keys();
    if (newest === undefined) return;
    connection.send(this.#options.end, { type: "group-key", newest, before });
  }

  sendKeys(): void {
    for (const connection of this.connections) this.#sendKey(connection);
  }

  sendTables(tables: Tables, isFor: (id: NodeId) => boolean): void {
    for (const connection of this.connections) {
      if (isFor(idOf(connection))) this.#sendTables(connection, tables);
    }
  }

  #sendTables(connection: Connection, tables: Tables): void {
    this.#tablesOut.send(tables, {
      node: { id: idOf(connection) },
      sendFrame: (type, bytes) => connection.send(this.#options.end, { type, bytes }),
    });
  }

  /** An operator's change; whoever is not trusted by it is let go when it knows. */
  sendConfig(config: ClusterConfig): void {
    const { end, tasks, isTrusted } = this.#options;
    for (const connection of this.connections) {
      connection.send(end, { type: "config", config });
      if (!isTrusted(idOf(connection), config)) tasks.later(1, () => connection.cut());
    }
  }

  close(isMachineUp: boolean): void {
    for (const connection of this.connections) connection.close(this.#options.end, isMachineUp);
  }
}
