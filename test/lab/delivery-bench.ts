// What the tests of the delivery methods share: a cluster with echo servers by TCP and UDP, witnesses of what must not
// happen (resets, ICMP errors, a switch that knows where a cluster MAC is), and real clients.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import path from "node:path";
import { clusterMac, type DeliveryMethod, type FloodedMethod } from "#base/delivery.ts";
import { ip } from "#base/address.ts";
import { LabCluster } from "#lab/cluster.ts";
import { run } from "../kernel/netns.ts";
import { STANDARD } from "#lab/standard.ts";
import { ECHO_PORT, echoServer } from "../../bench/failover-connections.ts";
import { CALM, labName, until } from "./agent-bench.ts";

export const { vip4, vip6, client } = STANDARD;
export const VIPS = [vip4, vip6] as const;
export const UDP_PORT = 5353;
const GROUPS = `groups:
  - name: web
    services: ["tcp ${vip4}:80", "tcp [${vip6}]:80"]
  - name: echo
    services: ["tcp ${vip4}:${ECHO_PORT}", "tcp [${vip6}]:${ECHO_PORT}"]
  - name: udp
    services: ["udp ${vip4}:${UDP_PORT}", "udp [${vip6}]:${UDP_PORT}"]
`;

const script = (name: string): string => path.join(import.meta.dirname, name);

export const methodConfig = (method: DeliveryMethod): string =>
  `${CALM}delivery: { method: ${method} }\n`;

export async function deliveryCluster(part: string, method: DeliveryMethod): Promise<LabCluster> {
  const cluster = await LabCluster.up({
    name: labName(part),
    members: 3,
    groups: GROUPS,
    extraConfig: methodConfig(method),
    downOnExit: true,
    programs: (member) => [
      echoServer(member),
      {
        name: "udp-echo",
        argv: [process.execPath, script("udp-echo.ts"), member.name, String(UDP_PORT), vip4, vip6],
      },
    ],
  });
  await cluster.settled();
  return cluster;
}

/** What `ip neigh` of the client says about a VIP, after it has asked. */
export async function learnedMac(cluster: LabCluster, vip: string): Promise<string | undefined> {
  await cluster.lab.exec(client, ["ping", "-n", "-c1", "-W5", vip]);
  const { stdout } = await cluster.lab.exec(client, ["ip", "neigh", "show", "to", vip]);
  return /lladdr (\S+)/.exec(stdout)?.[1];
}

export const sharedMac = (method: FloodedMethod): string => clusterMac(method, ip(vip4));

/** What clients send to while this method is in force, as a member says. */
export async function macOfMethod(
  cluster: LabCluster,
  method: DeliveryMethod,
  member = "m1",
): Promise<string> {
  if (method !== "forward") return sharedMac(method);
  const { members } = await cluster.status(member);
  return members.find(({ state }) => state === "master")?.mac ?? "";
}

interface Served {
  readonly served: Readonly<Record<string, number>>;
  readonly failed: number;
  readonly faults: readonly string[];
}

/** Opens so many connections, by turns to both VIPs. */
export async function manyConnections(cluster: LabCluster, count: number): Promise<Served> {
  const argv = [script("many-connections.ts"), String(count), String(ECHO_PORT), ...VIPS];
  const { status, stdout, stderr } = await cluster.lab.exec(client, [process.execPath, ...argv], {
    timeoutMs: 120_000,
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Served;
}

/** Datagrams from a port each; who answered how many. More than one answer to one is found by `twice`. */
export async function askByUdp(
  cluster: LabCluster,
  vip: string,
  { count = 60, bytes = 0 } = {},
): Promise<Record<string, number>> {
  const argv = [script("udp-ask.ts"), count, "", bytes, UDP_PORT, vip].map(String);
  const { status, stdout, stderr } = await cluster.lab.exec(client, [process.execPath, ...argv]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Record<string, number>;
}

/** A counter of /proc/net/snmp, added up over the members that live. */
export async function summed(cluster: LabCluster, names: readonly string[], counter: string) {
  let sum = 0;
  for (const name of names) {
    const { stdout } = await cluster.lab.exec(name, ["nstat", "-asz", counter]);
    sum += Number(new RegExp(`^${counter} +(\\d+)`, "m").exec(stdout)?.[1] ?? 0);
  }
  return sum;
}

/** A program of the machine in a namespace of the lab, and what it has printed. */
export class Witness {
  readonly #child: ChildProcess;
  #seen = "";
  #said = "";

  private constructor(netns: string, argv: readonly string[]) {
    this.#child = spawn("nsenter", [`--net=${netns}`, ...argv], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.on("data", (text) => (this.#seen += String(text)));
    this.#child.stderr?.on("data", (text) => (this.#said += String(text)));
  }

  /** tcpdump on an interface of a host, from now on. @param more options of tcpdump */
  static async capture(
    cluster: LabCluster,
    host: string,
    filter: string,
    more: readonly string[] = [],
  ): Promise<Witness> {
    const argv = ["tcpdump", "-i", STANDARD.interface, "-e", "-n", "-l", "--immediate-mode"];
    const witness = new Witness(cluster.lab.netns(host), [...argv, ...more, filter]);
    await until("tcpdump listens", () => witness.#said.includes("listening on"));
    return witness;
  }

  /** Everything that the switch learns and forgets, from now on. */
  static learning(cluster: LabCluster): Witness {
    return new Witness(cluster.lab.netns(STANDARD.switch), ["bridge", "monitor", "fdb"]);
  }

  get lines(): string[] {
    return this.#seen.split("\n").filter((line) => line !== "");
  }

  async end(): Promise<string[]> {
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill("SIGINT");
    await ended;
    return this.lines;
  }
}

/** Resets and ICMP errors, of both families, to or from the client. */
export const NO_SERVICE =
  "tcp[tcpflags] & tcp-rst != 0 or (ip6 and ip6[6] == 6 and ip6[53] & 4 != 0) or " +
  "icmp[icmptype] == icmp-unreach or icmp[icmptype] == icmp-redirect or icmp[icmptype] == icmp-timxceed or " +
  "(icmp6 and ip6[40] < 128)";

/** What the switch has learned by now; it must know the masked addresses and no cluster MAC. */
export function switchTable(cluster: LabCluster): string {
  const netns = cluster.lab.netns(STANDARD.switch);
  return run("nsenter", `--net=${netns}`, "bridge", "fdb", "show", "dynamic");
}

export const CLUSTER_MAC = /0[23]:bf:|01:00:5e:7f/;
