// All checks of a node: which run when, what the master hears, and slow starts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { type CheckSpec, type Effect, Health, type HealthGroup, MAX_RUNNING } from "./health.ts";

const check = (name: string, more: Partial<CheckSpec> = {}): CheckSpec => ({
  name,
  meaning: name,
  intervalMs: 1000,
  timeoutMs: 500,
  rise: 1,
  fall: 1,
  ...more,
});
const group = (name: string, more: Partial<HealthGroup> = {}): HealthGroup => ({
  name,
  checks: [check("tcp")],
  slowStartMs: 0,
  available: true,
  ...more,
});

/** A machine with a clock: checks answer what `works` says, five milliseconds after they were started. */
class Subject {
  readonly health = new Health();
  readonly told: string[] = [];
  readonly changes: string[] = [];
  works = new Map<string, boolean>();
  now = 0;
  #under: { at: number; effect: Extract<Effect, { type: "run-check" }> }[] = [];

  configure(...groups: HealthGroup[]): this {
    this.#take({ type: "spec-changed", groups, seed: 7 });
    return this;
  }

  #take(input: Parameters<Health["step"]>[1]): void {
    for (const effect of this.health.step(instant(this.now), input)) {
      if (effect.type === "run-check") this.#under.push({ at: this.now + 5, effect });
      if (effect.type === "report") this.told.push(reportText(effect));
      if (effect.type === "instance-changed") {
        this.changes.push(`${effect.group} ${effect.from} ${effect.to} ${effect.reason}`.trim());
      }
    }
  }

  want(): void {
    this.#take({ type: "report-wanted" });
  }

  runUntil(end: number): this {
    for (;;) {
      const answer = this.#under.toSorted((a, b) => a.at - b.at)[0];
      const deadline = this.health.deadline ?? Infinity;
      const next = Math.min(answer?.at ?? Infinity, deadline);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (answer !== undefined && answer.at === next) {
        this.#under = this.#under.filter((each) => each !== answer);
        const { group: name, check: checkName, run } = answer.effect;
        const ok = this.works.get(`${name} ${checkName}`) ?? true;
        const result = { ok, reason: ok ? "fine" : "refused" };
        this.#take({ type: "check-finished", group: name, check: checkName, run, result });
      } else this.#take({ type: "deadline-reached" });
    }
    this.now = end;
    return this;
  }
}

const reportText = ({ report }: Extract<Effect, { type: "report" }>): string =>
  report.groups
    .map(({ name, state, part, reason }) =>
      [name, state, ...(part === 100 ? [] : [`${part}%`]), ...(reason === "" ? [] : [reason])].join(
        " ",
      ),
    )
    .join("; ");

test("B7: an instance is up while all its checks pass, down while one fails, and the master hears each change once", () => {
  const subject = new Subject().configure(group("web", { checks: [check("tcp"), check("http")] }));
  subject.runUntil(3000);
  assert.deepEqual(subject.told, ["web unknown", "web up"]);
  subject.works.set("web http", false);
  subject.runUntil(6000);
  subject.works.set("web http", true);
  subject.runUntil(9000);
  assert.deepEqual(subject.told.slice(2), ["web down http: refused", "web up"]);
  assert.deepEqual(subject.changes, ["web unknown up", "web up down http: refused", "web down up"]);
  subject.want();
  assert.deepEqual(subject.told.slice(4), ["web up"], "a new master is told again");
});

test("B7: groups are judged apart, and one that is not configured any more is forgotten", () => {
  const subject = new Subject().configure(group("web"), group("dns"));
  subject.works.set("dns tcp", false);
  subject.runUntil(1000);
  assert.equal(subject.told.at(-1), "web up; dns down tcp: refused");
  subject.configure(group("web"));
  assert.equal(subject.told.at(-1), "web up");
});

