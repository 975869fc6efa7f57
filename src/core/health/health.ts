// The health of all services on this node (B7): which checks to run when, and what the master is to be told about each group's
// instance. An instance is up while all of its checks pass, and down while one of them fails.
//
// Not here: what a check does (driver/health), and what follows at the master (core/node/instances.ts).
import { Prng } from "#base/prng.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { HealthReport, InstanceReport, InstanceState } from "#wire/control/health-report.ts";
import { Check, type CheckResult, type CheckTiming } from "./check.ts";
import { SlowStart, WHOLE } from "./slow-start.ts";

export interface CheckSpec extends CheckTiming {
  /** Unique in its group. */
  readonly name: string;
  /** Changes whenever the check means something else. */
  readonly meaning: string;
}

export interface HealthGroup {
  readonly name: string;
  readonly checks: readonly CheckSpec[];
  /** 0: it takes all of its share at once. */
  readonly slowStartMs: number;
  /** False: drained or in maintenance; when that ends, it starts slowly. */
  readonly available: boolean;
  /** Set: it is down for this reason, whatever its checks say. */
  readonly over?: string;
}

export type Input =
  /** @see HealthGroup; the seed spreads the first runs */
  | {
      readonly type: "spec-changed";
      readonly groups: readonly HealthGroup[];
      readonly seed: number;
    }
  | {
      readonly type: "check-finished";
      readonly group: string;
      readonly check: string;
      readonly run: number;
      readonly result: CheckResult;
    }
  /** Whoever is master now knows nothing yet. */
  | { readonly type: "report-wanted" }
  | { readonly type: "deadline-reached" };

export type Effect =
  | {
      readonly type: "run-check";
      readonly group: string;
      readonly check: string;
      readonly run: number;
    }
  | {
      readonly type: "instance-changed";
      readonly group: string;
      readonly from: InstanceState;
      readonly to: InstanceState;
      readonly reason: string;
    }
  | { readonly type: "report"; readonly report: HealthReport };

/** Checks that run at the same time; more wait for their turn. */
export const MAX_RUNNING = 64;
/** The first runs of all checks lie within so long, or within their interval. */
const SPREAD_MS = 500;
/** A check whose turn has not come is looked at again so soon. */
const TURN_MS = 20;

interface Instance {
  spec: HealthGroup;
  /** By name. */
  checks: Map<string, { readonly spec: CheckSpec; readonly check: Check }>;
  readonly slowStart: SlowStart;
  state: InstanceState;
  /** What the state is due to. */
  reason: string;
  /** It starts slowly when it is found up for the first time. */
  isFresh: boolean;
}

export class Health {
  /** By group; the configuration limits how many. */
  readonly #instances = new Map<string, Instance>();
  #isFirst = true;
  #running = 0;
  #told = "";
  #deadline: Instant | undefined;

  get deadline(): Instant | undefined {
    return this.#deadline;
  }

  /** Every check's last finding, for people. */
  get findings(): { group: string; check: string; state: Check["state"]; reason: string }[] {
    return [...this.#instances].flatMap(([group, { checks }]) =>
      [...checks].map(([name, { check }]) => ({
        group,
        check: name,
        state: check.state,
        reason: check.reason,
      })),
    );
  }

  step(now: Instant, input: Input): Effect[] {
    const effects = this.#react(now, input);
    const changes = this.#judge(now);
    effects.push(...changes, ...this.#report(now, input.type === "report-wanted"));
    effects.push(...this.#startDue(now));
    this.#arm(now);
    return effects;
  }

  #react(now: Instant, input: Input): Effect[] {
    switch (input.type) {
      case "spec-changed":
        this.#specChanged(now, input.groups, new Prng(input.seed));
        return [];
      case "check-finished": {
        const entry = this.#instances.get(input.group)?.checks.get(input.check);
        const wasUnderWay = entry?.check.finished(now, input.run, input.result) === true;
        if (wasUnderWay) this.#running -= 1;
        return [];
      }
      case "report-wanted":
        return [];
      case "deadline-reached":
        this.#giveUp(now);
        return [];
    }
  }

  #specChanged(now: Instant, groups: readonly HealthGroup[], prng: Prng): void {
    const names = new Set(groups.map(({ name }) => name));
    for (const name of [...this.#instances.keys()]) {
      if (!names.has(name)) this.#instances.delete(name);
    }
    for (const spec of groups) {
      const known = this.#instances.get(spec.name);
      if (known === undefined) this.#instances.set(spec.name, this.#newInstance(now, spec, prng));
      else updated(now, known, spec, prng);
    }
    this.#isFirst = false;
    this.#running = this.#count(({ isRunning }) => isRunning);
  }

  /** What runs since the agent's start is as new as the machine; a group that gets checks later has been serving all along. */
  #newInstance(now: Instant, spec: HealthGroup, prng: Prng): Instance {
    const checks = checksOf(now, spec, prng, new Map());
    const isFresh = this.#isFirst;
    return { spec, checks, slowStart: new SlowStart(), state: "unknown", reason: "", isFresh };
  }

