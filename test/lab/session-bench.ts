// What the tests of sessions in lab clusters share: who serves a connection, and whether the others could.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { LabCluster } from "#lab/cluster.ts";
import { DEFAULT_SESSION_PORT } from "#session/server.ts";
import { until } from "./agent-bench.ts";

/** Established connections of a host to a port, as its kernel sees them. @param filter as ss takes it */
export async function established(
  cluster: LabCluster,
  host: string,
  filter: string,
): Promise<number> {
  const argv = ["ss", "-Htn", "state", "established", filter];
  const { stdout } = await cluster.lab.exec(host, argv);
  return stdout.split("\n").filter((line) => line !== "").length;
}

/** The member that serves the only connection to this port. */
export async function serverOf(cluster: LabCluster, port: number): Promise<string> {
  const servers: string[] = [];
  for (const member of living(cluster)) {
    if ((await established(cluster, member, `sport = :${port}`)) > 0) servers.push(member);
  }
  assert.equal(servers.length, 1, `served by ${servers.join(", ") || "nobody"}`);
  return servers[0] ?? "";
}

const living = ({ lab, members }: LabCluster): string[] =>
  members.filter((member) => existsSync(lab.netns(member)));

/** Every member that lives tells all others what happens on its connections. */
export async function replicated(cluster: LabCluster): Promise<void> {
  const members = living(cluster);
  for (const member of members) {
    await until(`${member} tells ${members.length - 1} others`, async () => {
      return (
        (await established(cluster, member, `dport = :${DEFAULT_SESSION_PORT}`)) ===
        members.length - 1
      );
    });
  }
}
