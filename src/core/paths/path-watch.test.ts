// Paths to members, as tables of (what came, what time it is) → what is told.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { type Effect, type Heard, PathWatch, pathTiming } from "./path-watch.ts";
import { PATH_CHOICES } from "./spread.ts";

const [SELF, PEER, OTHER] = [nodeId(1), nodeId(2), nodeId(3)];
const TIMING = { helloMs: 20, silentMs: 100 };
const MACS = [mac("02:00:00:00:01:02"), mac("02:00:00:00:02:02")] as const;

class Scene {
  readonly watch = new PathWatch(SELF, 2, TIMING, instant(0));
  now = 0;
  #counter = 0n;

  constructor() {
    this.watch.step(instant(0), { type: "members-changed", members: [SELF, PEER] });
  }

  hears(path: number, more: Partial<Heard> = {}): string[] {
    this.#counter += 1n;
    const own = MACS[path - 1] ?? assert.fail("no such path");
    const heard = { path, from: PEER, mac: own, boot: 1n, counter: this.#counter, hearsUs: true };
    return shown(this.watch.step(instant(this.now), { type: "hello-received", ...heard, ...more }));
  }

  due(now: number): string[] {
    this.now = now;
    return shown(this.watch.step(instant(now), { type: "deadline-reached" }));
  }
}

const shown = (effects: readonly Effect[]): string[] =>
  effects.flatMap((effect) => {
    switch (effect.type) {
      case "send-hello":
        return effect.heard.length === 0 ? [] : [`hello ${effect.path}: ${effect.heard.join()}`];
      case "path-changed":
        return [`${effect.node}/${effect.path} ${effect.state}: ${effect.cause}`];
      case "spread-changed":
        return [`spread ${effect.node}: ${summary(effect.choices)}`];
    }
  });

const summary = (choices: Uint8Array): string => {
  const counts = [0, 1, 2].map((path) => choices.filter((each) => each === path).length);
  assert.equal(choices.length, PATH_CHOICES);
  return counts.join(" ");
};

test("B11: a path works once it carries both ways, and traffic spreads over those that do", () => {
  const scene = new Scene();
  assert.deepEqual(scene.hears(1, { hearsUs: false }), []);
  assert.deepEqual(scene.due(20), ["hello 1: 2"]);
  assert.deepEqual(scene.hears(1), ["2/1 working: heard", "spread 2: 0 64 0"]);
  assert.deepEqual(scene.hears(2), ["2/2 working: heard", "spread 2: 0 32 32"]);
  assert.deepEqual(scene.hears(2), []);
});

test("B11: silence on one path: its share goes by the other within a detection interval; back: home again", () => {
  const scene = new Scene();
  scene.hears(1);
  scene.hears(2);
  for (let now = 20; now < 100; now += 20) {
    scene.due(now);
    assert.deepEqual(scene.hears(1), []);
  }
  assert.deepEqual(scene.due(100), ["2/2 failed: silent", "spread 2: 0 64 0", "hello 1: 2"]);
  assert.deepEqual(scene.hears(2), ["2/2 working: heard", "spread 2: 0 32 32"]);
});

test("B11: a path that carries in one direction only is left by both", () => {
  const scene = new Scene();
  scene.hears(1);
  scene.hears(2);
  assert.deepEqual(scene.hears(2, { hearsUs: false }), ["2/2 failed: unheard", "spread 2: 0 64 0"]);
});

test("B11: a link that is down is no path to anybody, at once; without any path the cluster interface is used", () => {
  const scene = new Scene();
  scene.watch.step(instant(0), { type: "members-changed", members: [SELF, PEER, OTHER] });
  for (const from of [PEER, OTHER]) for (const path of [1, 2]) scene.hears(path, { from });
  const down = (path: number, up = false): string[] =>
    shown(scene.watch.step(instant(1), { type: "carrier-changed", path, up }));
  assert.deepEqual(down(1), [
    "2/1 failed: carrier",
    "spread 2: 0 0 64",
    "3/1 failed: carrier",
    "spread 3: 0 0 64",
  ]);
  assert.deepEqual(down(1), []);
  assert.deepEqual(
    down(2).filter((line) => line.startsWith("spread")),
    ["spread 2: 64 0 0", "spread 3: 64 0 0"],
  );
  assert.deepEqual(down(2, true)[0], "2/2 working: heard");
});

test("B11: a node that is no member is not listened to, and its paths are removed when it departs", () => {
  const scene = new Scene();
  assert.deepEqual(scene.hears(1, { from: OTHER }), []);
  scene.hears(1);
  const gone = scene.watch.step(instant(5), { type: "members-changed", members: [SELF] });
  assert.deepEqual(shown(gone), ["2/1 removed: departed", "spread 2: 64 0 0"]);
  assert.deepEqual(scene.hears(1), []);
  scene.watch.step(instant(6), { type: "members-changed", members: [SELF, PEER] });
  assert.deepEqual(scene.hears(1), ["2/1 working: heard", "spread 2: 0 64 0"]);
});

test("B11: what was said before is not heard again: older counters and older starts", () => {
  const scene = new Scene();
  scene.hears(1, { boot: 5n, counter: 10n });
  scene.due(90);
  scene.hears(1, { boot: 5n, counter: 10n });
  scene.hears(1, { boot: 4n, counter: 99n });
  assert.ok(scene.due(100).includes("2/1 failed: silent"));
  assert.deepEqual(scene.hears(1, { boot: 6n, counter: 1n })[0], "2/1 working: heard");
});

test("B11: a member whose interface has another MAC now is sent to there", () => {
  const scene = new Scene();
  scene.hears(1);
  assert.deepEqual(scene.hears(1, { mac: MACS[1] }), ["spread 2: 0 64 0"]);
});

test("B11: a path that fails is left within the detection interval of members and 50 ms", () => {
  for (const intervalMs of [20, 200, 1000, 60_000]) {
    const { helloMs, silentMs } = pathTiming(intervalMs);
    assert.ok(2 * helloMs + silentMs <= intervalMs + 50, `${intervalMs}: ${helloMs} ${silentMs}`);
    assert.ok(silentMs >= 4 * helloMs, "a few hellos may be lost");
  }
});
