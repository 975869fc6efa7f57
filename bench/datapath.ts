// What a packet costs in the data path (B14): ns of CPU time for each way through the packet program, beside the least
// that any XDP program costs here. `node bench/datapath.ts [--json]` runs it alone; root is needed.
import os from "node:os";
import { parseArgs } from "node:util";
import { assert } from "#base/assert.ts";
import { LoadedObject } from "#driver/bpf/program-loader.ts";
import {
  constants,
  mapCapacities,
  sizesOf,
  tableMapFds,
  type Sizes,
} from "#driver/bpf/program-options.ts";
import { TableWriter } from "#driver/bpf/table-writer.ts";
import type { Tables } from "#core/steering/tables.ts";
import { testRun } from "#driver/bpf/test-run.ts";
import {
  CONNECTIONS,
  FIRST_FRAGMENT,
  KINDS,
  LATER_FRAGMENT,
  PEERS,
  pinned,
  PINNED,
  SELF,
  TABLE_1,
  tables,
  type TableSize,
} from "./datapath-traffic.ts";
import type { SuiteOptions } from "./lib/options.ts";
import { PacketCost, pinToCpu, threadCpuNs, type PacketKind, type Spread } from "./packet-cost.ts";
import { renderSuite, type Row, type Suite } from "./suite.ts";
import { vethRates } from "./veth-rate.ts";

const SMALL: TableSize = { services: 1, slots: 1024, nodes: 4 };
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
/** Of a packet of a pinned connection, beside a table-1 hit. */
const MOST_TIMES_HIT = 1.3;
const USUAL_RUNS = 9;
/** Where two rows are compared that differ by a cache miss, which a busy neighbour on the core makes dearer. */
const MANY_RUNS = 36;
const TURNS = 6;

const METHOD = [
  "BPF_PROG_TEST_RUN, 1 000 000 packets a run, CPU time of the thread, smallest of 9 runs (36 where sizes are",
  "compared); headers written anew for every packet, the cost of writing them measured in turn and subtracted.",
  "The floor is `return XDP_PASS`.",
];

/** Our program, loaded but attached to nothing, with tables that can be exchanged. */
class SubjectProgram {
  readonly fd: number;
  readonly #object: LoadedObject;
  readonly #writer: TableWriter;
  #version = 0;

