// The agent: configuration, identity, drivers and the core's machines on real time. Everything that can be refused is
// refused before anything on the host is touched (A19); what an earlier agent left is taken over.
import { lstatSync, rmSync } from "node:fs";
import { pino, type Logger } from "pino";
import { PanError } from "#base/error-codes.ts";
import { startApiServer } from "#api/server.ts";
import { prepareSocket, socketAnswers } from "#api/socket-file.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { raiseMainPriority } from "#driver/cluster/thread-priority.ts";
import { AgentLock } from "#driver/host/agent-lock.ts";
import { HostState } from "#driver/host/host-state.ts";
import { keepOnly, NEEDED_TO_RUN } from "#driver/host/rights.ts";
import { armsOf, pathsOf, virtualAddresses } from "#config/config.ts";
import type { NodeConfig } from "#config/schema.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import { openBundle } from "#driver/identity/open-bundle.ts";
import { type AgentOptions, applicationsSocketOf, type TeardownOptions } from "./agent-options.ts";
import { ConfigStore } from "./config-store.ts";
import { inspectHost, requireCapabilities, type HostFacts } from "./host-facts.ts";
import { NodeRuntime } from "./node-runtime.ts";
import { panoplyVersion } from "./package-version.ts";
import { peeringMacs } from "./peering-macs.ts";
import { inWords } from "./perform.ts";
import { StateFolder } from "./state-folder.ts";

interface Prepared {
  readonly state: StateFolder;
  readonly store: ConfigStore;
  readonly identity: NodeIdentity;
  readonly self: NodeConfig;
  readonly facts: HostFacts;
}

/** Runs until SIGTERM or SIGINT. The packet program and the VIPs stay: established connections live on. */
export async function runAgent(options: AgentOptions): Promise<void> {
  const log = pino({ level: options.logLevel, base: null });
  const ending = whenToEnd(log);
  requireCapabilities();
  if (raiseMainPriority() === "ordinary") {
    log.warn("no CAP_SYS_NICE: on a busy machine clients wait longer for what follows a death");
  }
  const prepared = prepare(options);
  const lock = AgentLock.acquire({ stateFolder: options.stateFolder });
  try {
    await prepareSocket(options.socket);
    await prepareSocket(applicationsSocketOf(options));
    if (prepared.store.differsFrom(options.config)) {
      const remedy = `the configuration of the cluster is used; \`pan config apply ${options.config}\` changes it`;
      log.warn({ file: options.config }, remedy);
    }
    if (prepared.store.current.config.cluster.ca === undefined) {
      const ca = prepared.identity.caFingerprint;
      const remedy =
        "cluster.ca is not set, so this node trusts whichever CA its bundle comes from";
      log.warn({ ca }, `${remedy}; set it to the fingerprint shown here`);
    }
    await serve(options, prepared, { log, ending });
  } finally {
    lock.release();
  }
}

function prepare(options: AgentOptions): Prepared {
  const state = new StateFolder(options.stateFolder);
  const store = ConfigStore.open(state, options.config);
  const { config } = store.current;
  const identity = openBundle(options.bundle, {
    now: new Date(),
    revoked: config.revoked,
    ...(config.cluster.ca === undefined ? {} : { expectedCa: config.cluster.ca }),
  });
  const self = selfIn(store, identity, state);
  const interfaces = {
    interface: options.interface ?? self.interface ?? config.cluster.interface,
    arms: armsOf(config, self),
    paths: pathsOf(config, self),
  };
  const peering = peeringMacs(config, self.id);
  const facts = inspectHost(interfaces, identity.address, virtualAddresses(config), {
    stateFolder: options.stateFolder,
    ...(peering === undefined ? {} : { peering }),
  });
  return { state, store, identity, self, facts };
}

