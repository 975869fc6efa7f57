// What a member tells its master about instances: what is accepted, and what is not such a report.
import assert from "node:assert/strict";
import { test } from "node:test";
import { asHealthReport, healthReportJson, MAX_REASON } from "./health-report.ts";
import type { JsonValue } from "./json.ts";

const up = { name: "web", state: "up", part: 10, reason: "" } as const;

test("B7: a health report is what it says", () => {
  assert.deepEqual(asHealthReport({ groups: [up] }), { groups: [up] });
  assert.deepEqual(asHealthReport({ groups: [] }), { groups: [] });
});

test("B7: what is no health report is refused", () => {
  const wrong: readonly JsonValue[] = [
    null,
    {},
    { groups: {} },
    { groups: [{ ...up, name: "Web" }] },
    { groups: [{ ...up, name: "" }] },
    { groups: [{ ...up, state: "well" }] },
    { groups: [{ ...up, part: 0 }] },
    { groups: [{ ...up, part: 101 }] },
    { groups: [{ ...up, part: 1.5 }] },
    { groups: [{ ...up, reason: 5 }] },
    { groups: [{ ...up, reason: "x".repeat(MAX_REASON + 1) }] },
    { groups: [up, up] },
    { groups: Array.from({ length: 1025 }, (_, index) => ({ ...up, name: `g${index}` })) },
  ];
  for (const value of wrong) assert.equal(asHealthReport(value), undefined, JSON.stringify(value));
});

test("B7: a reason that is too long is cut", () => {
  const json = healthReportJson({ groups: [{ ...up, reason: "x".repeat(1000) }] });
  assert.equal(asHealthReport(json)?.groups[0]?.reason.length, MAX_REASON);
});
