// What a packet of a pinned connection costs (B4), beside a table-1 hit. `node bench/datapath-exceptions.ts` runs this part of the
// datapath benchmark alone; root is needed.
import type { Tables } from "#core/steering/tables.ts";
import {
  count,
  type CostTable,
  leastInTurn,
  partAlone,
  SMALL,
  type SubjectProgram,
} from "./datapath-cost.ts";
import { CONNECTIONS, pinned, PINNED } from "./datapath-traffic.ts";

/** Of a packet of a pinned connection, beside a table-1 hit. */
const MOST_TIMES_HIT = 1.3;
/** Short ones, each of some ms: what else the machine does spoils few of them. */
const RUNS_OF_A_TURN = 60;
/** Ten of each flow. */
const PACKETS = 100_000;

const NOTHING_PINNED = (tables: Tables): Tables => tables;
const ALL_PINNED = (tables: Tables): Tables => pinned(tables, false);
const OTHERS_PINNED = (tables: Tables): Tables => pinned(tables, true);

/** Packets of pinned connections, beside as many of as many connections where nothing is pinned (B4). */
export function costOfExceptions(table: CostTable, subject: SubjectProgram): void {
  const changes = [NOTHING_PINNED, ALL_PINNED, OTHERS_PINNED];
  for (const kind of CONNECTIONS) {
    for (const flows of [1, PINNED]) {
      const spread = { flows, services: 1 };
      const [hit = 0, exception = 0, miss = 0] = leastInTurn(changes, (change) => {
        subject.publish(SMALL, change);
        return table.measure(kind, spread, { runs: RUNS_OF_A_TURN, packets: PACKETS });
      });
      const plural = flows === 1 ? "1 flow" : `${count(flows)} flows`;
      const add = (what: string, ns: number, promised: boolean): void => {
        const row = { name: `${kind.name}, ${plural}, ${what}`, value: ns, unit: "ns/packet" };
        const target = { text: `≤ ${MOST_TIMES_HIT} × a hit`, met: ns <= MOST_TIMES_HIT * hit };
        table.rows.push({ ...row, ratio: ns / hit, ...(promised ? { target } : {}) });
      };
      add("nothing pinned (what exceptions are compared with)", hit, false);
      add("pinned", exception, true);
      add("not pinned, in a slot with exceptions", miss, false);
    }
  }
  subject.publish(SMALL);
}

if (import.meta.main) {
  partAlone("Data path: what a packet of a pinned connection costs", costOfExceptions);
}
