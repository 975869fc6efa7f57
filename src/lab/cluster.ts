// A whole cluster in a lab: a CA, a configuration, node bundles, the real agent on every member. What `npm start` shows, what
// whole-cluster tests and benchmarks run against.
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { createClient, type Client } from "#api/client.ts";
import type { Status } from "#api/status.ts";
import { ip } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { nodeId } from "#base/ids.ts";
import { createCa, issueNode } from "#driver/identity/authority.ts";
import { writeBundle } from "#driver/identity/bundle.ts";
import { Lab } from "./lab.ts";
import { identify, type ProcessId, stateOf } from "./processes.ts";
import { requireFree } from "./record.ts";
import { STANDARD, standardMembers, standardTopology, type StandardMember } from "./standard.ts";
import type { Host, Program } from "./topology.ts";

export interface ClusterOptions {
  /** Name of the lab, and of the cluster. */
  readonly name: string;
  readonly members: number;
  /** More YAML of the configuration, such as "detection: { intervalMs: 500 }". */
  readonly extraConfig?: string;
  /** The groups in YAML; default: one weighted group with port 80 of both VIPs. */
  readonly groups?: string;
  /** Arguments of every agent, such as "--log-level=debug". */
  readonly agentArguments?: readonly string[];
  readonly extraHosts?: readonly Host[];
  /** More of a member's entry in `nodes`, such as "addresses: [fd77::11]". */
  readonly memberConfig?: (member: StandardMember) => string;
  /** Every member also has an interface in a second network, which the cluster's configuration calls an arm (A22). */
  readonly twoArmed?: boolean;
  /** Every member has so many private interfaces, which the cluster's configuration calls paths (B11). */
  readonly paths?: number;
  /** So many of the members, the last ones, are behind a router; `memberConfig` says how they are reached (B11). */
  readonly remote?: number;
  /** Programs of a member beside its agent and its web server. */
  readonly programs?: (member: StandardMember) => readonly Program[];
  /** Everything is removed when this process ends in any way but SIGKILL. */
  readonly downOnExit?: boolean;
}

const DEFAULT_GROUPS = `groups:
  - name: web
    services: ["tcp ${STANDARD.vip4}:80", "tcp [${STANDARD.vip6}]:80"]
`;
/** Who made the cluster: its process id and start time. */
const MAKER = "maker.json";
const LONGEST_SETTLING_MS = 30_000;
const POLL_MS = 50;

export class LabCluster {
  readonly lab: Lab;
  /** Names of the members: m1 … mN. */
  readonly members: readonly string[];
  readonly folder: string;

  private constructor(lab: Lab, members: readonly string[], folder: string) {
    this.lab = lab;
    this.members = members;
    this.folder = folder;
  }

  /** Everything is up and every agent answers; see settled() for the cluster itself. */
  static async up(options: ClusterOptions): Promise<LabCluster> {
    const { name, downOnExit = false } = options;
    const folder = path.join("/run", `panoply-cluster-${name}`);
    const remove = (): void => rmSync(folder, { recursive: true, force: true });
    claim(folder, name);
    if (downOnExit) process.once("exit", remove);
    try {
      await writeIdentities(folder, options);
      const lab = await Lab.up(topologyOf(folder, options), { name, downOnExit });
      const members = standardMembers(options.members).map((member) => member.name);
      return new LabCluster(lab, members, folder);
    } catch (error) {
      remove();
      throw error;
    }
  }

  client(member: string): Client {
    return createClient({ socketPath: path.join(this.lab.folder(member), "agent.sock") });
  }

  status(member: string): Promise<Status> {
    return this.client(member).status({});
  }

