// B4, B7, A8: no established connection of a node that lives and is connected is lost by balancing, drain, join or leave. After every
// change of any packet program each connection sends a segment; it must be taken by its server, and by nobody else.
import { PROTOCOL_UDP } from "#wire/ipv4.ts";
import type { DataPlane } from "../data-plane.ts";
import type { Excuses } from "../excuses.ts";
import { ownersOf } from "../frame-slot.ts";
import type { Observer } from "../probes.ts";
import type { Quiet } from "../quiet.ts";
import { Violation } from "../violation.ts";
import type { Connection, Connections } from "../workloads/connections.ts";
import type { World } from "../world.ts";

/** A client sends lost segments again, and asks again for the VIP's MAC. */
const STUCK_MS = 4000;
/** A client of a UDP session has something to say so often. */
const SPEAKS_EVERY_MS = 1000;
/** That a machine whose agent was down before is dead, too, is noticed after six seconds; until then it is asked in vain. */
const DEAD_ASKED_MS = 7000;

export interface Clients {
  readonly connections: Connections;
  readonly excuses: Excuses;
  readonly quiet: Quiet;
}

export class NoLostConnection implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #connections: Connections;
  readonly #excuses: Excuses;
  readonly #quiet: Quiet;
  #lastChanges = -1;
  #isDue = false;
  #isStuck = false;
  #speaksAtMs = 0;
  segments = 0;

  constructor(world: World, plane: DataPlane, { connections, excuses, quiet }: Clients) {
    this.#world = world;
    this.#plane = plane;
    this.#connections = connections;
    this.#excuses = excuses;
    this.#quiet = quiet;
  }

  /** In the moment after, when some nodes have the new tables and others do not. */
  installed(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#world.in(0, () => {
      this.#isDue = false;
      this.#sendAll();
    });
  }

  sample(): void {
    const { changes } = this.#plane;
    if (changes !== this.#lastChanges || this.#isStuck) this.#sendAll();
    else if (this.#world.nowMs >= this.#speaksAtMs) this.#speak();
    this.#lastChanges = changes;
  }

  /** Nothing has changed, so connections are where they were; but sessions must not become idle. */
  #speak(): void {
    this.#speaksAtMs = this.#world.nowMs + SPEAKS_EVERY_MS;
    for (const connection of this.#connections.open) {
      const isSession = connection.protocol === PROTOCOL_UDP;
      if (isSession && connection.excuse === undefined) this.#send(connection);
    }
  }

  #sendAll(): void {
    this.#isStuck = false;
    this.#speaksAtMs = this.#world.nowMs + SPEAKS_EVERY_MS;
    for (const connection of this.#connections.open) {
      if (connection.excuse === undefined) this.#send(connection);
    }
  }

  #send(connection: Connection): void {
    const { entry } = this.#connections;
    if (entry === undefined) return;
    if (this.#excuses.hasEnded(connection)) {
      return this.#connections.excuse(connection, "a session without a packet for too long");
    }
    this.segments += 1;
    const fate = this.#connections.send(connection.segment, connection.server.id);
    if (fate === undefined) return;
    const { nowMs } = this.#world;
    if (fate.what === "taken" && fate.by === connection.server.id) {
      connection.stuckSinceMs = undefined;
      return;
    }
    const flow = `client ${connection.client}, port ${connection.port}, at node ${connection.server.id} since ${Math.round(nowMs - connection.openedMs)} ms`;
    if (fate.what === "taken") {
      const excuse = this.#excuses.ofMistake(connection, fate);
      if (excuse !== undefined) return this.#connections.excuse(connection, excuse);
      const text = `${flow}: a segment that entered at node ${entry.id} was taken by node ${fate.by} (${fate.reason}), which answers with a reset; ${this.#chains(connection)}`;
      throw new Violation("no-lost-connection", text);
    }
    if (connection.stuckSinceMs === undefined || this.#nobodyMayTake) {
      connection.stuckSinceMs = nowMs;
    }
    this.#isStuck = true;
    const stuckMs = Math.min(nowMs - connection.stuckSinceMs, this.#quiet.forMs);
    if (stuckMs < (this.#asksDead(connection) ? DEAD_ASKED_MS : STUCK_MS)) return;
    const text = `${flow}: for ${Math.round(stuckMs)} ms its segments have ended as ${JSON.stringify(fate)} at node ${entry.id}`;
    throw new Violation("no-lost-connection", text);
  }

  /** Where every member filters, who takes a frame renews the right to it (docs/adr/0008): when no agent runs, nobody has it. */
  get #nobodyMayTake(): boolean {
    return this.#connections.isFlooded && !this.#world.nodes.some(({ responds }) => responds);
  }

  /** Whether some node still has a dead machine among the former owners of the slot. */
  #asksDead(connection: Connection): boolean {
    const dead = this.#world.nodes.filter(({ isUp }) => !isUp).map(({ id }) => id);
    return this.#world.nodes.some(({ isUp, program: { installed } }) => {
      const { chain = [] } = ownersOf(installed, connection.segment) ?? {};
      return isUp && dead.some((id) => chain.includes(id));
    });
  }

  /** Owner and former owners of the connection's slot, as each node has them. */
  #chains(connection: Connection): string {
    const chains = this.#world.nodes.map(({ id, program }) => {
      const { version } = program.installed;
      const place = ownersOf(program.installed, connection.segment);
      if (place === undefined) return `n${id}: no tables`;
      const { slot, owner, chain } = place;
      return `n${id}: ${version.epoch}.${version.counter} slot ${slot} ${owner} < ${chain.join(" < ")}`;
    });
    return chains.join("; ");
  }
}
