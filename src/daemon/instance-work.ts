// What this node does for the services on it and, as master, for those on its members (B7): runs checks, keeps a drain's deadline, hears
// reports, and has every change of an instance recorded, with its cause, once on each node that comes to know of it.
import type { Logger } from "pino";
import type { NodeId } from "#base/ids.ts";
import type { Controller } from "#core/node/controller.ts";
import type { Input } from "#core/node/protocol.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import type { HealthReport, InstanceReport } from "#wire/control/health-report.ts";
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
  readonly events: Pick<Recorder, "healthChanged">;
  readonly isMaster: () => boolean;
  readonly controller: () => Pick<Controller, "instanceOf">;
  readonly following: () => Pick<Following, "send">;
  readonly step: (input: Input) => void;
}

export class InstanceWork {
  readonly #options: InstanceWorkOptions;
  readonly #health: HealthWork;
  readonly #drain: DrainWork;

  constructor(options: InstanceWorkOptions) {
    this.#options = options;
    this.#drain = new DrainWork(options);
    this.#health = new HealthWork({
      ...options,
      changed: ({ group, from, to, reason }) =>
        this.#record(options.self.id, { name: group, state: to, reason }, from),
    });
  }

  /** At the start, and whenever another configuration is in force. */
  configured(config: ClusterConfig): void {
    this.#health.configured(config);
    this.#drain.configured(config);
  }

  /** Whoever is master now is to know. */
  tell(): void {
    this.#health.tell();
  }

  /** At the master, from a member. */
  reported(id: NodeId, report: HealthReport): void {
    const { controller, step } = this.#options;
    for (const instance of report.groups) {
      const before = controller().instanceOf(id, instance.name)?.state ?? "unknown";
      // a new master is told what has been so all along; only what is wrong is news
      const isNews = before === "unknown" ? instance.state === "down" : before !== instance.state;
      if (isNews) this.#record(id, instance, before);
    }
    step({ type: "health-reported", id, report });
  }

  #record(
    id: NodeId,
    { name, state, reason }: Pick<InstanceReport, "name" | "state" | "reason">,
    before: InstanceReport["state"],
  ): void {
    const cause = ({ up: "passed", down: "failed", unknown: "unknown" } as const)[state];
    const [check, detail] = state === "down" ? cut(reason) : [];
    this.#options.events.healthChanged(id, state !== "down", {
      group: name,
      state,
      before,
      cause,
      ...(check === undefined || detail === undefined ? {} : { check, detail }),
    });
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

/** "http: status 503": the check and what it met. */
function cut(reason: string): readonly [check: string, detail: string] | readonly [] {
  const [, check, detail] = /^([a-z0-9-]+): (.*)$/.exec(reason) ?? [];
  return check === undefined || detail === undefined ? [] : [check, detail];
}
