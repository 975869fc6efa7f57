// Established connections in a lab cluster, as kernels see them, and who serves one. Also used by the lab tests of sessions (A16).
import { existsSync } from "node:fs";
import type { LabCluster } from "#lab/cluster.ts";
import type { Lab } from "#lab/lab.ts";

/** What `ss` shows of a host's, one line each. @param filter as ss takes it @param more letters of its options */
export async function connections(
  lab: Lab,
  host: string,
  filter: string,
  more = "",
): Promise<string[]> {
  const argv = ["ss", `-Htn${more}O`, "state", "established", filter];
  const { stdout } = await lab.exec(host, argv);
  return stdout.split("\n").filter((line) => line !== "");
}

export const living = ({ lab, members }: LabCluster): string[] =>
  members.filter((member) => existsSync(lab.netns(member)));

/** The member that serves the only connection to this port. */
export async function serverOf(cluster: LabCluster, port: number): Promise<string> {
  const servers: string[] = [];
  for (const member of living(cluster)) {
    const served = await connections(cluster.lab, member, `sport = :${port}`);
    if (served.length > 0) servers.push(member);
  }
  const [server] = servers;
  if (server === undefined || servers.length > 1) {
    throw new Error(`port ${port} is served by ${servers.join(" and ") || "nobody"}`);
  }
  return server;
}
