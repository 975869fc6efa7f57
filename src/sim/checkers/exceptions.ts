// B4: while nothing goes wrong, what tables remember of connections is what there is: no exception outlives its connection for long, and
// no chain keeps a former owner, since its connections are pinned. So a slot can always move again.
import { NO_NODE } from "#base/ids.ts";
import { FORMER_OWNERS, type Tables } from "#core/steering/tables.ts";
import { flowKey } from "#wire/flow-key.ts";
import type { Conditions } from "../conditions.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { SimNode } from "../node.ts";
import { SAMPLE_MS, type World } from "../world.ts";

/** Two looks of a node, a round of the master, and a version of the tables with all its acknowledgements; twice. */
const LONGEST_MS = 9000;
const EVERY_SAMPLES = Math.ceil(500 / SAMPLE_MS);

interface Left {
  readonly what: string;
  /** Whose reports end it. */
  readonly node: SimNode;
}

export class Exceptions implements Observer {
  readonly #world: World;
  readonly #conditions: Conditions;
  /** What should go, and since when it has been there. */
  #since = new Map<string, number>();
  #samples = 0;
  /** The most exceptions at once, for the summary. */
  most = 0;

  constructor(world: World, conditions: Conditions) {
    this.#world = world;
    this.#conditions = conditions;
  }

  sample(): void {
    if (this.#samples++ % EVERY_SAMPLES !== 0) return;
    const [master, rival] = this.#world.masters;
    const isCalm = this.#conditions.calmForMs > 0 && master?.isHealthy === true;
    if (!isCalm || master === undefined || rival !== undefined) {
      this.#since.clear();
      return;
    }
    const tables = master.program.installed;
    const { nowMs } = this.#world;
    const left = [...this.#ended(tables), ...this.#asked(tables)];
    // an agent that was started anew looks anew
    this.#since = new Map(
      left.map(({ what, node }) => [what, Math.max(this.#since.get(what) ?? nowMs, node.sinceMs)]),
    );
    for (const [what, sinceMs] of this.#since) {
      const forMs = nowMs - sinceMs;
      if (forMs > LONGEST_MS) throw new Violation("exceptions", `${what}, for ${forMs} ms`);
    }
  }

  #memberAt(id: number): SimNode | undefined {
    const node = this.#world.node(id);
    return node.isHealthy && node.agent?.main.view?.role !== undefined ? node : undefined;
  }

  /** Exceptions without a connection. */
  *#ended({ groups }: Tables): Generator<Left> {
    let count = 0;
    const flows = new Map<SimNode, ReadonlySet<string>>();
    for (const { exceptions } of groups) {
      count += exceptions.flows.length;
      for (const [index, id] of exceptions.nodes.entries()) {
        const flow = exceptions.flows[index] ?? "";
        const node = this.#memberAt(id);
        if (node === undefined) continue;
        const there = flows.get(node) ?? flowsAt(node);
        flows.set(node, there);
        if (there.has(flow)) continue;
        const hex = Buffer.from(flow, "latin1").toString("hex");
        yield { what: `node ${id} has no connection ${hex}, and it is pinned there`, node };
      }
    }
    this.most = Math.max(this.most, count);
  }

  /** Former owners of slots that have an owner. */
  *#asked({ groups }: Tables): Generator<Left> {
    for (const { name, owners, former } of groups) {
      for (let at = 0; at < former.length; at++) {
        const id = former[at] ?? NO_NODE;
        if (id === NO_NODE) continue;
        const slot = Math.floor(at / FORMER_OWNERS);
        const node = this.#memberAt(id);
        if (owners[slot] === NO_NODE || node === undefined) continue;
        yield {
          what: `node ${id} is still asked about connections of slot ${slot} of ${name}`,
          node,
        };
      }
    }
  }
}

const flowsAt = ({ program }: SimNode): Set<string> =>
  new Set(Array.from(program.listConnections(), flowKey));
