// What a member of a lab's cluster keeps in memory because of its traffic: what its packet program's maps take, how many entries those
// have that grow with packets, and its agent.
import { readFileSync } from "node:fs";
import { attachedProgram } from "#driver/bpf/attachment.ts";
import { netdev } from "#driver/bpf/netdev.ts";
import { closeProgram, openProgram, type LiveMap } from "#driver/bpf/objects.ts";
import { readHashMap } from "#driver/bpf/service-map.ts";
import { inNetns } from "#driver/libc.ts";
import type { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { runningAgent } from "./agent-bench.ts";

export interface MemberMemory {
  /** What the kernel accounts to all maps together, in bytes. */
  readonly mapBytes: number;
  /** Entries of the maps that packets write to. */
  readonly entries: Readonly<Record<string, number>>;
  /** Resident memory of the agent, in bytes. */
  readonly agentBytes: number;
}

/** Maps into which the packet program itself puts something for a packet. */
const WRITTEN_BY_PACKETS: readonly string[] = ["fragments", "udp_sessions"];

function field(file: string, name: string): number {
  const line = readFileSync(file, "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${name}:`));
  const value = Number(line?.match(/\d+/)?.[0]);
  if (Number.isNaN(value)) throw new Error(`${file} does not say ${name}`);
  return value;
}

const count = ({ fd, keySize, valueSize }: LiveMap): number =>
  [...readHashMap(fd, keySize, valueSize)].length;

export function memoryOf(cluster: LabCluster, member: string): MemberMemory {
  const agent = runningAgent(cluster, member);
  if (agent === undefined) throw new Error(`${member} has no agent`);
  const agentBytes = 1024 * field(`/proc/${agent.pid}/status`, "VmRSS");
  return inNetns(cluster.lab.netns(member), () => {
    const { ifindex } = netdev(STANDARD.interface);
    const id = attachedProgram(ifindex, "tc") ?? attachedProgram(ifindex, "xdp");
    if (id === undefined) throw new Error(`${member} has no packet program`);
    const program = openProgram(id);
    try {
      const bytes = program.maps.map(({ fd }) => field(`/proc/self/fdinfo/${fd}`, "memlock"));
      const grown = program.maps.filter(({ name }) => WRITTEN_BY_PACKETS.includes(name));
      return {
        mapBytes: bytes.reduce((sum, each) => sum + each, 0),
        entries: Object.fromEntries(grown.map((map) => [map.name, count(map)])),
        agentBytes,
      };
    } finally {
      closeProgram(program);
    }
  });
}
