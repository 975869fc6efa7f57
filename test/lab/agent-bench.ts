// What the tests of agents in lab clusters share: the command line as an operator types it, an agent that is killed and started
// again, what a host looks like to its kernel, and waiting for events.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Status } from "#api/status.ts";
import { inNetns } from "#driver/libc.ts";
import { agentProgram, type LabCluster } from "#lab/cluster.ts";
import type { ExecOptions, ExecResult, Lab } from "#lab/lab.ts";
import { startProgram } from "#lab/launch.ts";
import { stateOf } from "#lab/processes.ts";
import { type StartedProcess, startedProcesses } from "#lab/record.ts";
import { STANDARD } from "#lab/standard.ts";
import { root } from "#tools/steps.ts";

export const skip = process.getuid?.() === 0 ? false : "namespaces need root";
export const PAN = path.join(root, "src/cli/main.ts");
export const LIMIT_MS = 30_000;
/** These tests are not about how fast a death is noticed, and a busy test machine is not to look like one. */
export const CALM = "detection: { intervalMs: 1000 }\n";
/** No two test files, and no two runs at the same time, share a lab. */
export const labName = (part: string): string => `t${process.pid}-${part}`;

/** Waits for an event that has no other sign, with a generous limit. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  pollMs = 20,
): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    assert.ok(performance.now() < limit, `waited too long until ${what}`);
    await pause(pollMs);
  }
}

/** `pan …` in a host, to the end. */
export const panIn = (
  lab: Lab,
  host: string,
  words: readonly string[],
  options?: ExecOptions,
): Promise<ExecResult> => lab.exec(host, [process.execPath, PAN, ...words], options);

/** `pan … ` at the agent of a member. */
export const pan = (
  cluster: LabCluster,
  member: string,
  ...words: readonly string[]
): Promise<ExecResult> =>
  panIn(cluster.lab, member, ["--socket", socketOf(cluster, member), ...words]);

/** As `pan`, of a command that has to succeed. Resolves to what it printed. */
export async function panOk(
  cluster: LabCluster,
  member: string,
  ...words: readonly string[]
): Promise<string> {
  const { status, stdout, stderr } = await pan(cluster, member, ...words);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: "" }, words.join(" "));
  return stdout;
}

export const socketOf = (cluster: LabCluster, member: string): string =>
  path.join(cluster.lab.folder(member), "agent.sock");

export const logOf = (cluster: LabCluster, member: string): string =>
  readFileSync(path.join(cluster.lab.folder(member), "agent.log"), "utf8");

const running = (
  cluster: LabCluster,
  member: string,
  program: string,
): StartedProcess | undefined =>
  startedProcesses(cluster.lab.name).findLast(
    (id) => id.host === member && id.program === program && stateOf(id) !== "ended",
  );

export const runningAgent = (cluster: LabCluster, member: string): StartedProcess | undefined =>
  running(cluster, member, "agent");

export const hasAgent = (cluster: LabCluster, member: string): boolean =>
  runningAgent(cluster, member) !== undefined;

type EndingSignal = "SIGTERM" | "SIGKILL" | "SIGINT";

/** Sends a signal to a program of a member, by its name in the lab, and waits until it has ended. */
export async function endProgram(
  cluster: LabCluster,
  member: string,
  program: string,
  signal: EndingSignal,
): Promise<void> {
  const found = running(cluster, member, program);
  assert.ok(found, `${member} runs no ${program}`);
  process.kill(found.pid, signal);
  await until(`${program} on ${member} has ended`, () => stateOf(found) === "ended");
}

export const endAgent = (
  cluster: LabCluster,
  member: string,
  signal: EndingSignal,
): Promise<void> => endProgram(cluster, member, "agent", signal);

/** Starts the agent of a member; resolves when it answers. */
export async function startAgent(
  cluster: LabCluster,
  member: string,
  more: readonly string[] = [],
): Promise<void> {
  const place = { lab: cluster.lab.name, host: member };
  await startProgram(place, agentProgram(cluster.folder, member, more));
  await cluster.until(`${member} answers`, () => true, member);
}

/** All that an agent may change on a host, as the host's kernel tells it. */
export interface HostTraces {
  readonly addresses: string;
  readonly settings: readonly string[];
  readonly filters: string;
}

export async function tracesOf(lab: Lab, host: string): Promise<HostTraces> {
  const run = async (...argv: string[]): Promise<string> => (await lab.exec(host, argv)).stdout;
  const folder = `/proc/sys/net/ipv4/conf/${STANDARD.interface}`;
  const settings = inNetns(lab.netns(host), () =>
    ["arp_ignore", "arp_announce", "rp_filter"].map(
      (name) => `${name} ${readFileSync(path.join(folder, name), "utf8").trim()}`,
    ),
  );
  return {
    addresses: await run("ip", "-o", "address", "show"),
    settings,
    filters:
      (await run("tc", "qdisc", "show", "dev", STANDARD.interface)) +
      (await run("tc", "filter", "show", "dev", STANDARD.interface, "ingress")) +
      (await run("tc", "filter", "show", "dev", STANDARD.interface, "egress")),
  };
}

/**
 * What of a node's status only changes of the cluster change: views, configuration, who serves what. Not the number of the tables:
 * chains of former owners are swept now and then (docs/adr/0009), also when nobody does anything.
 */
export const standing = ({ cluster: seen, members, groups, failovers }: Status): unknown => ({
  view: [seen.master, seen.epoch, seen.config, seen.tables.epoch, seen.tables.master],
  members: members.map(({ name, state, mac, drained }) => [name, state, mac, drained]),
  groups: groups.map(({ name, slots, services, shares }) => [name, slots, services, shares]),
  failovers,
});

/** Host name that answers at this address, as curl on `from` sees it; undefined: nobody. */
export async function whoami(
  lab: Lab,
  address: string,
  { from = STANDARD.client, curl = [] }: { from?: string; curl?: readonly string[] } = {},
): Promise<string | undefined> {
  const [host = "", port = "80"] = address.includes("]") ? splitV6(address) : address.split(":");
  const url = `http://${host}:${port}/whoami`;
  const argv = ["curl", "-gs", "--max-time", "5", ...curl, url];
  const { status, stdout } = await lab.exec(from, argv);
  return status === 0 ? stdout.trim() : undefined;
}

const splitV6 = (address: string): string[] => {
  const end = address.indexOf("]") + 1;
  return [address.slice(0, end), address.slice(end + 1) || "80"];
};

/** The hosts that answered this many requests, each over a new connection. */
export async function answerers(
  lab: Lab,
  address: string,
  count: number,
  curl: readonly string[] = [],
): Promise<Map<string, number>> {
  const argv = [
    ...["curl", "-s", "--max-time", "20", "--no-keepalive", "--header", "Connection: close"],
    ...curl,
    `http://${address.replace("[", "\\[").replace("]", "\\]")}/whoami?[1-${count}]`,
  ];
  const { status, stdout, stderr } = await lab.exec(STANDARD.client, argv);
  assert.equal(status, 0, `curl: ${stderr}`);
  const counts = new Map<string, number>();
  for (const name of stdout.trim().split("\n")) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** So many bytes have come to a host's interface. */
export async function bytesReceived(
  lab: Lab,
  host: string,
  name: string = STANDARD.interface,
): Promise<number> {
  const { stdout } = await lab.exec(host, ["ip", "-s", "-j", "link", "show", "dev", name]);
  const [link] = JSON.parse(stdout) as { stats64: { rx: { bytes: number } } }[];
  return link?.stats64.rx.bytes ?? Number.NaN;
}
