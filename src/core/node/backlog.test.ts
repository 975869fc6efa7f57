// A5, A3: what a main thread that was busy still acts upon.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TABLES, type NodeId } from "#base/ids.ts";
import type { View } from "#core/membership/types.ts";
import { upToDate } from "./backlog.ts";

const view = (role: View["role"], epoch: number) => ({
  type: "view-changed",
  view: {
    ...{ role, epoch, master: 1 as NodeId, secondary: 0 as NodeId, members: [] },
    ...{ keepaliveIntervalMs: 100, config: { counter: 1, digest: "" }, tables: NO_TABLES },
  },
});
const plain = (type: string) => ({ type });

const CASES = [
  { what: "nothing", events: [], left: [] },
  {
    what: "a mastership that goes on",
    events: [
      plain("became-master"),
      view("master", 5),
      plain("announce-wanted"),
      view("master", 6),
    ],
    left: [0, 1, 2, 3],
  },
  {
    what: "a mastership that is over, and the cluster that the node is in since",
    events: [
      plain("became-master"),
      view("master", 5),
      plain("announce-wanted"),
      plain("departure-confirmed"),
      plain("lost-mastership"),
      view("joining", 5),
      plain("admitted-by"),
      view("member", 7),
    ],
    left: [0, 3, 4, 5, 6, 7],
  },
  {
    what: "two clusters in turn",
    events: [
      view("member", 3),
      view("joining", 3),
      view("member", 4),
      view("offering", 4),
      view("master", 5),
    ],
    left: [3, 4],
  },
] as const;

for (const { what, events, left } of CASES) {
  test(`A5: what a busy main thread finds waiting: ${what}`, () => {
    assert.deepEqual(
      upToDate<{ readonly type: string; readonly view?: View }>(events),
      left.map((at) => events[at]),
    );
  });
}
