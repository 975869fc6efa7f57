// Runs the health checks of this node (B7): the machine decides (core/health), probes ask (driver/health), and the master hears of what
// follows, which may be this node itself.
import type { Logger } from "pino";
import type { CheckStatus } from "#api/status.ts";
import { instant, type Instant } from "#base/time.ts";
import { type Effect, Health, type Input } from "#core/health/health.ts";
import type { CheckResult } from "#core/health/check.ts";
import type { Input as ControllerInput } from "#core/node/protocol.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import { runProbe } from "#driver/health/probe.ts";
import type { HealthReport, InstanceReport } from "#wire/control/health-report.ts";
import type { Following } from "./following.ts";
import { type NodeHealth, nodeHealth } from "./health-spec.ts";
import type { Trouble } from "./trouble.ts";

export interface HealthWorkOptions {
  readonly self: NodeConfig;
  readonly isMaster: () => boolean;
  readonly following: () => Pick<Following, "send">;
  readonly step: (input: ControllerInput) => void;
  /** What the master was told, where that is another node. */
  readonly sent: (report: HealthReport) => void;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly trouble: Trouble;
}

/** So often the master is told again what it should know: a report may have come before it knew the node as a member. */
export const REPORT_AGAIN_MS = 10_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const NEVER = { passed: 0, failed: 0 };
const NOTHING: NodeHealth = { groups: [], probeOf: () => undefined };
const clock = (): Instant => instant(performance.now());

export class HealthWork {
  readonly #options: HealthWorkOptions;
  readonly #health = new Health();
  readonly #ending = new AbortController();
  #node: NodeHealth = NOTHING;
  #report: HealthReport = { groups: [] };
  /** By group and check; those of the present configuration. */
  #counts = new Map<string, { passed: number; failed: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HealthWorkOptions) {
    this.#options = options;
  }

  /**
   * At the start, whenever another configuration is in force, and when a drain's deadline has come.
   * @param isOver this node is drained, and its connections are closed
   */
  configured(config: ClusterConfig, isOver: boolean): void {
    const { self } = this.#options;
    const present = config.nodes.find(({ id }) => id === self.id);
    this.#node = present === undefined ? NOTHING : nodeHealth(config, present, isOver);
    const { groups } = this.#node;
    const known = new Set(
      groups.flatMap(({ name, checks }) => checks.map((c) => `${name} ${c.name}`)),
    );
    this.#counts = new Map([...this.#counts].filter(([key]) => known.has(key)));
    this.#step({ type: "spec-changed", groups, seed: Math.floor(Math.random() * 2 ** 32) });
  }

  /** Whoever is master now is to know. */
  tell(): void {
    if (this.#node.groups.length > 0) this.#step({ type: "report-wanted" });
  }

  /** What this node knows of its own instance of a group. */
  instanceOf(group: string): InstanceReport | undefined {
    return this.#report.groups.find(({ name }) => name === group);
  }

  get checks(): CheckStatus[] {
    return this.#health.findings.map(({ group, check, state, reason }) => {
      const { passed, failed } = this.#counts.get(`${group} ${check}`) ?? NEVER;
      return { group, check, state, finding: reason, passed, failed };
    });
  }

  #step(input: Input): void {
    if (this.#ending.signal.aborted) return;
    for (const effect of this.#health.step(clock(), input)) this.#perform(effect);
    this.#arm();
  }

  #perform(effect: Effect): void {
    const { log } = this.#options;
    switch (effect.type) {
      case "run-check":
        void this.#run(effect);
        return;
      case "instance-changed": {
        const { type: _type, ...change } = effect;
        log[effect.to === "down" ? "warn" : "info"](change, "instance");
        return;
      }
      case "report":
        this.#tell(effect.report);
        return;
    }
  }

  #tell(report: HealthReport): void {
    const { self, isMaster, step, following } = this.#options;
    this.#report = report;
    if (isMaster()) step({ type: "health-reported", id: self.id, report });
    else {
      following().send({ type: "health-report", report });
      this.#options.sent(report);
    }
  }

  async #run({ group, check, run }: Extract<Effect, { type: "run-check" }>): Promise<void> {
    const result = await this.#probed(group, check);
    const { passed, failed } = this.#counts.get(`${group} ${check}`) ?? NEVER;
    this.#counts.set(`${group} ${check}`, {
      passed: passed + (result.ok ? 1 : 0),
      failed: failed + (result.ok ? 0 : 1),
    });
    this.#options.trouble.guard("health check", () =>
      this.#step({ type: "check-finished", group, check, run, result }),
    );
  }

  async #probed(group: string, check: string): Promise<CheckResult> {
    const probe = this.#node.probeOf(group, check);
    const spec = this.#node.groups
      .find(({ name }) => name === group)
      ?.checks.find(({ name }) => name === check);
    if (probe === undefined || spec === undefined) {
      return { ok: false, reason: "the configuration has changed" };
    }
    return runProbe(probe, { timeoutMs: spec.timeoutMs, signal: this.#ending.signal });
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { deadline } = this.#health;
    if (deadline === undefined) return;
    const delay = Math.min(Math.max(0, deadline - clock()), LONGEST_TIMER_MS);
    this.#timer = setTimeout(
      () => this.#options.trouble.guard("health", () => this.#step({ type: "deadline-reached" })),
      delay,
    );
  }

  /** Ends every check that is under way, with all its processes. */
  close(): void {
    clearTimeout(this.#timer);
    this.#ending.abort();
  }
}
