// The packet program under test, and rows of what it costs, for the parts of the datapath benchmark.
import os from "node:os";
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
import type { NodeTunnel } from "#driver/bpf/tunnel-map.ts";
import { testRun } from "#driver/bpf/test-run.ts";
import { SELF, TABLE_1, tables, type TableSize } from "./datapath-traffic.ts";
import {
  PacketCost,
  pinToCpu,
  threadCpuNs,
  type Measuring,
  type PacketKind,
  type Spread,
} from "./packet-cost.ts";
import { renderSuite, type Row } from "./suite.ts";

export const SMALL: TableSize = { services: 1, slots: 1024, nodes: 4 };
const USUAL_RUNS = 9;
/** Where two rows are compared that differ by a cache miss, which a busy neighbour on the core makes dearer. */
export const MANY_RUNS = 36;
const TURNS = 6;

/** Our program, loaded but attached to nothing, with tables that can be exchanged. */
export class SubjectProgram {
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

  setTunnels(tunnels: readonly NodeTunnel[], address: Uint8Array): void {
    this.#writer.tunnels.set(tunnels, address);
  }

  close(): void {
    this.#writer.close();
    this.#object.close();
  }
}

export const count = (flows: number): string => flows.toLocaleString("en").replaceAll(",", " ");

/** What is measured, and how. */
export interface Bench {
  readonly cost: PacketCost;
  /** Its tables are SMALL. */
  readonly subject: SubjectProgram;
  /** On which it runs. */
  readonly cpu: number;
}

export function onOneCpu<T>(act: (bench: Bench) => T): T {
  const cpu = os.cpus().length - 1;
  const unpin = pinToCpu(cpu);
  const cost = new PacketCost();
  const subject = new SubjectProgram();
  try {
    subject.publish(SMALL);
    return act({ cost, subject, cpu });
  } finally {
    subject.close();
    cost.close();
    unpin();
  }
}

/** Runs one part of the benchmark alone. */
export function partAlone(
  title: string,
  part: (table: CostTable, subject: SubjectProgram) => void,
): void {
  onOneCpu(({ cost, subject }) => {
    const table = new CostTable(cost, subject.fd);
    part(table, subject);
    console.log(renderSuite({ name: "datapath", title, method: [], rows: table.rows }));
  });
}

/** The least that each of the cases took, which are measured in turn, so that a busy neighbour meets all of them alike. */
export function leastInTurn<T>(cases: readonly T[], measure: (each: T) => number): number[] {
  const least = cases.map(() => Infinity);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [index, each] of cases.entries()) {
      least[index] = Math.min(least[index] ?? Infinity, measure(each));
    }
  }
  return least;
}

/** As in Measuring. */
type Effort = Pick<Measuring, "runs" | "packets">;

/** Rows in ns/packet and as multiples of the floor. */
export class CostTable {
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

  measure(kind: PacketKind, spread: Spread, { runs = USUAL_RUNS, packets }: Effort = {}): number {
    const { returned } = testRun(this.#subject, kind.frame);
    assert(returned === kind.returned, `${kind.name}: the packet goes where it should`);
    return this.#cost.net(this.#subject, kind, spread, { floor: this.#floor, runs, packets });
  }

  get floor(): number {
    return this.#floor;
  }
}
