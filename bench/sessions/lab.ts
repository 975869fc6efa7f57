// A cluster whose members serve files and dialogues as sessions, and a client that keeps them busy.
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { LabCluster } from "#lab/cluster.ts";
import { startProgram } from "#lab/launch.ts";
import { STANDARD } from "#lab/standard.ts";
import { DEFAULT_SESSION_PORT } from "#session/server.ts";
import { pause } from "../failover-client.ts";
import { LabClient } from "../lib/lab-client.ts";
import { connections } from "./connections.ts";
import {
  type ClientSettings,
  FILES,
  type MemberSettings,
  PORTS,
  type Report,
  type Said,
} from "./ports.ts";

const VERIFIED_BYTES = 32 * 1024 * 1024;
const ANSWER_LIMIT_MS = 60_000;

export interface SessionsLabOptions {
  readonly name: string;
  readonly members: number;
  readonly extraConfig?: string;
  /** Of the file that only its length matters of. */
  readonly largeBytes: number;
}

const services = (port: number): string =>
  `"tcp ${STANDARD.vip4}:${port}", "tcp [${STANDARD.vip6}]:${port}"`;
const GROUPS = `groups:
  - name: sessions
    services: [${Object.values(PORTS).map(services).join(", ")}]
`;

export class SessionsLab {
  readonly cluster: LabCluster;
  readonly folder: string;

  private constructor(cluster: LabCluster, folder: string) {
    this.cluster = cluster;
    this.folder = folder;
  }

  /** Everything serves. Removed by down(), or when this process ends. */
  static async up(options: SessionsLabOptions): Promise<SessionsLab> {
    const folder = mkdtempSync(path.join(tmpdir(), "panoply-bench-sessions-"));
    const remove = (): void => rmSync(folder, { recursive: true, force: true });
    process.once("exit", remove);
    writeFileSync(path.join(folder, FILES.verified), randomBytes(VERIFIED_BYTES));
    writeFileSync(path.join(folder, FILES.large), "");
    truncateSync(path.join(folder, FILES.large), options.largeBytes);
    const { name, members, extraConfig = "" } = options;
    const cluster = await LabCluster.up({
      ...{ name, members, groups: GROUPS, extraConfig, downOnExit: true },
    });
    const lab = new SessionsLab(cluster, folder);
    try {
      await cluster.settled();
      for (const member of cluster.members) await lab.serve(member);
      await lab.linked();
      return lab;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  /** Starts a member's session server, which has been away. */
  async serve(member: string): Promise<void> {
    const settings: MemberSettings = {
      folder: this.folder,
      addresses: [STANDARD.vip4, STANDARD.vip6],
      interface: STANDARD.interface,
      bundle: path.join(this.cluster.folder, `${member}.bundle`),
      applicationsSocket: path.join(this.cluster.lab.folder(member), "applications.sock"),
    };
    const program = path.join(import.meta.dirname, "member.ts");
    await startProgram(
      { lab: this.cluster.lab.name, host: member },
      {
        name: "sessions",
        argv: [process.execPath, program, JSON.stringify(settings)],
        ready: { tcp: PORTS.plainLines, timeoutMs: ANSWER_LIMIT_MS },
      },
    );
  }

  /** Every member tells all others what it serves. */
  async linked(members: readonly string[] = this.cluster.members): Promise<void> {
    const limit = performance.now() + ANSWER_LIMIT_MS;
    for (const member of members) {
      while ((await this.#streamsOf(member)) < members.length - 1) {
        if (performance.now() > limit) throw new Error(`${member} does not tell all others`);
        await pause(50);
      }
    }
  }

  async #streamsOf(member: string): Promise<number> {
    return (await connections(this.cluster.lab, member, `dport = :${DEFAULT_SESSION_PORT}`)).length;
  }

  /** What the client has in its kernel. */
  async clientSetting(name: string): Promise<string> {
    const { stdout } = await this.cluster.lab.exec(STANDARD.client, ["sysctl", "-n", name]);
    return stdout.trim();
  }

  /** What a client is to have in its kernel, such as "net.ipv4.tcp_rmem=4096 32768 65536". */
  async setClient(setting: string): Promise<void> {
    const argv = ["sysctl", "-qw", setting];
    const { status, stderr } = await this.cluster.lab.exec(STANDARD.client, argv);
    if (status !== 0) throw new Error(`${setting} cannot be set: ${stderr}`);
  }

  /** Bytes that a member has sent to and got from the others about its own sessions. */
  async replicated(member: string): Promise<number> {
    const lines = await connections(
      this.cluster.lab,
      member,
      `dport = :${DEFAULT_SESSION_PORT}`,
      "i",
    );
    const sum = (text: string): number =>
      ["bytes_sent", "bytes_received"].reduce(
        (total, name) => total + Number(new RegExp(` ${name}:(\\d+)`).exec(text)?.[1] ?? 0),
        0,
      );
    return lines.reduce((total, line) => total + sum(line), 0);
  }

  /** What a member's session server has said since it was started first. */
  said(member: string): Said[] {
    const file = path.join(this.cluster.lab.folder(member), "sessions.log");
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Said);
  }

  async down(): Promise<void> {
    await this.cluster.down();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The client's end: see client.ts. */
export class SessionsClient {
  readonly #client: LabClient;

  private constructor(client: LabClient) {
    this.#client = client;
  }

  /** Resolves when every connection has had its first answer. */
  static async open(
    { cluster, folder }: SessionsLab,
    settings: Omit<ClientSettings, "folder">,
  ): Promise<SessionsClient> {
    const program = path.join(import.meta.dirname, "client.ts");
    const all: ClientSettings = { folder, ...settings };
    const client = new LabClient(cluster.lab, {
      host: STANDARD.client,
      argv: [process.execPath, program, JSON.stringify(all)],
      name: "client",
      limitMs: ANSWER_LIMIT_MS,
    });
    await client.line("its connections were open");
    return new SessionsClient(client);
  }

  async report(): Promise<Report> {
    const line = this.#client.line("it reported");
    this.#client.tell("report");
    return JSON.parse(await line) as Report;
  }

  end(): void {
    this.#client.end();
  }
}
