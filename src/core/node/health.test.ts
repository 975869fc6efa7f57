// What a master makes of its members' health reports: who owns slots, and what packets meet when nobody does (B7).
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TABLES, nodeId, type NodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import type { InstanceState } from "#wire/control/health-report.ts";
import type { ClusterSpec, GroupSpec } from "./cluster-spec.ts";
import { Controller } from "./controller.ts";
import { groupOf, specOf, viewOf } from "./testing/cluster.ts";

const [N1, N2] = [nodeId(1), nodeId(2)] as const;

const spec = (change: Partial<GroupSpec>, method: ClusterSpec["method"] = "forward"): ClusterSpec =>
  specOf(groupOf([1, 1], { checked: true, whenNone: { type: "reset" }, ...change }), { method });

/** A master with one member, on a clock that stands still; the member acknowledges everything at once. */
class Subject {
  readonly controller: Controller;

  constructor(cluster: ClusterSpec) {
    this.controller = new Controller({
      self: N1,
      spec: cluster,
      tables: undefined,
      hashKey: [1, 2],
    });
    const view = viewOf([N1, N2]);
    this.controller.step(instant(0), { type: "view-changed", view });
    this.settle();
  }

  settle(): void {
    for (let round = 0; round < 5; round++) {
      const version = this.controller.tables?.version ?? NO_TABLES;
      this.controller.step(instant(0), { type: "tables-acknowledged", id: N2, version });
    }
  }

  report(id: NodeId, state: InstanceState): this {
    const report = { groups: [{ name: "web", state, part: 100, reason: "" }] };
    this.controller.step(instant(0), { type: "health-reported", id, report });
    this.settle();
    return this;
  }

  get owners(): number[] {
    return [...new Set(this.controller.tables?.groups[0]?.owners)].toSorted((a, b) => a - b);
  }
}

for (const method of ["forward", "unicast"] as const) {
  test(`B7: ${method}: nobody serves before a check has passed, then who passes, and who fails owns nothing`, () => {
    const subject = new Subject(spec({}, method));
    assert.deepEqual(subject.owners, [0]);
    assert.deepEqual(subject.report(N2, "up").owners, [2]);
    assert.deepEqual(subject.report(N1, "up").owners, [1, 2]);
    assert.deepEqual(subject.report(N2, "down").owners, [1]);
    assert.deepEqual(
      subject.report(N2, "unknown").owners,
      [1],
      "it owns nothing, so it gets nothing",
    );
    assert.deepEqual(subject.report(N1, "unknown").owners, [1], "it owns all, so it keeps it");
    assert.deepEqual(subject.report(N1, "down").owners, [0]);
  });
}

test("B7: a former owner that is down stays in the chains: its connections go on", () => {
  const subject = new Subject(spec({})).report(N1, "up").report(N2, "up").report(N2, "down");
  const { former } = subject.controller.tables?.groups[0] ?? {};
  assert.equal(former?.filter((id) => id === N2).length, 8);
});

test("B7: the tables say what packets of a group meet that nobody serves, and only while that is so", () => {
  const web = (subject: Subject): unknown => {
    const [group] = subject.controller.tables?.groups ?? [];
    return [group?.holds, group?.answer];
  };
  for (const method of ["forward", "unicast"] as const) {
    const subject = new Subject(spec({}, method)).report(N1, "up");
    assert.deepEqual(web(subject), [false, undefined], method);
    assert.deepEqual(web(subject.report(N1, "down")), [true, "reset"], method);
    assert.deepEqual(web(subject.report(N2, "up")), [false, undefined], method);
  }
  assert.deepEqual(web(new Subject(spec({ whenNone: { type: "drop" } }))), [true, "drop"]);
  assert.deepEqual(web(new Subject(spec({ whenNone: { type: "all" } }))), [false, undefined]);
  const sorry = new Subject(spec({ whenNone: { type: "sorry", node: N2 } }));
  assert.deepEqual([sorry.owners, web(sorry)], [[2], [false, undefined]]);
});

test("B7: while slots are on their way from one node to another nothing is answered", () => {
  const subject = new Subject(spec({}, "unicast")).report(N1, "up");
  const report = (id: NodeId, state: InstanceState): void => {
    const groups = [{ name: "web", state, part: 100, reason: "" }];
    subject.controller.step(instant(0), { type: "health-reported", id, report: { groups } });
  };
  report(N2, "up");
  report(N1, "down");
  const [group] = subject.controller.tables?.groups ?? [];
  assert.ok(group);
  assert.ok(group.owners.includes(0), "let go, and not given yet");
  assert.deepEqual([group.holds, group.answer], [true, undefined]);
});

test("B7: a node that is no master knows nothing of others' instances", () => {
  const member = new Controller({ self: N2, spec: spec({}), tables: undefined, hashKey: [1, 2] });
  const report = { groups: [{ name: "web", state: "down", part: 100, reason: "" } as const] };
  assert.deepEqual(member.step(instant(0), { type: "health-reported", id: N1, report }), []);
  assert.equal(member.instanceOf(N1, "web"), undefined);
});
