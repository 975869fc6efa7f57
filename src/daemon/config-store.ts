// The configuration in force on this node, and its version (A4). Every way to change it goes through here and is
// checked before anything is replaced, so that a bad change leaves the old configuration in force.
import { readFileSync } from "node:fs";
import { type ConfigVersion, sameConfig } from "#base/ids.ts";
import { PanError } from "#base/error-codes.ts";
import { configVersion } from "#config/config.ts";
import { requireConfig } from "#config/load.ts";
import { renderConfig } from "#config/render.ts";
import type { ClusterConfig } from "#config/schema.ts";
import { encodeControl } from "#wire/control/frame.ts";
import type { StateFolder, StoredConfig } from "./state-folder.ts";

export interface ConfigInForce extends StoredConfig {
  readonly config: ClusterConfig;
}

function readFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new PanError(
      "PAN_CONFIG_UNREADABLE",
      `Cannot read the cluster configuration ${file}; name it with --config`,
      { cause },
    );
  }
}

/** The kernel packs four slots into a word, and a group begins on a word. */
const LEAST_SLOTS = 4;

const slotsOf = ({ groups }: ClusterConfig): number =>
  groups.reduce((sum, { slots }) => sum + Math.max(slots, LEAST_SLOTS), 0);

/** What members cannot be sent would be in force at the master alone. */
function requireSendable(version: ConfigVersion, yaml: string): void {
  if (encodeControl({ type: "config", version, yaml }) !== undefined) return;
  throw new PanError(
    "PAN_CONFLICT",
    "The configuration is too long to be sent to the members; write it shorter (comments count)",
  );
}

export class ConfigStore {
  readonly #state: StateFolder;
  /** What the packet program is loaded with; a larger capacity is there only after a restart. */
  readonly #slotCapacity: number;
  #current: ConfigInForce;

  private constructor(state: StateFolder, current: ConfigInForce) {
    this.#state = state;
    this.#current = current;
    this.#slotCapacity = current.config.datapath.slotCapacity;
  }

  /** What changes at run time made of the configuration wins over the file; the file is where a node starts. */
  static open(state: StateFolder, file: string): ConfigStore {
    const stored = state.config();
    if (stored !== undefined) {
      const config = requireConfig(stored.yaml, state.file("config.json"));
      return new ConfigStore(state, { ...stored, config });
    }
    const yaml = readFile(file);
    const config = requireConfig(yaml, file);
    return new ConfigStore(state, { version: configVersion(1, config), yaml, config });
  }

  /** Whether the file says something else than what is in force: then somebody edited it and expects it to count. */
  differsFrom(file: string): boolean {
    try {
      const { digest } = configVersion(1, requireConfig(readFile(file), file));
      return digest !== this.#current.version.digest;
    } catch {
      return false; // only needed for the first start: it may be gone, or half-written
    }
  }

  get current(): ConfigInForce {
    return this.#current;
  }

  /** B8: an operator's change, at the master. Throws what the edit throws; then nothing has changed. */
  edit(change: (config: ClusterConfig) => ClusterConfig): ConfigInForce {
    const config = change(this.#current.config);
    return this.#replace(config, renderConfig(config, this.#current.yaml));
  }

  /**
   * A whole new configuration, at the master. PAN_CONFIG_INVALID with every problem; then nothing has changed.
   * @param check throws what else speaks against it
   */
  replace(yaml: string, check?: (next: ClusterConfig) => void): ConfigInForce {
    const config = requireConfig(yaml, "the new configuration");
    check?.(config);
    if (config.cluster.name !== this.#current.config.cluster.name) {
      throw new PanError(
        "PAN_CONFLICT",
        `This cluster is "${this.#current.config.cluster.name}", the new configuration is for "${config.cluster.name}"; a cluster's name is in its certificates and stays`,
      );
    }
    return this.#replace(config, yaml);
  }

  #replace(config: ClusterConfig, yaml: string): ConfigInForce {
    const version = configVersion(this.#current.version.counter + 1, config);
    if (version.digest === this.#current.version.digest) return this.#current;
    this.#requireRoom(config);
    requireSendable(version, yaml);
    return this.#keep({ version, yaml, config });
  }

  /** Tables that do not fit into the running packet program would be in force on paper only. */
  #requireRoom(config: ClusterConfig): void {
    const slots = slotsOf(config);
    if (slots <= this.#slotCapacity) return;
    throw new PanError(
      "PAN_CONFLICT",
      `The groups would have ${slots} slots, but the packet program has room for ${this.#slotCapacity}. Use fewer slots; or first apply a larger datapath.slotCapacity alone and restart the agents one by one`,
    );
  }

  /** A4: the cluster's configuration, from its master. PAN_CONFIG_INVALID, also when it is not what its version says. */
  adopt(version: ConfigVersion, yaml: string): ConfigInForce {
    const config = requireConfig(yaml, "the master's configuration");
    const { name } = this.#current.config.cluster;
    if (
      config.cluster.name !== name ||
      !sameConfig(configVersion(version.counter, config), version)
    ) {
      throw new PanError(
        "PAN_CONFIG_INVALID",
        `The master's configuration ${version.counter} is not what its version says, or not of the cluster "${name}"; see that all agents are of one version`,
      );
    }
    return this.#keep({ version, yaml, config });
  }

  #keep(next: ConfigInForce): ConfigInForce {
    this.#state.saveConfig({ version: next.version, yaml: next.yaml });
    this.#current = next;
    return next;
  }
}
