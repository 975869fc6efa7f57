// Why nothing is promised to a connection any more. Each excuse is something that the documents say can happen (docs/howto/simulate.md
// lists them); all else that keeps a segment from its server is a violation. A connection is excused when it has happened to it, and
// not because something happened somewhere.
import { compareVersions, NO_NODE, NO_TABLES, type NodeId, type TableVersion } from "#base/ids.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { Fate } from "./data-plane.ts";
import { connectionKey } from "./packet-program.ts";
import { ownersOf } from "./frame-slot.ts";
import type { Heart, MembershipEvent } from "./heart.ts";
import type { SimNode } from "./node.ts";
import type { Observer } from "./probes.ts";
import { PROTOCOL_UDP } from "#wire/ipv4.ts";
import type { Connection, Connections } from "./workloads/connections.ts";
import type { World } from "./world.ts";

/** After two clusters have met, it takes so long until everybody goes by the tables of the one that stays. */
const UNITED_MS = 2000;
const NOTHING = { version: NO_TABLES };

type Taken = Pick<Extract<Fate, { by: NodeId }>, "by" | "entered">;

interface GivenUp {
  readonly atMs: number;
  readonly tables: TableVersion;
}

/** Whether the connection is pinned to its server (docs/adr/0016). */
function isPinned({ groups }: Tables, { flow, server }: Connection): boolean {
  return groups.some(({ exceptions: { flows, nodes } }) => {
    const at = flows.indexOf(flow);
    return at !== -1 && nodes[at] === server.id;
  });
}

/** Whether segments of the connection can find its server by these tables. */
function leadTo(tables: Tables, connection: Connection): boolean {
  const place = ownersOf(tables, connection.segment);
  const { id } = connection.server;
  if (place === undefined) return false;
  return place.owner === id || place.chain.includes(id) || isPinned(tables, connection);
}

export class Excuses implements Observer {
  readonly #world: World;
  readonly #connections: Connections;
  /** Newest tables of each master. */
  readonly #newest = new Map<NodeId, Tables>();
  /** Whose cluster each node is in, or was in last. */
  readonly #cluster = new Map<NodeId, NodeId>();
  /** When each master became it, for the last time. */
  readonly #reigns = new Map<NodeId, number>();
  /** Nodes that are in a cluster now. */
  readonly #members = new Set<NodeId>();
  /** When a master became certain that a node is dead, and its newest tables then, by master and node. */
  readonly #givenUp = new Map<string, GivenUp>();
  #splitMs = Number.NEGATIVE_INFINITY;

  constructor(world: World, connections: Connections) {
    this.#world = world;
    this.#connections = connections;
  }

  /** Connections live in the kernel, so only its end is theirs. */
  nodeChanged(node: SimNode): void {
    if (node.state !== "machine-down") return;
    this.#excuse("its server's machine died", ({ server }) => server === node);
  }

  decided({ id: self }: Heart, event: MembershipEvent): void {
    const heart = self as NodeId;
    const isGone = event.type === "departure-confirmed" && event.reason === "silent";
    if (isGone || event.type === "machine-gone") {
      const { version } = this.#world.node(heart).agent?.main.controller.tables ?? NOTHING;
      this.#givenUp.set(`${heart} ${event.id}`, { atMs: this.#world.nowMs, tables: version });
      const { state } = this.#world.node(event.id);
      const isTheirs = state !== "running" || this.#cluster.get(event.id) === heart;
      if (!isTheirs) return;
      this.#excuse("its server was given up as dead", ({ server }) => server.id === event.id);
    }
    if (event.type === "became-master") this.#reigns.set(heart, this.#world.nowMs);
    if (event.type !== "view-changed") return;
    const { role, master } = event.view;
    if (role !== "member" && role !== "master") return void this.#members.delete(heart);
    if (this.#members.has(heart) && this.#cluster.get(heart) === master) return;
    this.#members.add(heart);
    this.#cluster.set(heart, master);
    this.#follows(heart, master);
  }

  /**
   * A node is in a cluster (again), whose master may know nothing of what it did elsewhere. A new master is also that of machines
   * whose agent is down and whose old master is gone: it may have started anew, with an empty disk.
   */
  #follows(node: NodeId, master: NodeId): void {
    const tables = this.#world.node(master).agent?.main.controller.tables;
    if (tables !== undefined) this.#newest.set(master, tables);
    const isIts = ({ id }: SimNode): boolean =>
      id === node || (node === master && (this.#cluster.get(id) === master || !this.#isLed(id)));
    this.#excuse("the new master does not know of it", (connection) => {
      if (!isIts(connection.server)) return false;
      const isLost = tables === undefined || !leadTo(tables, connection);
      return isLost || this.#isGivenUp(connection, master);
    });
  }