  constructor() {
    const sizes: Sizes = sizesOf({ interface: "", self: SELF.id });
    this.#object = LoadedObject.load("steer-xdp.o", {
      capacities: mapCapacities(sizes),
      constants: constants({ self: SELF.id, mac: SELF.mac }, sizes, false),
    });
    this.#writer = new TableWriter(tableMapFds(this.#object), sizes);
    this.fd = this.#object.programFd("steer_xdp");
  }

  /** Answers the CPU time it took, in ms. */
  publish(size: TableSize, change = (each: Tables): Tables => each): number {
    this.#version++;
    const next = change(tables(size, this.#version));
    const before = threadCpuNs();
    this.#writer.publish(next, () => {});
    return (threadCpuNs() - before) / 1e6;
  }

  close(): void {
    this.#writer.close();
    this.#object.close();
  }
}

const count = (flows: number): string => flows.toLocaleString("en").replaceAll(",", " ");

/** Rows in ns/packet and as multiples of the floor. */
class CostTable {
  readonly rows: Row[] = [];
  readonly #cost: PacketCost;
  readonly #subject: number;
  readonly #floor: number;

  constructor(cost: PacketCost, subject: number) {
    this.#cost = cost;
    this.#subject = subject;
    this.#floor = cost.direct(cost.reference("pass"), TABLE_1.frame);
    this.add("bare XDP_PASS (the floor)", this.#floor);
  }

  add(name: string, ns: number, target?: Row["target"]): number {
    const row = { name, value: ns, unit: "ns/packet", ratio: ns / this.#floor };
    this.rows.push(target === undefined ? row : { ...row, target });
    return ns;
  }

  reference(name: string, program: string): void {
    const spread = { flows: 1, services: 1 };
    this.add(
      name,
      this.#cost.net(this.#cost.reference(program), TABLE_1, spread, { floor: this.#floor }),
    );
  }

  measure(kind: PacketKind, spread: Spread, runs = USUAL_RUNS): number {
    const { returned } = testRun(this.#subject, kind.frame);
    assert(returned === kind.returned, `${kind.name}: the packet goes where it should`);
    return this.#cost.net(this.#subject, kind, spread, { floor: this.#floor, runs });
  }

  get floor(): number {
    return this.#floor;
  }
}

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

const NOTHING_PINNED = (tables: Tables): Tables => tables;
const ALL_PINNED = (tables: Tables): Tables => pinned(tables, false);
const OTHERS_PINNED = (tables: Tables): Tables => pinned(tables, true);

/** ns for each of the tables, measured in turn, so that a busy neighbour meets all of them alike. */
function measureInTurn(
  table: CostTable,
  subject: SubjectProgram,
  kind: PacketKind,
  spread: Spread,
  changes: readonly ((tables: Tables) => Tables)[],
): number[] {
  const least = changes.map(() => Infinity);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [index, change] of changes.entries()) {
      subject.publish(SMALL, change);
      const ns = table.measure(kind, spread, MANY_RUNS / TURNS);
      least[index] = Math.min(least[index] ?? Infinity, ns);
    }
  }
  return least;
}

/** Packets of pinned connections, beside as many of as many connections where nothing is pinned (B4). */
function costOfExceptions(table: CostTable, subject: SubjectProgram): void {
  const changes = [NOTHING_PINNED, ALL_PINNED, OTHERS_PINNED];
  for (const kind of CONNECTIONS) {
    for (const flows of [1, PINNED]) {
      const spread = { flows, services: 1 };
      const costs = measureInTurn(table, subject, kind, spread, changes);
      const [hit = 0, exception = 0, miss = 0] = costs;
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
  const least = table.measure(TABLE_1, ONE.spread, MANY_RUNS);
  table.add("1 flow, 1 service, 1 node, 2 slots", least);
  for (const { name, size, spread, promised } of GROWTHS) {
    subject.publish({ ...ONE.size, ...size });
    const ns = table.measure(TABLE_1, { ...ONE.spread, ...spread }, MANY_RUNS);
    const target = { text: "≤ +15 %", met: ns <= MOST_GROWTH * least };
    table.add(name, ns, promised === false ? undefined : target);
  }
  subject.publish(ONE.size);
  const name = "publish 3 tables of 65 536 slots, 10 000 services, 512 nodes";
  table.rows.push({ name, value: subject.publish(LARGE), unit: "ms of CPU" });
}

/** About two minutes. `quick` makes no difference. */
export async function datapath({ say }: SuiteOptions): Promise<Suite> {
  const cpu = os.cpus().length - 1;
  const unpin = pinToCpu(cpu);
  const cost = new PacketCost();
  const subject = new SubjectProgram();
  try {
    subject.publish(SMALL);
    testRun(subject.fd, FIRST_FRAGMENT);
    const table = new CostTable(cost, subject.fd);
    table.reference("XDP_TX, MAC addresses swapped", "swap");
    table.reference("parse, one hash and one array lookup", "two_lookups");
    say("ways through the packet program");
    costOfPaths(table);
    say("pinned connections");
    costOfExceptions(table, subject);
    say("packets of other members");
    costOfDrops(table, cost, subject);
    say("sizes of the tables");
    costOfSize(table, subject);
    say("packet rates on veth");
    const rates = vethRates(cost, cpu);
    const title = "Data path: what a packet costs";
    return { name: "datapath", title, method: METHOD, rows: [...table.rows, ...rates] };
  } finally {
    subject.close();
    cost.close();
    unpin();
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const suite = await datapath({ quick: false, say: (line) => console.error(`… ${line}`) });
  console.log(values.json ? JSON.stringify(suite) : renderSuite(suite));
}
