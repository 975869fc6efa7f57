// What a packet costs in the data path (B14): ns of CPU time for each way through the packet program, beside the least
// that any XDP program costs here. `node bench/datapath.ts [--json]` runs it alone; root is needed.
import { parseArgs } from "node:util";
import { testRun } from "#driver/bpf/test-run.ts";
import { costOfExceptions } from "./datapath-exceptions.ts";
import { costOfTunnels } from "./datapath-tunnels.ts";
import {
  count,
  CostTable,
  MANY_RUNS,
  onOneCpu,
  SMALL,
  type SubjectProgram,
} from "./datapath-cost.ts";
import {
  FIRST_FRAGMENT,
  KINDS,
  LATER_FRAGMENT,
  PEERS,
  TABLE_1,
  type TableSize,
} from "./datapath-traffic.ts";
import type { SuiteOptions } from "./lib/options.ts";
import { type PacketCost, type Spread } from "./packet-cost.ts";
import { renderSuite, type Row, type Suite } from "./suite.ts";
import { vethRates } from "./veth-rate.ts";

const LARGE: TableSize = { services: 10_000, slots: 65_536, nodes: 512 };
const FLOWS = [1, 10_000, 1_000_000] as const;
const MOST_TIMES_FLOOR = 5;
/** Of somebody else's packet, beside a bare XDP_DROP. */
const MOST_TIMES_DROP = 4;
const MEMBERS: readonly TableSize[] = [
  { services: 1, slots: 1024, nodes: 3 },
  { services: 1, slots: 1024, nodes: 64 },
  { services: 1, slots: 65_536, nodes: 512 },
];
const MOST_GROWTH = 1.15;

const METHOD = [
  "BPF_PROG_TEST_RUN, 1 000 000 packets a run, CPU time of the thread, smallest of 9 runs (36 where sizes are",
  "compared); headers written anew for every packet, the cost of writing them measured in turn and subtracted.",
  "Of pinned connections, tunnels and QUIC: 100 000 packets a run, smallest of 360 and 120 runs. The floor is `return XDP_PASS`.",
  "What goes into a tunnel or comes out of one has its old length back before the next packet, which is a part of what it costs here.",
];

function costOfPaths(table: CostTable): void {
  for (const kind of KINDS) {
    for (const flows of FLOWS) {
      const ns = table.measure(kind, { flows, services: 1 });
      const met = ns <= MOST_TIMES_FLOOR * table.floor;
      const promised = kind === TABLE_1 ? { text: "≤ 5 × floor", met } : undefined;
      const plural = flows === 1 ? "1 flow" : `${count(flows)} flows`;
      table.add(`${kind.name}, ${plural}`, ns, promised);
    }
  }
  table.add(LATER_FRAGMENT.name, table.measure(LATER_FRAGMENT, { flows: 1, services: 1 }));
}

/** What every member does with most packets of the flooded methods: somebody else's, beside a program that drops all. */
function costOfDrops(table: CostTable, cost: PacketCost, subject: SubjectProgram): void {
  const floor = cost.direct(cost.reference("drop"), TABLE_1.frame);
  const row = (name: string, ns: number): Row => ({
    name,
    value: ns,
    unit: "ns/packet",
    ratio: ns / floor,
  });
  table.rows.push(row("bare XDP_DROP (what the drop path is compared with)", floor));
  for (const size of MEMBERS) {
    subject.publish(size);
    for (const kind of PEERS) {
      const flows = size.slots > 1024 ? 1_000_000 : 10_000;
      const ns = table.measure(kind, { flows, services: 1 });
      const where = `${count(size.nodes)} members, ${count(size.slots)} slots`;
      const met = ns <= MOST_TIMES_DROP * floor;
      const target = { text: `≤ ${MOST_TIMES_DROP} × XDP_DROP`, met };
      table.rows.push({ ...row(`a peer's packet dropped: ${kind.name}, ${where}`, ns), target });
    }
  }
}

interface Growth {
  readonly name: string;
  readonly size: Partial<TableSize>;
  readonly spread: Partial<Spread>;
  /** False: for information. */
  readonly promised?: false;
}

const ONE = { size: { services: 1, slots: 2, nodes: 1 }, spread: { flows: 1, services: 1 } };
const MANY_FLOWS: Partial<Spread> = { flows: 1_000_000 };
const ALL = "1 000 000 flows, 10 000 services, 512 nodes, 65 536 slots";

/** Each dimension alone, then all of them. Only many flows reach many slots, and so many nodes. */
const GROWTHS: readonly Growth[] = [
  { name: "1 000 000 flows", size: {}, spread: MANY_FLOWS },
  { name: "10 000 services, packets to one", size: { services: 10_000 }, spread: {} },
  {
    name: "10 000 services, packets to all",
    size: { services: 10_000 },
    spread: { services: 10_000 },
  },
  { name: "512 nodes, each with a slot", size: { nodes: 512, slots: 512 }, spread: MANY_FLOWS },
  { name: "65 536 slots", size: { slots: 65_536 }, spread: MANY_FLOWS },
  { name: `${ALL}, packets to one service`, size: LARGE, spread: MANY_FLOWS },
  {
    name: `${ALL}, packets to all services`,
    size: LARGE,
    spread: { ...MANY_FLOWS, services: LARGE.services },
    promised: false,
  },
];

function costOfSize(table: CostTable, subject: SubjectProgram): void {
  subject.publish(ONE.size);
  const least = table.measure(TABLE_1, ONE.spread, { runs: MANY_RUNS });
  table.add("1 flow, 1 service, 1 node, 2 slots", least);
  for (const { name, size, spread, promised } of GROWTHS) {
    subject.publish({ ...ONE.size, ...size });
    const ns = table.measure(TABLE_1, { ...ONE.spread, ...spread }, { runs: MANY_RUNS });
    const target = { text: "≤ +15 %", met: ns <= MOST_GROWTH * least };
    table.add(name, ns, promised === false ? undefined : target);
  }
  subject.publish(ONE.size);
  const name = "publish 3 tables of 65 536 slots, 10 000 services, 512 nodes";
  table.rows.push({ name, value: subject.publish(LARGE), unit: "ms of CPU" });
}

/** About two minutes. `quick` makes no difference. */
export async function datapath({ say }: SuiteOptions): Promise<Suite> {
  return onOneCpu(({ cost, subject, cpu }) => {
    testRun(subject.fd, FIRST_FRAGMENT);
    const table = new CostTable(cost, subject.fd);
    table.reference("XDP_TX, MAC addresses swapped", "swap");
    table.reference("parse, one hash and one array lookup", "two_lookups");
    say("ways through the packet program");
    costOfPaths(table);
    say("pinned connections");
    costOfExceptions(table, subject);
    say("tunnels, and QUIC");
    costOfTunnels(table, subject);
    subject.publish(SMALL);
    say("packets of other members");
    costOfDrops(table, cost, subject);
    say("sizes of the tables");
    costOfSize(table, subject);
    say("packet rates on veth");
    const rates = vethRates(cost, cpu);
    const title = "Data path: what a packet costs";
    return { name: "datapath", title, method: METHOD, rows: [...table.rows, ...rates] };
  });
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const suite = await datapath({ quick: false, say: (line) => console.error(`… ${line}`) });
  console.log(values.json ? JSON.stringify(suite) : renderSuite(suite));
}
