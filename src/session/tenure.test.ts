// A16: sessions of a node that was on its own are silent until it has heard from the others, however long that takes (docs/adr/0029).
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { Tenure } from "./tenure.ts";

function scene() {
  const state = { ms: 0, tenure: 1, granted: 1, isWhole: true, asked: 0, said: 0 };
  let look = (): void => {};
  const clock = {
    now: () => instant(state.ms),
    every: (_ms: number, turn: () => void) => {
      look = turn;
      return () => {};
    },
    later: () => () => {},
  };
  const tenure = new Tenure(clock, {
    right: () => {
      const isAway = state.tenure !== state.granted;
      return { speaks: !isAway, tenure: state.tenure, isAway };
    },
    hearAgain: () => (state.asked += 1),
    isWhole: () => state.isWhole,
    waits: () => (state.said += 1),
    grant: (value) => (state.granted = value),
  });
  const run = (ms: number): void => {
    for (const end = state.ms + ms; state.ms < end; state.ms += 20) look();
  };
  return { state, tenure, run };
}

test("A16: after a node was away its sessions speak when its streams are there and have told", () => {
  const { state, run } = scene();
  state.isWhole = false;
  state.tenure = 2;
  run(1000);
  assert.equal(state.granted, 1, "nobody has told anything");
  state.isWhole = true;
  run(180);
  assert.equal(state.granted, 1, "what streams begin with is not read yet");
  run(60);
  assert.equal(state.granted, 2);
});

test("A16: a stream that breaks, begins anew, or a further absence begins the wait anew", () => {
  for (const again of ["broken", "begun", "away"] as const) {
    const { state, tenure, run } = scene();
    state.tenure = 2;
    run(180);
    if (again === "broken") state.isWhole = false;
    if (again === "begun") tenure.begun();
    if (again === "away") state.tenure = 3;
    run(40);
    state.isWhole = true;
    run(160);
    assert.equal(state.granted, 1, again);
    run(100);
    assert.equal(state.granted, state.tenure, again);
  }
});

test("A16: however long it takes, nobody is granted the right who has not heard all; it is said once that it takes long", () => {
  const { state, run } = scene();
  state.isWhole = false;
  state.tenure = 2;
  run(60_000);
  assert.equal(state.granted, 1);
  assert.equal(state.said, 1);
  state.isWhole = true;
  run(300);
  assert.equal(state.granted, 2);
});

test("A16: everybody is asked anew in each tenure, and by a process that stood still nothing was read meanwhile", () => {
  const { state, run } = scene();
  state.tenure = 2;
  run(40);
  assert.equal(state.asked, 1);
  state.ms += 5000; // the process did not run
  run(40);
  assert.equal(state.granted, 1, "what came has not been read");
  state.tenure = 3;
  run(20);
  assert.equal(state.asked, 2);
  run(240);
  assert.equal(state.granted, 3);
});
