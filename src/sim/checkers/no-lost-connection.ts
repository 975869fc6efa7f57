// B4, B7, A8: no established connection of a node that lives and is connected is lost by balancing, drain, join or leave. After every
// change of any packet program each connection sends a segment; it must be taken by its server, and by nobody else.
import { compareVersions } from "#base/ids.ts";
import { FORMER_OWNERS } from "#core/steering/tables.ts";
import type { Conditions } from "../conditions.ts";
import { slotOfClient } from "../client-frame.ts";
import type { DataPlane } from "../data-plane.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { Connection, Connections } from "../workloads/connections.ts";
import type { World } from "../world.ts";

/** A client sends lost segments again, and asks again for the VIP's MAC. */
const STUCK_MS = 4000;

export class NoLostConnection implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #connections: Connections;
  readonly #conditions: Conditions;
  #lastChanges = -1;
  #isDue = false;
  #isStuck = false;
  segments = 0;

  constructor(world: World, plane: DataPlane, connections: Connections, conditions: Conditions) {
    this.#world = world;
    this.#plane = plane;
    this.#connections = connections;
    this.#conditions = conditions;
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
    this.#lastChanges = changes;
  }

  #sendAll(): void {
    this.#isStuck = false;
    for (const connection of this.#connections.open) {
      if (connection.excuse === undefined) this.#send(connection);
    }
  }

  #send(connection: Connection): void {
    const { entry } = this.#connections;
    if (entry === undefined) return;
    this.segments += 1;
    const fate = this.#connections.send(connection.segment, connection.server.id);
    if (fate === undefined) return;
    const { nowMs } = this.#world;
    if (fate.what === "taken" && fate.by === connection.server.id) {
      connection.stuckSinceMs = undefined;
      return;
    }
    const flow = `client ${connection.client}, port ${connection.port}, at node ${connection.server.id} since ${Math.round(nowMs - connection.openedMs)} ms`;
    if (fate.what === "taken" && this.#isOutOfReach(connection)) return;
    if (fate.what === "taken") {
      const text = `${flow}: a segment that entered at node ${entry.id} was taken by node ${fate.by} (${fate.reason}), which answers with a reset; ${this.#chains(connection)}`;
      throw new Violation("no-lost-connection", text);
    }
    connection.stuckSinceMs ??= nowMs;
    this.#isStuck = true;
    const stuckMs = Math.min(nowMs - connection.stuckSinceMs, this.#conditions.calmForMs);
    if (stuckMs < STUCK_MS) return;
    const text = `${flow}: for ${Math.round(stuckMs)} ms its segments have ended as ${JSON.stringify(fate)} at node ${entry.id}`;
    throw new Violation("no-lost-connection", text);
  }

  /**
   * The last of a full chain is four hops away; while nodes hold different tables a hop may be spent in vain. That is the limit of
   * docs/adr/0004, not a bug.
   */
  #isOutOfReach(connection: Connection): boolean {
    const tables = this.#world.nodes
      .filter(({ isUp }) => isUp)
      .map(({ program }) => program.installed)
      .sort((a, b) => compareVersions(b.version, a.version));
    const [newest] = tables;
    if (newest === undefined) return false;
    const differ = tables.some(({ version }) => compareVersions(version, newest.version) !== 0);
    const slot = slotOfClient(newest, connection) ?? 0;
    const last = newest.groups[0]?.former[slot * FORMER_OWNERS + FORMER_OWNERS - 1];
    return differ && last === connection.server.id;
  }

  /** Owner and former owners of the connection's slot, as each node has them. */
  #chains(connection: Connection): string {
    const chains = this.#world.nodes.map(({ id, program }) => {
      const { groups, version } = program.installed;
      const slot = slotOfClient(program.installed, connection);
      const [web] = groups;
      if (web === undefined || slot === undefined) return `n${id}: no tables`;
      const former = web.former.subarray(slot * FORMER_OWNERS, (slot + 1) * FORMER_OWNERS);
      return `n${id}: ${version.epoch}.${version.counter} slot ${slot} ${web.owners[slot]} < ${former.join(" < ")}`;
    });
    return chains.join("; ");
  }
}
