// What follows when another configuration comes into force: the members get it, the heart and the controller go by it, and whoever it
// does not trust any more loses connection, membership and key, also when that is this node (A2, A4, B8).
import type { Logger } from "pino";
import type { ConfigVersion } from "#base/ids.ts";
import type { ClusterConfig } from "#config/schema.ts";
import type { Input } from "#core/node/protocol.ts";
import { revocationSet } from "#driver/identity/certificate.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import { clusterSpec, waitingForRestart } from "./cluster-spec.ts";
import { admittedNodes } from "./admitted-nodes.ts";
import type { ConfigInForce, ConfigStore } from "./config-store.ts";
import { requireNotRevoked } from "./fitness.ts";
import type { Followers } from "./followers.ts";
import type { Following } from "./following.ts";
import type { HeartCommand } from "./heart-protocol.ts";
import type { KeyRotation } from "./key-rotation.ts";
import { requireListed } from "./trust.ts";
import type { Trouble } from "./trouble.ts";

/** Longest wait for members to say that they hold an operator's change. */
export const AGREE_WITHIN_MS = 500;

export interface RolloutHost {
  readonly store: ConfigStore;
  readonly identity: NodeIdentity;
  readonly log: Pick<Logger, "warn">;
  readonly trouble: Trouble;
  readonly rotation: Pick<KeyRotation, "trustChanged">;
  /** Every revoked serial number. */
  readonly revoked: () => readonly string[];
  readonly isMaster: () => boolean;
  readonly followers: () => Pick<Followers, "sendConfigToAll" | "revokedNodes" | "agreed">;
  readonly following: () => Pick<Following, "send">;
  readonly heart: (command: HeartCommand) => void;
  readonly step: (input: Input) => void;
  /** Told of every configuration that comes into force, before anything follows from it. */
  readonly inForce: (next: ConfigInForce) => void;
  /** Whoever else goes by the configuration. */
  readonly configured: (config: ClusterConfig) => void;
  /** This node is out: it answers for no VIP and the agent ends with this error. */
  readonly out: (cause: unknown) => void;
}

export class Rollout {
  readonly #host: RolloutHost;
  readonly #startedWith: ClusterConfig;

  constructor(host: RolloutHost) {
    this.#host = host;
    this.#startedWith = host.store.current.config;
  }

  /** At the master: an operator's change is stored; now everybody gets it. */
  changed(next: ConfigInForce): ConfigInForce {
    this.#host.trouble.guard("send the configuration", () =>
      this.#host.followers().sendConfigToAll(next),
    );
    this.#inForce(next);
    return next;
  }

  /** Settings of the configuration that this agent will go by when it starts again. */
  get waiting(): readonly string[] {
    return waitingForRestart(this.#startedWith, this.#host.store.current.config);
  }

  /** At the master, after `changed`. Resolves when the members hold it; after a while also if they do not. */
  async agreed(version: ConfigVersion): Promise<void> {
    const { followers, log } = this.#host;
    const missing = await followers().agreed(version, AGREE_WITHIN_MS);
    if (missing.length > 0) {
      const text = "these nodes have not yet said that they hold the change";
      log.warn({ nodes: missing, config: version.counter }, text);
    }
    // when it is this node that is out: not before the operator has the answer
    setImmediate(() => this.#goIfOut());
  }

  /** At a member: the master's configuration, whatever it is. PAN_CONFIG_INVALID when it is not what it should be. */
  adopt({ version, yaml }: Extract<ControlMessage, { type: "config" }>): void {
    const { store, log, following } = this.#host;
    const before = store.current.version;
    const next = store.adopt(version, yaml);
    following().send({ type: "config-ack", version });
    if (version.counter < before.counter) {
      log.warn(
        { from: before, to: version },
        "the master's configuration is an older one than ours",
      );
    }
    this.#inForce(next);
    this.#goIfOut();
  }

  #inForce(next: ConfigInForce): void {
    const { config } = next;
    this.#host.inForce(next);
    const { store, log, heart, step, rotation, revoked } = this.#host;
    const { waiting } = this;
    if (waiting.length > 0) {
      log.warn({ settings: waiting }, "in force when this agent starts again");
    }
    heart({
      type: "config-changed",
      config: store.current.version,
      admitted: admittedNodes(config),
      revoked: revoked(),
      detection: config.detection,
      splitOfTwo: config.sessions?.splitOfTwo,
    });
    step({ type: "spec-changed", spec: clusterSpec(config) });
    this.#host.configured(config);
    this.#expelRevoked();
    rotation.trustChanged();
  }

  /** Who runs with a certificate that is revoked now; who is not named any more is expelled by membership itself. */
  #expelRevoked(): void {
    const { isMaster, followers, heart } = this.#host;
    if (!isMaster()) return;
    for (const id of followers().revokedNodes()) heart({ type: "expel", id });
  }

  #goIfOut(): void {
    const { identity, store, revoked, out } = this.#host;
    try {
      requireNotRevoked(identity, revocationSet(revoked()));
      requireListed(store.current.config, identity);
    } catch (error) {
      out(error);
    }
  }
}
