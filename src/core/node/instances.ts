// What the master knows of the instances of services on each member (B7), and who serves a group by that. A member reports all of it
// whenever something changes; until it has, what it serves by the tables it goes on serving, and it gets nothing new.
import type { NodeId } from "#base/ids.ts";
import type { DesiredNode } from "#core/steering/next-tables.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { HealthReport, InstanceReport } from "#wire/control/health-report.ts";
import type { GroupSpec } from "./cluster-spec.ts";

export class Instances {
  /** By node, then by group. No more than there are node ids and groups in a report. */
  readonly #reports = new Map<NodeId, ReadonlyMap<string, InstanceReport>>();

  /** Another master knew; this one has to hear it first. */
  forget(): void {
    this.#reports.clear();
  }

  departed(id: NodeId): void {
    this.#reports.delete(id);
  }

  reported(id: NodeId, { groups }: HealthReport): void {
    this.#reports.set(id, new Map(groups.map((instance) => [instance.name, instance])));
  }

  /** Undefined: it has not said. */
  of(id: NodeId, group: string): InstanceReport | undefined {
    return this.#reports.get(id)?.get(group);
  }

  /** The configuration nodes of a group whose server goes on serving what it has (policy quic, docs/adr/0031): all that are not down. */
  livingOf({ name, nodes, whenNone }: GroupSpec): readonly NodeId[] {
    const all = nodes.map(({ id }) => id);
    const living = all.filter((id) => this.of(id, name)?.state !== "down");
    return living.length === 0 && whenNone?.type === "all" ? all : living;
  }

  /** The configuration nodes of a group, and who of them serves. `serves`: what holds of the node as a whole. */
  nodesOf(
    group: GroupSpec,
    tables: Tables | undefined,
    serves: (id: NodeId) => boolean,
  ): readonly DesiredNode[] {
    const { name, nodes, checked = false, maintenance = [], whenNone } = group;
    const inService = (id: NodeId): boolean => serves(id) && !maintenance.includes(id);
    if (!checked) return nodes.map(({ id, weight }) => ({ id, weight, serves: inService(id) }));
    const owning = new Set(tables?.groups.find((table) => table.name === name)?.owners);
    const isUp = (id: NodeId): boolean => {
      const state = this.of(id, name)?.state ?? "unknown";
      return state === "up" || (state === "unknown" && owning.has(id));
    };
    const judged = nodes.map(({ id, weight }) => ({
      id,
      weight,
      serves: inService(id) && isUp(id),
      part: this.of(id, name)?.part ?? 100,
    }));
    const nobody = !judged.some((node) => node.serves && node.weight > 0);
    if (!nobody || whenNone?.type !== "all") return judged;
    return nodes.map(({ id, weight }) => ({ id, weight, serves: inService(id) }));
  }
}
