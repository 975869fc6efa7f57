// What the tests of sessions in lab clusters share: servers on members, who serves a connection, and whether the others could.
import path from "node:path";
import type { LabCluster } from "#lab/cluster.ts";
import { startProgram } from "#lab/launch.ts";
import { STANDARD } from "#lab/standard.ts";
import { DEFAULT_SESSION_PORT } from "#session/server.ts";
import { connections, living } from "../../bench/sessions/connections.ts";
import { PAN, until } from "./agent-bench.ts";

/** Of a server of sessions on a member: where it listens, and whom it belongs to. */
export const placeOptions = (
  { lab, folder }: LabCluster,
  member: string,
  port: number,
): string[] => [
  ...["--interface", STANDARD.interface],
  ...["--listen", `${STANDARD.vip4}:${port}`, "--listen", `[${STANDARD.vip6}]:${port}`],
  ...["--bundle", path.join(folder, `${member}.bundle`)],
  ...["--applications-socket", path.join(lab.folder(member), "applications.sock")],
];

export interface FileService {
  /** Of the files. */
  readonly folder: string;
  readonly port: number;
  /** More of `pan serve-files`. */
  readonly options?: readonly string[];
}

/** The file server of a member, until it listens. */
export async function serveFiles(
  cluster: LabCluster,
  member: string,
  { folder, port, options = [] }: FileService,
): Promise<void> {
  const place = placeOptions(cluster, member, port);
  await startProgram(
    { lab: cluster.lab.name, host: member },
    {
      name: "files",
      argv: [process.execPath, PAN, "serve-files", folder, ...place, ...options],
      ready: { tcp: port, timeoutMs: 30_000 },
    },
  );
}

/** Established connections of a host, as its kernel sees them. @param filter as ss takes it */
export async function established(
  { lab }: LabCluster,
  host: string,
  filter: string,
): Promise<number> {
  return (await connections(lab, host, filter)).length;
}

/** Connections to a port that these members have, all together. */
export async function served(
  cluster: LabCluster,
  port: number,
  members: readonly string[] = cluster.members,
): Promise<number> {
  const counts = members.map((member) => established(cluster, member, `sport = :${port}`));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

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
