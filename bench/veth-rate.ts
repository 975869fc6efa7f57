// Packets per second of one core on veth: generator, both ends of the pair and the program on the same CPU, so a rate
// is per second of that CPU's time. The generator is a test run with live frames.
import { readdirSync, readFileSync } from "node:fs";
import { Datapath } from "#driver/bpf/datapath.ts";
import { bpfCheck, libbpf, Structure } from "#driver/bpf/libbpf.ts";
import { netdev } from "#driver/bpf/netdev.ts";
import { inNetns } from "#driver/libc.ts";
import { TestNetns } from "../test/kernel/netns.ts";
import { SELF, TABLE_1, tables } from "./datapath-traffic.ts";
import { EINTR, threadCpuNs, type PacketCost } from "./packet-cost.ts";
import type { Row } from "./suite.ts";

/** Each call waits for grace periods, so few and long calls. */
const PACKETS = 1 << 22;
const CALLS = 3;
const FLOWS = 100_000;
const LIVE_FRAMES = 1 << 1;
const BATCH = 64;
const XDP_NATIVE = 1 << 2;

function ksoftirqdNs(cpu: number): number {
  const pid = readdirSync("/proc").find((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return readFileSync(`/proc/${entry}/comm`, "utf8").trim() === `ksoftirqd/${cpu}`;
    } catch {
      return false; // it has ended meanwhile
    }
  });
  if (pid === undefined) return 0;
  return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]);
}

class VethPair {
  readonly #generator = new TestNetns("bench-generator");
  readonly #subject = new TestNetns("bench-subject");

  constructor() {
    const peer = ["peer", "name", "l0", "address", SELF.mac, "netns", this.#subject.name];
    this.#generator.ip("link", "add", "g0", "type", "veth", ...peer);
    this.#generator.ip("link", "set", "g0", "up");
    this.#subject.ip("link", "set", "l0", "up");
  }

  atGenerator<T>(action: () => T): T {
    return inNetns(this.#generator.path, action);
  }

  atSubject<T>(action: () => T): T {
    return inNetns(this.#subject.path, action);
  }

  /** Frames that a program has dropped at an end: what has gone all the way. */
  dropped(end: "generator" | "subject"): number {
    const netns = end === "generator" ? this.#generator : this.#subject;
    const statistics = netns.exec("ethtool", "-S", end === "generator" ? "g0" : "l0");
    const drops = [...statistics.matchAll(/rx_queue_\d+_xdp_drops: (\d+)/g)];
    return drops.reduce((sum, [, value]) => sum + Number(value), 0);
  }

  remove(): void {
    this.#generator.remove();
    this.#subject.remove();
  }
}

function generate(pair: VethPair, cost: PacketCost): void {
  const { frame } = TABLE_1;
  const context = new Structure(24).u32(4, frame.byteLength).bytes;
  const options = new Structure(80)
    .u64(0, 80)
    .pointer(8, frame)
    .u32(24, frame.byteLength)
    .pointer(32, context)
    .u32(48, context.byteLength)
    .u32(60, PACKETS)
    .u32(68, LIVE_FRAMES)
    .u32(76, BATCH).bytes;
  pair.atGenerator(() => {
    const result = libbpf().testRun(cost.reference("generate"), options);
    // a signal ends a run early; what has been sent until then counts
    if (result !== -EINTR) bpfCheck(result, "send live frames");
  });
}

/** Millions of packets per second of CPU time that arrived at `end`; the best of some calls. */
function rate(pair: VethPair, cost: PacketCost, end: "generator" | "subject", cpu: number): number {
  let best = 0;
  for (let call = 0; call < CALLS; call++) {
    const [arrived, softirq, thread] = [pair.dropped(end), ksoftirqdNs(cpu), threadCpuNs()];
    generate(pair, cost);
    const ns = threadCpuNs() - thread + ksoftirqdNs(cpu) - softirq;
    best = Math.max(best, ((pair.dropped(end) - arrived) / ns) * 1e3);
  }
  return best;
}

/** Rows for drop, the smallest forwarder and ours, in millions of packets per second of one core. */
export function vethRates(cost: PacketCost, cpu: number): Row[] {
  const pair = new VethPair();
  const row = (name: string, value: number): Row => ({ name, value, unit: "Mpps/core" });
  const attach = (program: string, name: string): void => {
    const fd = cost.reference(program);
    bpfCheck(libbpf().xdpAttach(netdev(name).ifindex, fd, XDP_NATIVE, null), `attach ${program}`);
  };
  try {
    const { ifindex } = pair.atGenerator(() => netdev("g0"));
    cost.plan(TABLE_1, { flows: FLOWS, services: 1 }, ifindex);
    cost.aim(cost.reference("redirect"));
    // XDP_TX on veth needs a program at the other end
    pair.atGenerator(() => attach("drop", "g0"));
    pair.atSubject(() => attach("drop", "l0"));
    const rows = [row("veth: receive and drop", rate(pair, cost, "subject", cpu))];
    pair.atSubject(() => attach("swap", "l0"));
    rows.push(row("veth: receive, swap MAC addresses, send", rate(pair, cost, "generator", cpu)));
    pair.atSubject(() => {
      bpfCheck(libbpf().xdpDetach(netdev("l0").ifindex, XDP_NATIVE, null), "detach swap");
    });
    const datapath = pair.atSubject(() =>
      Datapath.open({ interface: "l0", hook: "xdp", self: SELF.id }),
    );
    datapath.publish(tables({ services: 1, slots: 1024, nodes: 4 }, 1));
    rows.push(row("veth: Panoply, table 1, 100 000 flows", rate(pair, cost, "generator", cpu)));
    datapath.close();
    return rows;
  } finally {
    pair.remove();
  }
}
