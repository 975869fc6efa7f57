// What this node does for the services on it (B7): runs checks, tells of them, and keeps a drain's deadline.
import type { Logger } from "pino";
import type { Controller } from "#core/node/controller.ts";
import type { Input } from "#core/node/protocol.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import { DrainWork } from "./drain-work.ts";
import type { Recorder } from "./events/recorder.ts";
import type { Following } from "./following.ts";
import { HealthWork } from "./health-work.ts";
import type { StatusSources } from "./status.ts";
import type { Trouble } from "./trouble.ts";

export interface InstanceWorkOptions {
  readonly self: NodeConfig;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly trouble: Trouble;
  readonly events: Pick<Recorder, "healthReported">;
  readonly isMaster: () => boolean;
  readonly controller: () => Pick<Controller, "instanceOf">;
  readonly following: () => Pick<Following, "send">;
  readonly step: (input: Input) => void;
}

export class InstanceWork {
  readonly #options: InstanceWorkOptions;
  readonly #health: HealthWork;
  readonly #drain: DrainWork;
  #config: ClusterConfig | undefined;

  constructor(options: InstanceWorkOptions) {
    this.#options = options;
    this.#drain = new DrainWork({ ...options, ended: () => this.#drainEnded() });
    this.#health = new HealthWork({
      ...options,
      // at the master it is recorded with all the others'
      sent: (report) => options.events.healthReported(options.self.id, report),
    });
  }

  /** At the start, and whenever another configuration is in force. */
  configured(config: ClusterConfig): void {
    this.#config = config;
    this.#drain.configured(config);
    this.#health.configured(config, this.#drain.isOver);
  }

  /** No packet is to come any more to what was left of QUIC connections: nobody but their server could end them. */
  #drainEnded(): void {
    if (this.#config !== undefined) this.#health.configured(this.#config, true);
  }

  /** Whoever is master now is to know. */
  tell(): void {
    this.#health.tell();
  }

  /** For `pan status`. */
  get status(): Pick<StatusSources, "instanceOf" | "checks" | "drain"> {
    const { self, controller } = this.#options;
    return {
      instanceOf: (id, group) =>
        controller().instanceOf(id, group) ??
        (id === self.id ? this.#health.instanceOf(group) : undefined),
      checks: this.#health.checks,
      drain: this.#drain,
    };
  }

  close(): void {
    this.#health.close();
    this.#drain.close();
  }
}
