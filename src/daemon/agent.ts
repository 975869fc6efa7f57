// The agent: configuration, identity, drivers and the core's machines on real time. Everything that can be refused is
// refused before anything on the host is touched (A19); what an earlier agent left is taken over.
import { pino, type Logger } from "pino";
import { PanError } from "#base/error-codes.ts";
import { startApiServer } from "#api/server.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { AgentLock } from "#driver/host/agent-lock.ts";
import { HostState } from "#driver/host/host-state.ts";
import { virtualAddresses } from "#config/config.ts";
import type { NodeConfig } from "#config/schema.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import { openBundle } from "#driver/identity/open-bundle.ts";
import type { AgentOptions, TeardownOptions } from "./agent-options.ts";
import { ConfigStore } from "./config-store.ts";
import { inspectHost, type HostFacts } from "./host-facts.ts";
import { NodeRuntime } from "./node-runtime.ts";
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
  const prepared = prepare(options);
  const lock = AgentLock.acquire({ stateFolder: options.stateFolder });
  try {
    await serve(options, prepared, log);
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
  const self = selfIn(store, identity);
  const interfaceName = options.interface ?? self.interface ?? config.cluster.interface;
  const facts = inspectHost(interfaceName, identity.address, virtualAddresses(config));
  return { state, store, identity, self, facts };
}

/** The bundle and the configuration must mean the same node. */
function selfIn(store: ConfigStore, identity: NodeIdentity): NodeConfig {
  const { config } = store.current;
  const self = config.nodes.find(({ id }) => id === identity.id);
  if (
    identity.clusterName === config.cluster.name &&
    self?.name === identity.name &&
    self.address === identity.address
  ) {
    return self;
  }
  throw new PanError(
    "PAN_CONFIG_INVALID",
    `The bundle is for node ${identity.name} (id ${identity.id}, ${identity.address}) of cluster "${identity.clusterName}", which the configuration of cluster "${config.cluster.name}" does not list so; use this node's own bundle, or add it with \`pan node add\``,
  );
}

async function serve(options: AgentOptions, prepared: Prepared, log: Logger): Promise<void> {
  const runtime = await NodeRuntime.start({ ...prepared, log });
  const api = await startApiServer({
    socketPath: options.socket,
    port: runtime.operator.port,
  }).catch(async (error: unknown) => {
    await runtime.stop();
    throw error;
  });
  log.info({ socket: options.socket }, "ready");
  try {
    await Promise.race([stopSignal(log), runtime.failure]);
  } finally {
    await api.close();
    await runtime.stop();
  }
}

function stopSignal(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        log.info({ signal }, "stopping; the packet program keeps forwarding");
        resolve();
      });
    }
  });
}

/** Removes what agents left on this host: program, maps, addresses, settings. One line for each thing removed. */
export async function teardownAgent(options: TeardownOptions): Promise<readonly string[]> {
  const lock = AgentLock.acquire({ stateFolder: options.stateFolder });
  try {
    return removeAll(options);
  } finally {
    lock.release();
  }
}

function removeAll(options: TeardownOptions): string[] {
  const state = new StateFolder(options.stateFolder);
  const interfaceName = options.interface ?? state.interfaceName();
  if (interfaceName === undefined) {
    throw new PanError(
      "PAN_NOT_FOUND",
      `No agent has run with the state folder ${options.stateFolder}; name it with --state-folder, or the interface with --interface`,
    );
  }
  const host = HostState.open({ interface: interfaceName, stateFolder: options.stateFolder });
  try {
    const lines = host
      .revert()
      .map((change) =>
        change.type === "sysctl-changed"
          ? `${change.device} ${change.name} is ${change.after} again`
          : `removed ${change.address} from ${change.device}`,
      );
    Datapath.teardown(interfaceName);
    return [...lines, `removed the packet program from ${interfaceName}`];
  } finally {
    host.close();
  }
}