  /** Waits until what `condition` looks for is so; fails after 30 s with the last status seen. */
  async until(
    what: string,
    condition: (status: Status) => boolean,
    member = this.members[0] ?? "",
  ): Promise<Status> {
    const end = performance.now() + LONGEST_SETTLING_MS;
    let last: unknown;
    while (performance.now() < end) {
      try {
        const status = await this.status(member);
        if (condition(status)) return status;
        last = status;
      } catch (error) {
        last = error instanceof Error ? error.message : error;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new Error(`${member} never saw that ${what}; last: ${JSON.stringify(last, null, 1)}`);
  }

  /** One master, these members (default: all) and nobody else, each with slots in every group. */
  settled(expected: readonly string[] = this.members): Promise<Status> {
    const [witness] = expected;
    return this.until(
      `exactly ${expected.join(", ")} serve`,
      (status) => isSettled(status, expected),
      witness,
    );
  }

  /** Name of the master as this member knows it. */
  async master(member = this.members[0] ?? ""): Promise<string> {
    const { cluster } = await this.until(
      "there is a master",
      (s) => s.cluster.master !== undefined,
      member,
    );
    return cluster.master ?? "";
  }

  async down(): Promise<void> {
    await this.lab.down();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Makes the folder ours, or throws PAN_LAB_EXISTS. What a killed maker left is removed: nobody misses it. */
function claim(folder: string, name: string): void {
  if (existsSync(folder)) {
    const maker = makerOf(folder);
    if (maker !== undefined && stateOf(maker) !== "ended") throw taken(name, maker.pid);
    Lab.down(name);
    rmSync(folder, { recursive: true, force: true });
  }
  requireFree(name);
  // complete before it has its name: who sees the folder can tell whose it is
  const draft = mkdtempSync(`${folder}.`);
  writeFileSync(path.join(draft, MAKER), JSON.stringify(identify(process.pid)));
  try {
    renameSync(draft, folder);
  } catch (cause) {
    rmSync(draft, { recursive: true, force: true });
    throw taken(name, makerOf(folder)?.pid, cause);
  }
}

function makerOf(folder: string): ProcessId | undefined {
  try {
    return JSON.parse(readFileSync(path.join(folder, MAKER), "utf8")) as ProcessId;
  } catch {
    return undefined; // removed meanwhile, or not made by us
  }
}

const taken = (name: string, pid: number | undefined, cause?: unknown): PanError =>
  new PanError(
    "PAN_LAB_EXISTS",
    `A cluster "${name}" is up already${pid === undefined ? "" : `, started by process ${pid}`}; end that one first`,
    { cause },
  );

function isSettled(status: Status, expected: readonly string[]): boolean {
  const present = status.members
    .filter(({ state }) => state !== "departed")
    .map(({ name }) => name);
  const serving = (names: readonly string[]): boolean =>
    status.groups.every(({ shares }) =>
      shares.every(({ node, slots, weight }) =>
        names.includes(node) ? slots > 0 || weight === 0 : slots === 0,
      ),
    );
  return (
    status.cluster.master !== undefined &&
    present.length === expected.length &&
    present.every((name) => expected.includes(name)) &&
    serving(expected.filter((name) => !status.members.find((m) => m.name === name)?.drained)) &&
    sameVersion(status)
  );
}

const sameVersion = ({ cluster, datapath }: Status): boolean =>
  cluster.tables.epoch === datapath.version.epoch &&
  cluster.tables.counter === datapath.version.counter;

async function writeIdentities(folder: string, options: ClusterOptions): Promise<void> {
  const caFolder = path.join(folder, "ca");
  const ca = await createCa(caFolder, options.name);
  const members = standardMembers(options.members, options.remote);
  const more = (member: StandardMember): string => {
    const text = options.memberConfig?.(member);
    return text === undefined ? "" : `, ${text}`;
  };
  const nodes = members.map(
    (member) =>
      `  - { name: ${member.name}, id: ${member.number}, address: ${member.address4}${more(member)} }`,
  );
  const names = Array.from({ length: options.paths ?? 0 }, (_, index) => STANDARD.path(index + 1));
  const paths = names.length === 0 ? "" : `, paths: [${names.join(", ")}]`;
  const arms = options.twoArmed === true ? `, arms: [${STANDARD.inside.interface}]` : "";
  writeFileSync(
    path.join(folder, "cluster.yaml"),
    `cluster: { name: ${options.name}, interface: ${STANDARD.interface}, ca: "${ca.fingerprint}"${arms}${paths} }
nodes:
${nodes.join("\n")}
${options.groups ?? DEFAULT_GROUPS}${options.extraConfig ?? ""}`,
  );
  for (const { name, number, address4 } of members) {
    const bundle = await issueNode(caFolder, {
      name,
      id: nodeId(number),
      address: ip(address4),
      days: 1,
      vips: [ip(STANDARD.vip4), ip(STANDARD.vip6)],
    });
    writeBundle(path.join(folder, `${name}.bundle`), bundle);
    chmodSync(path.join(folder, `${name}.bundle`), 0o600);
  }
}

function topologyOf(folder: string, options: ClusterOptions): Parameters<typeof Lab.up>[0] {
  return standardTopology({
    members: options.members,
    ...(options.extraHosts === undefined ? {} : { extraHosts: options.extraHosts }),
    twoArmed: options.twoArmed === true,
    paths: options.paths ?? 0,
    remote: options.remote ?? 0,
    programs: (member) => [
      agentProgram(folder, member.name, options.agentArguments ?? []),
      ...(options.programs?.(member) ?? []),
    ],
  });
}

/** The agent from this source tree, on the Node.js that runs us. */
export function agentProgram(folder: string, name: string, more: readonly string[]): Program {
  const main = path.join(import.meta.dirname, "../cli/main.ts");
  return {
    name: "agent",
    argv: [
      process.execPath,
      main,
      "agent",
      `--config=${path.join(folder, "cluster.yaml")}`,
      `--bundle=${path.join(folder, `${name}.bundle`)}`,
      "--state-folder=@DIR@/state",
      "--socket=@DIR@/agent.sock",
      "--hooks-folder=@DIR@/hooks.d",
      ...more,
    ],
    ready: { file: "@DIR@/agent.sock", timeoutMs: 30_000 },
  };
}
