// B4: what members have said about their connections since the master last published tables, and when it is to publish for
// that (docs/adr/0016). Reports that come close together go out together.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import type { FlowChanges } from "#core/steering/exceptions.ts";
import { indexExceptions } from "#core/steering/indexed-tables.ts";
import { MAX_EXCEPTIONS, type Tables } from "#core/steering/tables.ts";
import type { FlowReport } from "#wire/control/flow-report.ts";
import type { FlowKey } from "#wire/flow-key.ts";

/** Within this time after the first report. */
export const GATHER_MS = 20;

export class Pinning {
  /** No more than there may be exceptions; what does not fit is reported again. */
  readonly #changes = new Map<FlowKey, NodeId>();
  #refused = 0;
  #publishAt: Instant | undefined;
  /** Of the groups of the tables that were last asked about. */
  #pinned: { readonly tables: Tables; readonly flows: Map<FlowKey, NodeId>[] } | undefined;

  /** When to publish what was reported, or that a former owner is not needed any more. */
  get deadline(): Instant | undefined {
    return this.#publishAt;
  }

  /** Flows that were not pinned because there was no room, since the start. The same one counts whenever it is refused. */
  get refused(): number {
    return this.#refused;
  }

  get changes(): FlowChanges {
    return this.#changes;
  }

  /** They are in tables that were published, or refused. */
  published(refused: number): void {
    this.#changes.clear();
    this.#refused += refused;
  }

  forget(): void {
    this.#changes.clear();
    this.#publishAt = undefined;
  }

  soon(now: Instant): void {
    this.#publishAt ??= after(now, GATHER_MS);
  }

  /** True once, when it is time. */
  due(now: Instant): boolean {
    if (this.#publishAt === undefined || now < this.#publishAt) return false;
    this.#publishAt = undefined;
    return true;
  }

  /** @param isCurrent the member saw `tables`, and packets go by nothing older */
  reported(
    now: Instant,
    id: NodeId,
    { report, tables, isCurrent }: { report: FlowReport; tables: Tables; isCurrent: boolean },
  ): void {
    const nodeOf = this.#nodeOf(tables);
    for (const flow of report.established) {
      if (nodeOf(flow) === NO_NODE) this.#change(now, flow, id);
    }
    if (!isCurrent) return;
    for (const flow of report.ended) if (nodeOf(flow) === id) this.#change(now, flow, NO_NODE);
  }

  #change(now: Instant, flow: FlowKey, node: NodeId): void {
    if (this.#changes.size >= MAX_EXCEPTIONS && !this.#changes.has(flow)) {
      if (node !== NO_NODE) this.#refused += 1;
      return;
    }
    this.#changes.set(flow, node);
    this.soon(now);
  }

  #nodeOf(tables: Tables): (flow: FlowKey) => NodeId {
    if (this.#pinned?.tables !== tables) {
      const flows = tables.groups
        .filter(({ exceptions }) => exceptions.flows.length > 0)
        .map(({ exceptions }) => indexExceptions(exceptions));
      this.#pinned = { tables, flows };
    }
    const { flows } = this.#pinned;
    return (flow) => {
      for (const group of flows) {
        const node = group.get(flow);
        if (node !== undefined) return node;
      }
      return NO_NODE;
    };
  }
}
