// Members that share one MAC (part C): what the peering programs cost per frame, and TCP between two members beside the same machines
// with MACs of their own, in one run and by turns.
import type { Client } from "#api/client.ts";
import { ip, mac, macBytes } from "#base/address.ts";
import { clusterMac, maskedMac } from "#base/delivery.ts";
import { nodeId } from "#base/ids.ts";
import { peerMac, type PeerMacs } from "#base/peering.ts";
import { PEER_CONFIG } from "#driver/bpf/peer-abi.gen.ts";
import { PEER_SETTINGS_MAP, writeSettings } from "#driver/bpf/peer-programs.ts";
import { peerPrefix } from "#driver/bpf/peer-settings.ts";
import { LoadedObject } from "#driver/bpf/program-loader.ts";
import { Mapping } from "#driver/libc.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD, standardMembers } from "#lab/standard.ts";
import { run } from "../test/kernel/netns.ts";
import { querierCounts, routerPorts, snoop, tableMac } from "../test/lab/peering-bench.ts";
import type { SuiteOptions } from "./lib/options.ts";
import { median } from "./lib/statistics.ts";
import { PacketCost, pinToCpu } from "./packet-cost.ts";
import type { Row, Suite } from "./suite.ts";

const PRIMARY = ip(STANDARD.vip4);
const MACS: PeerMacs = { kind: "masked", primary: PRIMARY };
const SELF = nodeId(1);
const CALM = "detection: { intervalMs: 1000 }\ndelivery: { method: unicast }\n";
const LEAST_OF_SEPARATE = 0.95;
const MOST_OF_EMPTY = 3;
const ROUNDS = { quick: 3, whole: 15 } as const;
const SECONDS = { quick: 1, whole: 1 } as const;

/** Each end has a CPU of its own: where the scheduler puts them differs more than what is measured. */
const onCpu = (cpu: number): readonly string[] => ["taskset", "-c", String(cpu)];

/** Sections, by name. */
const VARIANTS: readonly (readonly [name: string, section: string])[] = [
  ["masked", "mac: masked"],
  ["table", "mac: table"],
  ["masked, initiator rewrites", "mac: masked, rewrite: initiator"],
  ["masked, by source", "mac: masked, recognise: source"],
  ["masked, local responder", "mac: masked, localResponder: true"],
  ["masked, not learned, source check", "mac: masked, learnFromRequests: false, sourceCheck: true"],
];

/** Kinds of MAC whose frames leave a switch by every port, unless it has static entries. */
const GROUPS = ["multicast", "shared"] as const;

const frame = (to: Uint8Array, from: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(64);
  bytes.set(to);
  bytes.set(from, 6);
  bytes.set([0x08, 0x00, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 7], 12);
  bytes.set([10, 77, 0, 100], 30);
  return bytes;
};

function packetRows(): Row[] {
  const cost = new PacketCost();
  const empty = LoadedObject.load("empty.o");
  const own = peerMac(SELF, PRIMARY);
  const outsiderSource = maskedMac(SELF, PRIMARY);
  const shared = clusterMac("unicast", PRIMARY);
  const programs = LoadedObject.load("peer.o");
  const mapping = new Mapping(programs.mapFd(PEER_SETTINGS_MAP), PEER_CONFIG.size);
  writeSettings(mapping, {
    clusterMac: shared,
    outsiderSource,
    peerSource: own,
    dedicated: [own],
    prefix: peerPrefix(MACS, own),
    choices: {
      rewrite: "responder",
      recognise: "mac",
      learnFromRequests: true,
      localResponder: false,
      sourceCheck: false,
    },
  });
  mapping.unmap();
  const release = pinToCpu(0);
  try {
    const client = macBytes(mac("02:00:00:00:00:aa"));
    const cm = macBytes(shared);
    const floor = cost.direct(empty.programFd("empty"), frame(cm, client));
    const row = (name: string, program: string, bytes: Uint8Array): Row => {
      const value = cost.direct(programs.programFd(program), bytes);
      const ratio = value / floor;
      const text = `≤ ${MOST_OF_EMPTY} × empty`;
      const target = { text, met: ratio <= MOST_OF_EMPTY };
      return { name, value, unit: "ns/frame", ratio, target };
    };
    return [
      { name: "empty tc program", value: floor, unit: "ns/frame", ratio: 1 },
      row("in: a client's frame, no rule", "peer_ingress", frame(cm, client)),
      row(
        "out: a forwarded frame, no rule",
        "peer_egress",
        frame(client, macBytes(mac("06:50:4e:01:00:01"))),
      ),
    ];
  } finally {
    release();
    programs.close();
    empty.close();
    cost.close();
  }
}

const upCluster = (name: string, section: string | undefined): Promise<LabCluster> =>
  LabCluster.up({
    name: `b${process.pid}-${name}`,
    members: 2,
    memberConfig: (member) => `addresses: ["${member.address6}"], mac: "${tableMac(member)}"`,
    extraConfig: `${CALM}${section === undefined ? "" : sectionText(section)}`,
    programs: () => [
      {
        name: "iperf",
        argv: [...onCpu(1), "iperf3", "-s", "-p", "5201"],
        ready: { tcp: 5201 },
      },
    ],
    downOnExit: true,
  });