test("B7: another configuration leaves checks that mean the same alone; one that means something else must say so first", () => {
  const subject = new Subject().configure(group("web"));
  subject.runUntil(1000);
  subject.configure(group("web", { checks: [check("tcp"), check("http")] }));
  subject.works.set("web http", false);
  assert.equal(subject.told.at(-1), "web up", "what serves goes on until the new check has failed");
  subject.runUntil(2000);
  assert.equal(subject.told.at(-1), "web down http: refused");
  subject.configure(group("web", { checks: [check("tcp")] }));
  assert.equal(subject.told.at(-1), "web up");
});

test("B7: first runs are spread, and no more than so many checks run at the same time", () => {
  const health = new Health();
  const groups = Array.from({ length: 100 }, (_, index) => group(`g${index}`));
  assert.deepEqual(
    health.step(instant(0), { type: "spec-changed", groups, seed: 1 }).filter(isRun).length < 5,
    true,
  );
  const runs = health.step(instant(500), { type: "deadline-reached" }).filter(isRun);
  assert.ok(runs.length <= MAX_RUNNING);
  assert.ok((health.deadline ?? 0) > 500, "who waits for a turn does not keep the clock busy");
  const [first] = runs;
  assert.ok(first);
  const result = { ok: true, reason: "" };
  const next = health.step(instant(505), { ...first, type: "check-finished", result });
  assert.equal(next.filter(isRun).length, 1, "the next one has its turn");
});

const isRun = (effect: Effect): effect is Extract<Effect, { type: "run-check" }> =>
  effect.type === "run-check";

test("B7: slow start: from the first success, and after a failure, the share rises in ten steps", () => {
  const subject = new Subject().configure(group("web", { slowStartMs: 10_000 }));
  subject.runUntil(20_000);
  const steps = [10, 20, 30, 40, 50, 60, 70, 80, 90].map((part) => `web up ${part}%`);
  assert.deepEqual(subject.told, ["web unknown", ...steps, "web up"]);
  subject.works.set("web tcp", false);
  subject.runUntil(23_000);
  subject.works.set("web tcp", true);
  subject.runUntil(40_000);
  assert.deepEqual(subject.told.slice(11), ["web down tcp: refused", ...steps, "web up"]);
});

test("B7: a group that gets health checks while it serves does not start slowly", () => {
  const subject = new Subject().configure();
  subject.configure(group("web", { slowStartMs: 10_000 })).runUntil(2000);
  assert.deepEqual(subject.told, ["web unknown", "web up"]);
});

test("B7: after maintenance a check must pass first, and the start is slow; after a drain only the latter", () => {
  const web = { slowStartMs: 1000 };
  const subject = new Subject().configure(group("web", web)).runUntil(5000);
  subject.configure(group("web", { ...web, available: false, checks: [] })).runUntil(8000);
  assert.equal(subject.told.at(-1), "web unknown");
  subject.configure(group("web", web)).runUntil(8600);
  assert.match(subject.told.at(-1) ?? "", /^web up \d0%$/);
  subject.runUntil(12_000);
  subject.configure(group("web", { ...web, available: false })).runUntil(14_000);
  assert.equal(subject.told.at(-1), "web up");
  subject.configure(group("web", web));
  assert.equal(subject.told.at(-1), "web up 10%");
});

test("A14: what is over is down, with checks or without, and what its checks say when it is not over any more", () => {
  const over = "the deadline of the drain is over";
  const subject = new Subject().configure(group("web")).runUntil(2000);
  subject.configure(group("web", { over }), group("bare", { checks: [], over }));
  assert.equal(subject.told.at(-1), `web down ${over}; bare down ${over}`);
  assert.ok(subject.changes.includes(`bare unknown down ${over}`), subject.changes.join());
  subject.configure(group("web")).runUntil(4000);
  assert.equal(subject.told.at(-1), "web up");
});

test("B7: a check that never answers counts as failed, and is run again", () => {
  const health = new Health();
  health.step(instant(0), { type: "spec-changed", groups: [group("web")], seed: 1 });
  const [run] = health.step(instant(500), { type: "deadline-reached" }).filter(isRun);
  assert.ok(run);
  const later = health.step(instant(10_000), { type: "deadline-reached" });
  assert.deepEqual(
    later.map(({ type }) => type),
    ["instance-changed", "report", "run-check"],
  );
});