  #count(is: (check: Check) => boolean): number {
    let count = 0;
    for (const { checks } of this.#instances.values()) {
      for (const { check } of checks.values()) if (is(check)) count += 1;
    }
    return count;
  }

  #giveUp(now: Instant): void {
    for (const { checks } of this.#instances.values()) {
      for (const { check } of checks.values()) {
        if (!check.isRunning || now < check.deadline) continue;
        check.giveUp(now);
        this.#running -= 1;
      }
    }
  }

  #judge(now: Instant): Effect[] {
    const effects: Effect[] = [];
    for (const [group, instance] of this.#instances) {
      const { state: from, slowStart } = instance;
      const { state: to, reason } = verdictOf(instance);
      instance.reason = reason;
      if (to === from) continue;
      instance.state = to;
      const startsSlowly = instance.spec.slowStartMs > 0 && (instance.isFresh || from === "down");
      if (to === "up" && startsSlowly) slowStart.begin(now);
      if (to === "down") slowStart.end();
      instance.isFresh = false;
      effects.push({ type: "instance-changed", group, from, to, reason });
    }
    return effects;
  }

  /** Only when something has changed that the master goes by. */
  #report(now: Instant, isWanted: boolean): Effect[] {
    const groups = [...this.#instances].map(
      ([name, { state, spec, slowStart, reason }]): InstanceReport => ({
        name,
        state,
        part: spec.slowStartMs > 0 ? slowStart.part(now, spec.slowStartMs) : WHOLE,
        reason: state === "down" ? reason : "",
      }),
    );
    const essence = groups.map(({ name, state, part }) => `${name} ${state} ${part}`).join();
    if (essence === this.#told && !isWanted) return [];
    this.#told = essence;
    return [{ type: "report", report: { groups } }];
  }

  /** The ones that have waited longest first. */
  #startDue(now: Instant): Effect[] {
    const due = [...this.#instances].flatMap(([group, { checks }]) =>
      [...checks]
        .filter(([, { check }]) => !check.isRunning && check.deadline <= now)
        .map(([name, { check }]) => ({ group, name, check })),
    );
    due.sort((a, b) => a.check.deadline - b.check.deadline);
    return due.slice(0, Math.max(0, MAX_RUNNING - this.#running)).map(({ group, name, check }) => {
      this.#running += 1;
      return { type: "run-check", group, check: name, run: check.start(now) };
    });
  }

  #arm(now: Instant): void {
    const full = this.#running >= MAX_RUNNING;
    let next: Instant | undefined;
    for (const { checks, slowStart, spec } of this.#instances.values()) {
      if (spec.slowStartMs > 0) next = earliest(next, slowStart.deadline(now, spec.slowStartMs));
      for (const { check } of checks.values()) {
        const isWaiting = full && !check.isRunning && check.deadline <= now;
        next = earliest(next, isWaiting ? after(now, TURN_MS) : check.deadline);
      }
    }
    this.#deadline = next;
  }
}

/** A check that means the same as before goes on with what it knows; one that does not begins anew. */
function checksOf(
  now: Instant,
  { checks }: HealthGroup,
  prng: Prng,
  known: Instance["checks"],
): Instance["checks"] {
  const result: Instance["checks"] = new Map();
  for (const spec of checks) {
    const before = known.get(spec.name);
    if (before !== undefined && before.spec.meaning === spec.meaning) {
      result.set(spec.name, before);
      continue;
    }
    const firstAt = after(now, prng.below(Math.min(spec.intervalMs, SPREAD_MS)));
    result.set(spec.name, { spec, check: new Check(spec, firstAt) });
  }
  return result;
}

function updated(now: Instant, instance: Instance, spec: HealthGroup, prng: Prng): void {
  const comesBack = spec.available && !instance.spec.available;
  instance.checks = checksOf(now, spec, prng, instance.checks);
  if (spec.slowStartMs === 0) instance.slowStart.end();
  else if (comesBack && instance.state === "up") instance.slowStart.begin(now);
  else if (comesBack) instance.isFresh = true;
  instance.spec = spec;
}

/** With checks of which nothing is known yet, the instance stays what it is. */
function verdictOf({ spec, checks, state, reason }: Instance): {
  readonly state: InstanceState;
  readonly reason: string;
} {
  if (spec.over !== undefined) return { state: "down", reason: spec.over };
  const all = [...checks];
  // in maintenance: when that ends, a check is to say whether it works
  if (all.length === 0) return { state: "unknown", reason: "" };
  const failing = all.find(([, { check }]) => check.state === "fails");
  if (failing !== undefined) {
    const [name, { check }] = failing;
    return { state: "down", reason: `${name}: ${check.failure}` };
  }
  if (all.some(([, { check }]) => check.state === "unknown")) return { state, reason };
  return { state: "up", reason: "" };
}
