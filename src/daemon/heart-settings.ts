// What the heart is started with: the node's identity, its configuration, and what it remembers of earlier runs.
import type { Datapath } from "#driver/bpf/datapath.ts";
import type { NodeConfig } from "#config/schema.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import { admittedNodes } from "./admitted-nodes.ts";
import type { ConfigInForce } from "./config-store.ts";
import type { HeartSettings } from "./heart-protocol.ts";
import type { HostFacts } from "./host-facts.ts";
import type { StateFolder } from "./state-folder.ts";

export interface HeartSources {
  readonly self: NodeConfig;
  readonly facts: HostFacts;
  readonly identity: NodeIdentity;
  readonly state: StateFolder;
  readonly inForce: ConfigInForce;
  readonly revoked: readonly string[];
  readonly datapath: Datapath;
  /** Of the tables that this node remembers. */
  readonly tablesEpoch: number;
}

export function heartSettings(sources: HeartSources): HeartSettings {
  const { self, facts, identity, state, inForce, datapath } = sources;
  const { config, version } = inForce;
  const lastBoot = state.boot();
  return {
    self: { id: self.id, name: self.name, address: self.address, mac: facts.mac },
    interface: facts.interface,
    port: config.cluster.port,
    // an agent that was killed may have left more than it could save
    epoch: Math.max(state.epoch(), sources.tablesEpoch, datapath.version().epoch),
    together: state.together(),
    config: version,
    detection: config.detection,
    splitOfTwo: config.sessions?.splitOfTwo,
    admitted: admittedNodes(config),
    credentials: {
      certificate: identity.certificatePem,
      privateKey: identity.privateKeyPem,
      caCertificate: identity.caPem,
    },
    revoked: sources.revoked,
    stateFd: datapath.stateFd,
    ...(lastBoot === undefined ? {} : { lastBoot }),
  };
}
