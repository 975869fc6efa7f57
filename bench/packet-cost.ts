// CPU time of an XDP program per packet, by BPF_PROG_TEST_RUN over headers that a generator program writes anew for
// each packet (bpf/bench/generator.bpf.c). Thread CPU time, because other work shares the machine; the smallest of
// several runs, because that is what the program costs when nothing disturbs it.
import { bpfCheck, libbpf, Structure } from "#driver/bpf/libbpf.ts";
import { LoadedObject } from "#driver/bpf/program-loader.ts";
import { check, libc } from "#driver/libc.ts";

const PACKETS = 1_000_000;
const RUNS = 9;
const CLOCK_THREAD_CPUTIME_ID = 3;
export const EINTR = 4;
const TEMPLATE_LENGTH = 128;
const PLAN_SIZE = 40;
const ANY_SEED = 0x1234_5678;

/** A kind of packet, and where in it a flow and a service are told apart (offsets from the frame's first byte). */
export interface PacketKind {
  readonly name: string;
  readonly frame: Uint8Array;
  /** What the program under test does with it: XDP_PASS (2) or XDP_TX (3). */
  readonly returned: number;
  readonly sourceOffset: number;
  readonly sourcePortOffset: number;
  readonly vipOffset: number;
  readonly vipPortOffset: number;
}

/** How the packets of one measurement differ from each other. */
export interface Spread {
  readonly flows: number;
  /** 128 ports on each of consecutive VIPs, from FIRST_SERVICE_PORT on; 1: the frame's own. */
  readonly services: number;
}

/** How the cost of a program is found: the smallest of that many runs. */
export interface Measuring {
  readonly floor: number;
  readonly runs?: number;
  /** Of a run. The shorter a run, the likelier that nothing disturbs one of them; each flow is to be met several times. */
  readonly packets?: number | undefined;
}

export const SERVICES_PER_VIP = 128;
export const FIRST_SERVICE_PORT = 8000;

/** Keeps this thread on one CPU: caches, and per-CPU maps, are that CPU's. Call what it gives back to end that. */
export function pinToCpu(cpu: number): () => void {
  const mask = Buffer.alloc(128);
  mask.writeUInt8(1 << (cpu % 8), Math.floor(cpu / 8));
  check(libc.schedSetaffinity(0, mask.byteLength, mask), `run on CPU ${cpu} only`);
  return () => {
    mask.fill(0xff);
    check(libc.schedSetaffinity(0, mask.byteLength, mask), "run on any CPU");
  };
}

export function threadCpuNs(): number {
  const time = Buffer.alloc(16);
  check(libc.clockGettime(CLOCK_THREAD_CPUTIME_ID, time), "read the thread's CPU time");
  return Number(time.readBigInt64LE(0)) * 1e9 + Number(time.readBigInt64LE(8));
}

/** A descriptor as the value of a map of programs. */
const fdBytes = (fd: number): Uint8Array => new Uint8Array(Uint32Array.of(fd).buffer);
const ZERO = new Uint8Array(4);

export class PacketCost {
  readonly #generator: LoadedObject;

  constructor() {
    this.#generator = LoadedObject.load("generator.o");
  }

  /** A program of the generator's object: pass, drop, swap, two_lookups. */
  reference(name: string): number {
    return this.#generator.programFd(name);
  }

  mapFd(name: string): number {
    return this.#generator.mapFd(name);
  }

  /** ns per packet of a program without the generator, over one unchanging frame. */
  direct(programFd: number, frame: Uint8Array): number {
    return smallest(() => this.#time(programFd, frame));
  }

  /** ns per packet of a program, net of what the generator costs with the same packets. */
  net(
    programFd: number,
    kind: PacketKind,
    spread: Spread,
    { floor, runs = RUNS, packets = PACKETS }: Measuring,
  ): number {
    this.plan(kind, spread);
    // both in turn, so that a disturbance meets both alike
    let [own, bare] = [Infinity, Infinity];
    for (let run = 0; run < runs; run++) {
      this.aim(this.reference("pass"));
      bare = Math.min(bare, this.#time(this.reference("generate"), kind.frame, packets));
      this.aim(programFd);
      own = Math.min(own, this.#time(this.reference("generate"), kind.frame, packets));
    }
    return own - bare + floor;
  }

  /** What the generator does next. */
  plan(kind: PacketKind, spread: Spread, ifindex = 0): void {
    const template = Buffer.alloc(TEMPLATE_LENGTH);
    template.set(kind.frame);
    const plan = new Structure(PLAN_SIZE)
      .u32(0, spread.flows)
      .u32(4, spread.services)
      .u32(8, ANY_SEED)
      .u32(12, kind.frame.byteLength)
      .u32(16, kind.sourceOffset)
      .u32(20, kind.sourcePortOffset)
      .u32(24, kind.vipOffset)
      .u32(28, kind.vipPortOffset)
      .u32(32, ifindex)
      .u32(36, FIRST_SERVICE_PORT).bytes;
    const bpf = libbpf();
    bpfCheck(bpf.updateElem(this.mapFd("templates"), ZERO, template, 0), "write the template");
    bpfCheck(bpf.updateElem(this.mapFd("plans"), ZERO, plan, 0), "write the plan");
  }

  /** Which program the generator hands its packets to. */
  aim(programFd: number): void {
    const result = libbpf().updateElem(this.mapFd("targets"), ZERO, fdBytes(programFd), 0);
    bpfCheck(result, "aim the generator");
  }

  close(): void {
    this.#generator.close();
  }

  #time(programFd: number, frame: Uint8Array, packets = PACKETS): number {
    const out = new Uint8Array(frame.byteLength + 256);
    const options = new Structure(80)
      .u64(0, 80)
      .pointer(8, frame)
      .pointer(16, out)
      .u32(24, frame.byteLength)
      .u32(28, out.byteLength)
      .u32(60, packets).bytes;
    for (;;) {
      const before = threadCpuNs();
      const result = libbpf().testRun(programFd, options);
      const spent = threadCpuNs() - before;
      // a signal ends a run early
      if (result === -EINTR) continue;
      bpfCheck(result, "run a program over packets");
      return spent / packets;
    }
  }
}

function smallest(measure: () => number): number {
  let least = Infinity;
  for (let run = 0; run < RUNS; run++) least = Math.min(least, measure());
  return least;
}