const sectionText = (section: string): string =>
  `peering: { primary: ${STANDARD.vip4}, ${section} }\n`;

async function choose(cluster: LabCluster, section: string): Promise<void> {
  const agent: Client = cluster.client(await cluster.master());
  const { yaml } = await agent.config({});
  const text = yaml.replace(/^peering: .*\n/m, sectionText(section));
  const { config } = await agent.putConfig({ body: { yaml: text } });
  for (const name of cluster.members) {
    await cluster.until(
      "the choice is in force",
      (status) => status.cluster.config.counter === config.counter,
      name,
    );
  }
  await cluster.settled();
}

/** Gbit/s of one TCP connection from the first member to the second. */
async function throughput(cluster: LabCluster, seconds: number): Promise<number> {
  const [from, to] = standardMembers(2);
  const argv = [
    ...onCpu(0),
    "iperf3",
    "-c",
    to?.address4 ?? "",
    "-p",
    "5201",
    "-t",
    String(seconds),
    "-J",
  ];
  const { stdout } = await cluster.lab.exec(from?.name ?? "", argv, { timeoutMs: 60_000 });
  const { end } = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e9;
}

/** Whether the switch of a cluster knows where its machines are, or sends every frame out of every port. */
function learnPorts(cluster: LabCluster, learn: boolean): void {
  const inSwitch = `--net=${cluster.lab.netns(STANDARD.switch)}`;
  for (const name of cluster.members) {
    const port = ["ip", "link", "set", "dev", `p-${name}`, "type", "bridge_slave"];
    run("nsenter", inSwitch, ...port, "learning", learn ? "on" : "off");
    run("nsenter", inSwitch, ...port, "fdb_flush");
  }
}

interface Comparison {
  /** Gbit/s. */
  readonly value: number;
  readonly ratio: number;
}

/** A ratio is of neighbouring rounds. @param other what is measured beside it, by turns */
async function compare(
  { quick }: SuiteOptions,
  own: () => Promise<number>,
  other: () => Promise<number>,
): Promise<Comparison> {
  const results: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS[quick ? "quick" : "whole"]; round++) {
    const isFirst = round % 2 === 0;
    const before = isFirst ? await own() : undefined;
    const theirs = await other();
    const result = before ?? (await own());
    results.push(result);
    ratios.push(result / theirs);
  }
  return { value: median(results), ratio: median(ratios) };
}

/** @param ratio TCP of the peering cluster, as a share of that of the cluster with separate MACs */
const promised = (name: string, { value, ratio }: Comparison, than = "separate MACs"): Row => {
  const text = `≥ ${LEAST_OF_SEPARATE} × ${than}`;
  const met = ratio >= LEAST_OF_SEPARATE;
  return { name: `TCP: ${name}`, value, unit: "Gbit/s", ratio, target: { text, met } };
};

async function throughputRows(options: SuiteOptions): Promise<Row[]> {
  const seconds = SECONDS[options.quick ? "quick" : "whole"];
  const separate = await upCluster("sep", undefined);
  const peering = await upCluster("peer", "mac: masked");
  const own = (): Promise<number> => throughput(peering, seconds);
  const alone = (): Promise<number> => throughput(separate, seconds);
  const flooded = async (): Promise<number> => {
    learnPorts(separate, false);
    const result = await throughput(separate, seconds);
    learnPorts(separate, true);
    return result;
  };
  try {
    await separate.settled();
    await peering.settled();
    const rows: Row[] = [];
    for (const [name, section] of VARIANTS) {
      options.say(name);
      await choose(peering, section);
      rows.push(promised(name, await compare(options, own, alone)));
    }
    for (const kind of GROUPS) {
      options.say(kind);
      await choose(peering, `mac: ${kind}`);
      snoop(peering, true);
      routerPorts(peering, true);
      await querierCounts(peering);
      rows.push(promised(`${kind}, members at router ports`, await compare(options, own, alone)));
      routerPorts(peering, false);
      snoop(peering, false);
      rows.push(
        promised(`${kind}, flooded`, await compare(options, own, flooded), "separate, flooded too"),
      );
    }
    return rows;
  } finally {
    await peering.down();
    await separate.down();
  }
}

export async function peers(options: SuiteOptions): Promise<Suite> {
  const packets = packetRows();
  const pace = options.quick ? "quick" : "whole";
  return {
    name: "peers",
    title: "Members that share one MAC",
    method: [
      "Frames: thread CPU time of BPF_PROG_TEST_RUN, the smallest of 9 runs of a million; ratio to an empty tc program.",
      `TCP: iperf3 between two members of a lab cluster, ${ROUNDS[pace]} rounds of ${SECONDS[pace]} s, by turns with a cluster whose interfaces keep their MACs;`,
      "client and server on a CPU each; median of the ratios of neighbouring rounds. Both clusters share the machine.",
      "multicast and shared: members are at router ports beside a querier (docs/howto/peers.md). Else their frames leave the switch by every port;",
      "then the separate MACs' switch learns no port either, and what the bridge's and the outsider's stacks do with copies is paid by the same CPUs.",
    ],
    rows: [...packets, ...(await throughputRows(options))],
  };
}
