// Long-lived TCP connections through the VIP, and how many of them break while something is done to the cluster.
// Every member runs an echo server; what is done may take seconds, and new connections are opened meanwhile.
import path from "node:path";
import type { Lab } from "#lab/lab.ts";
import { STANDARD, type StandardMember } from "#lab/standard.ts";
import type { Program } from "#lab/topology.ts";
import { LabClient } from "./lib/lab-client.ts";

export interface Broken {
  /** Name of the host that served it; "none" when it was never greeted. */
  readonly server: string;
  readonly reason: string;
  readonly afterMs: number;
}

export interface Findings {
  readonly opened: number;
  readonly broken: readonly Broken[];
  /** How many connections each host served. */
  readonly servers: Readonly<Record<string, number>>;
}

/** For opening all connections, and for the last echoes. */
const LINE_LIMIT_MS = 120_000;

export const ECHO_PORT = 9000;

/** Groups for a cluster whose members run echo servers: the web as usual, and the echo service. */
export const ECHO_GROUPS = `groups:
  - name: web
    services: ["tcp ${STANDARD.vip4}:80", "tcp [${STANDARD.vip6}]:80"]
  - name: echo
    services: ["tcp ${STANDARD.vip4}:${ECHO_PORT}", "tcp [${STANDARD.vip6}]:${ECHO_PORT}"]
`;

export function echoServer({ name }: StandardMember): Program {
  const program = path.join(import.meta.dirname, "failover-echo-server.ts");
  return {
    name: "echo",
    argv: [process.execPath, program, name, String(ECHO_PORT)],
    ready: { tcp: ECHO_PORT, timeoutMs: 30_000 },
  };
}

export class EchoConnections {
  readonly #client: LabClient;

  private constructor(client: LabClient) {
    this.#client = client;
  }

  /** Resolves when all of `count` connections have been greeted by a server. */
  static async open(
    lab: Lab,
    count: number,
    address: string = STANDARD.vip4,
    sayEveryMs = 200,
  ): Promise<EchoConnections> {
    const program = path.join(import.meta.dirname, "failover-echo-client.ts");
    const numbers = [ECHO_PORT, count, sayEveryMs].map(String);
    const client = new LabClient(lab, {
      host: STANDARD.client,
      argv: [process.execPath, program, address, ...numbers],
      name: "echo client",
      limitMs: LINE_LIMIT_MS,
    });
    await client.line("all connections are open");
    return new EchoConnections(client);
  }

  /** From now on new connections are opened as well, 50 a second. */
  openMore(): void {
    this.#client.tell("more");
  }

  /** Waits for the last echoes and closes everything. */
  async finish(): Promise<Findings> {
    this.#client.tell("finish");
    return JSON.parse(await this.#client.line("the findings")) as Findings;
  }
}

/** Opens connections, does something to the cluster while more are opened, and counts what broke. */
export async function connectionsDuring(
  lab: Lab,
  count: number,
  act: () => Promise<void>,
  address?: string,
): Promise<Findings> {
  const connections = await EchoConnections.open(lab, count, address);
  connections.openMore();
  await act();
  return connections.finish();
}
