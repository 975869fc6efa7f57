// What `pan agent` was asked to do. The command line fills it in; `#daemon/agent.ts` obeys.
import path from "node:path";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface AgentOptions {
  /** Path of the cluster configuration (cluster.yaml). Read when the state folder has none newer. */
  readonly config: string;
  /** Path of this node's bundle. */
  readonly bundle: string;
  /** Folder for what must outlive a restart: last tables, configuration, counters. */
  readonly stateFolder: string;
  /** Unix socket of the API. */
  readonly socket: string;
  /** Unix socket for applications (A10); undefined: beside that of the API. */
  readonly applicationsSocket: string | undefined;
  /** Folder of the scripts that are told what happens (A10). */
  readonly hooksFolder: string;
  /** Network interface; undefined: the one that holds the node's address. */
  readonly interface: string | undefined;
  readonly logLevel: LogLevel;
}

/** What `pan agent --teardown` needs to find whatever an agent left on this host. */
export type TeardownOptions = Pick<
  AgentOptions,
  "stateFolder" | "socket" | "applicationsSocket" | "interface"
>;

/** Where applications connect. */
export const applicationsSocketOf = (
  options: Pick<AgentOptions, "socket" | "applicationsSocket">,
): string =>
  options.applicationsSocket ??
  path.join(path.dirname(options.socket), besideApi(path.basename(options.socket)));

/** agent.sock → applications.sock; other names are kept apart, for there may be several agents in one folder. */
const besideApi = (name: string): string =>
  name === "agent.sock" ? "applications.sock" : `${path.basename(name, ".sock")}-applications.sock`;
