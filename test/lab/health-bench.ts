// What the tests of health checks share: the web server of a member that is stopped and started again, connections that must all be
// served, and what `pan status` says of an instance.
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Status } from "#api/status.ts";
import type { LabCluster } from "#lab/cluster.ts";
import { startProgram } from "#lab/launch.ts";
import { STANDARD, webServer } from "#lab/standard.ts";
import { endProgram } from "./agent-bench.ts";

/** Ends nginx on a member as an operator's `systemctl stop` would: at once, with its connections. */
export const stopWeb = (cluster: LabCluster, member: string): Promise<void> =>
  endProgram(cluster, member, "nginx", "SIGTERM");

export const startWeb = (cluster: LabCluster, member: string): Promise<unknown> =>
  startProgram({ lab: cluster.lab.name, host: member }, webServer());

type Share = Status["groups"][number]["shares"][number];

export const shareOf = (status: Status, group: string, node: string): Share | undefined =>
  status.groups.find(({ name }) => name === group)?.shares.find((share) => share.node === node);

export const stateOfInstance = (status: Status, group: string, node: string): string | undefined =>
  shareOf(status, group, node)?.health?.state;

export interface Answers {
  /** By the member that answered. */
  readonly by: ReadonlyMap<string, number>;
  /** curl's exit statuses other than 0, by connection. */
  readonly failures: readonly number[];
}

/** So many new connections, one after the other, from the client. */
export async function askWeb(
  { lab }: LabCluster,
  count: number,
  { address = STANDARD.vip4, seconds = 5 }: { address?: string; seconds?: number } = {},
): Promise<Answers> {
  const argv = [
    ...["curl", "-s", "--max-time", String(seconds), "--no-keepalive"],
    ...["--header", "Connection: close", "--write-out", "%{exitcode}\\n"],
    `http://${address.replace("[", "\\[").replace("]", "\\]")}/whoami?[1-${count}]`,
  ];
  const { stdout } = await lab.exec(STANDARD.client, argv);
  const by = new Map<string, number>();
  const failures: number[] = [];
  for (const line of stdout.trim().split("\n")) {
    if (!/^\d+$/.test(line)) by.set(line, (by.get(line) ?? 0) + 1);
    else if (line !== "0") failures.push(Number(line));
  }
  return { by, failures };
}

/** Connections of the client that stay open; see kept-connections.ts. */
export class KeptConnections {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** Who serves each of them. */
  readonly names: readonly string[];

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, names: readonly string[]) {
    this.#child = child;
    this.#lines = lines;
    this.names = names;
  }

  static async open({ lab }: LabCluster, count: number): Promise<KeptConnections> {
    const program = path.join(import.meta.dirname, "kept-connections.ts");
    const argv = [process.execPath, program, String(count), STANDARD.vip4];
    const child = lab.spawn(STANDARD.client, argv, { stdio: ["pipe", "pipe", "inherit"] });
    assert.ok(child.stdout);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    assert.ok(first.done !== true, "the client has ended");
    return new KeptConnections(child, lines, JSON.parse(first.value) as string[]);
  }

  /** How many of each server answer once more, or have ended, as "m1 ok" or "m1 ended ECONNRESET". */
  async ask(): Promise<Record<string, number>> {
    this.#child.stdin?.write("\n");
    const line = await this.#lines.next();
    assert.ok(line.done !== true, "the client has ended");
    return JSON.parse(line.value) as Record<string, number>;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.stdin?.end();
    await ended;
  }

  of(name: string): number {
    return this.names.filter((each) => each === name).length;
  }
}