  /** Before the master became certain, or by tables that were made before it was. */
  #isGivenUp({ server, openedMs, tables }: Connection, master: NodeId): boolean {
    const givenUp = this.#givenUp.get(`${master} ${server.id}`);
    if (givenUp === undefined) return false;
    return openedMs <= givenUp.atMs || compareVersions(tables, givenUp.tables) <= 0;
  }

  #isLed(node: NodeId): boolean {
    const master = this.#cluster.get(node);
    return (
      this.#members.has(node) &&
      this.#world.masters.some(({ id, state }) => id === master && state === "running")
    );
  }

  installed(node: SimNode, tables: Tables): void {
    const { master } = tables.version;
    const role = node.agent?.heart.machine.view.role;
    // who joins has the tables before it is listed
    const isJoining = role !== "member" && role !== "master";
    if (isJoining && this.#cluster.get(node.id) !== master) {
      this.#excuse(
        "the new master does not know of it",
        (connection) => connection.server === node && !leadTo(tables, connection),
      );
    }
    this.#pushedOut(tables);
  }

  /** A dead owner's slot moves whether or not its chain has room (docs/adr/0009). */
  #pushedOut(tables: Tables): void {
    const { master } = tables.version;
    const before = this.#newest.get(master);
    if (before !== undefined && compareVersions(tables.version, before.version) <= 0) return;
    this.#newest.set(master, tables);
    if (before === undefined) return;
    const members = this.#world.node(master).agent?.heart.machine.view.members ?? [];
    this.#excuse("pushed out of a full chain by deaths", (connection) => {
      const { id } = connection.server;
      if (this.#cluster.get(id) !== master && this.#isLed(id)) return false;
      if (!leadTo(before, connection) || leadTo(tables, connection)) return false;
      const owner = ownersOf(before, connection.segment)?.owner;
      const isFull = ownersOf(tables, connection.segment)?.chain.includes(NO_NODE) === false;
      return isFull && !members.some(({ id }) => id === owner);
    });
  }

  /** A UDP session that had no packet for so long has ended (B12). */
  hasEnded(connection: Connection): boolean {
    const { protocol, client, port, program, server } = connection;
    if (protocol !== PROTOCOL_UDP || server.program !== program) return false;
    return program.hasForgotten(connectionKey(client, port));
  }

  sample(): void {
    const masters = this.#world.masters.filter(({ state }) => state === "running");
    if (masters.length > 1 || !this.#world.network.isWhole) this.#splitMs = this.#world.nowMs;
  }

  /**
   * A segment was taken by a node that is not its server. That can be when the taker's master has given up a machine that it
   * could not hear; when it was master of its own cluster already while the server was in another one; and when there are two clusters,
   * or have been just now, and one of those that have had to do with the segment goes by the other one's tables.
   */
  ofMistake(connection: Connection, { by, entered }: Taken): string | undefined {
    const { server } = connection;
    const { entry } = this.#connections;
    const taker = this.#world.node(by);
    // of a segment that every member has, another one than the entry of the cluster may have sent it on
    const nodes = [taker, this.#world.node(entered), ...(entry === undefined ? [] : [entry])];
    const masters = this.#mastersOf(nodes);
    const isGivenUp = masters.some((id) => this.#isGivenUp(connection, id));
    if (isGivenUp) return "its server was given up as dead";
    if (this.#isOfAnotherCluster(connection, taker)) return "the new master does not know of it";
    this.sample();
    if (this.#world.nowMs - this.#splitMs > UNITED_MS) return undefined;
    const asked = nodes.flatMap((node) => {
      const place = ownersOf(node.program.installed, connection.segment);
      const ids = place === undefined ? [] : [place.owner, ...place.chain];
      return ids.filter((id) => id !== NO_NODE).map((id) => this.#world.node(id));
    });
    const all = new Set([...masters, ...this.#mastersOf([server, ...asked])]);
    return all.size > 1 ? "taken in the other part of a split network" : undefined;
  }

  /**
   * Opened by the tables of another master when the taker's was master already, as it still is; and the server has not been in that
   * one's cluster since.
   */
  #isOfAnotherCluster({ server, tables, openedMs }: Connection, taker: SimNode): boolean {
    const master = this.#cluster.get(taker.id) ?? taker.id;
    const sinceMs = this.#reigns.get(master) ?? Number.POSITIVE_INFINITY;
    const isOther = tables.master !== master && this.#cluster.get(server.id) !== master;
    return isOther && openedMs > sinceMs && this.#world.masters.some(({ id }) => id === master);
  }

  /** Whom they follow, and by whose tables they go. */
  #mastersOf(nodes: readonly SimNode[]): NodeId[] {
    return nodes.flatMap(({ id, program }) => [
      this.#cluster.get(id) ?? id,
      program.version.master,
    ]);
  }

  #excuse(why: string, applies: (connection: Connection) => boolean): void {
    for (const connection of this.#connections.open) {
      if (connection.excuse === undefined && applies(connection)) {
        this.#connections.excuse(connection, why);
      }
    }
  }
}