/** The bundle and the configuration must mean the same node. */
function selfIn(store: ConfigStore, identity: NodeIdentity, state: StateFolder): NodeConfig {
  const { config } = store.current;
  const self = config.nodes.find(({ id }) => id === identity.id);
  if (
    identity.clusterName === config.cluster.name &&
    self?.name === identity.name &&
    self.address === identity.address
  ) {
    return self;
  }
  // what it holds since it was taken out of the cluster would keep it out for ever
  const stored =
    state.config() === undefined
      ? ""
      : `; if the cluster's configuration lists it now, delete ${state.file("config.json")} and name that configuration with --config`;
  throw new PanError(
    "PAN_CONFIG_INVALID",
    `The bundle is for node ${identity.name} (id ${identity.id}, ${identity.address}) of cluster "${identity.clusterName}", which the configuration of cluster "${config.cluster.name}" does not list so; use this node's own bundle, or add it with \`pan node add\`${stored}`,
  );
}

interface Running {
  readonly log: Logger;
  readonly ending: Promise<void>;
}

async function serve(
  options: AgentOptions,
  prepared: Prepared,
  { log, ending }: Running,
): Promise<void> {
  const { hooksFolder } = options;
  const applicationsSocket = applicationsSocketOf(options);
  const runtime = await NodeRuntime.start({ ...prepared, log, applicationsSocket, hooksFolder });
  let failure: unknown;
  try {
    const api = await startApiServer({
      socketPath: options.socket,
      port: runtime.operator.port,
      version: panoplyVersion,
      report: (error) => log.error({ code: "PAN_INTERNAL", err: error }, "request"),
    });
    try {
      keepOnly(NEEDED_TO_RUN);
      log.info({ socket: options.socket, version: panoplyVersion }, "ready");
      await Promise.race([ending, runtime.failure]);
    } finally {
      await api.close();
    }
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    await runtime.stop(failure);
  }
}

/**
 * Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. Rejects when something failed that
 * nobody expected: the agent then says goodbye, so that others act at once, and whoever started it starts it again.
 */
function whenToEnd(log: Logger): Promise<void> {
  const signals = ["SIGTERM", "SIGINT"] as const;
  const ending = new Promise<void>((resolve, reject) => {
    const stop = (signal: NodeJS.Signals): void => {
      for (const each of signals) process.removeListener(each, stop);
      log.info({ signal }, "stopping; the packet program keeps forwarding");
      resolve();
    };
    for (const signal of signals) process.on(signal, stop);
    process.once("uncaughtException", reject); // and rejections that nobody handles
  });
  ending.catch(() => {}); // whoever waits for it is told; during the start nobody does
  return ending;
}

/** Removes what agents left on this host: program, maps, addresses, settings. One line for each thing removed. */
export async function teardownAgent(options: TeardownOptions): Promise<readonly string[]> {
  requireCapabilities();
  const lock = AgentLock.acquire({ stateFolder: options.stateFolder });
  try {
    return await removeAll(options);
  } finally {
    lock.release();
  }
}

async function removeAll(options: TeardownOptions): Promise<string[]> {
  const state = new StateFolder(options.stateFolder);
  const interfaces = options.interface === undefined ? state.interfaces() : [options.interface];
  const [first] = interfaces;
  if (first === undefined) {
    throw new PanError(
      "PAN_NOT_FOUND",
      `No agent has run with the state folder ${options.stateFolder}; name it with --state-folder, or the interface with --interface`,
    );
  }
  const host = HostState.open({ interface: first, stateFolder: options.stateFolder });
  try {
    // Addresses first: while the program is there, no VIP that is still on the host is answered for.
    const lines = host.revert().map(inWords);
    for (const name of interfaces) Datapath.teardown(name);
    return [
      ...lines,
      ...interfaces.map((name) => `removed the packet program from ${name}`),
      ...(await removeSocket(options.socket)),
      ...(await removeSocket(applicationsSocketOf(options))),
    ];
  } finally {
    host.close();
  }
}

/** A killed agent leaves its socket behind. */
async function removeSocket(file: string): Promise<string[]> {
  if (lstatSync(file, { throwIfNoEntry: false })?.isSocket() !== true) return [];
  if (await socketAnswers(file)) return []; // of an agent in another network namespace
  rmSync(file);
  return [`removed ${file}`];
}
