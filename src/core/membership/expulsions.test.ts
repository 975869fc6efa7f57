// A2, A4, A13: members that are told to go: not listed from that moment on, departed when they take no frames any more (docs/adr/0014).
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import type { Message } from "#wire/cluster/message.ts";
import { DEFAULT_DETECTION } from "./protocol.ts";
import {
  admitted,
  config,
  macOf,
  memberKeepalive,
  newConfig,
  PHASES,
  shown,
} from "./testing/subject.ts";

test("A4: a member that runs another configuration when the roll-out is over is sent away", () => {
  const subject = PHASES.governing();
  subject.run(100);
  const change = { config: newConfig, admitted, detection: DEFAULT_DETECTION };
  subject.machine.step(instant(subject.nowMs), { type: "config-changed", ...change });
  for (let round = 0; round < 20; round++) {
    const effects = subject.hears(3, { ...memberKeepalive(), sequence: 2 + round } as Message);
    assert.deepEqual(effects.map(shown), []);
    subject.run(100);
  }
  const effects = [
    ...subject.hears(3, memberKeepalive()),
    ...(subject.run(50), subject.hears(3, memberKeepalive())),
  ].map(shown);
  assert.ok(effects.includes("exit-request > 3"));
  assert.ok(!effects.includes("member-departed 3 refused"), "it may not have heard of it yet");
  assert.ok(subject.run(200).map(shown).includes("member-departed 3 refused"));
});

test("A4, A13: a member that asked once more and is sent away since is none again before it asks anew", () => {
  const subject = PHASES.governing();
  const change = { config: newConfig, admitted, detection: DEFAULT_DETECTION };
  const request: Message = { type: "join-request", request: 2, epoch: 0, config, mac: macOf(3) };
  assert.deepEqual(subject.hears(3, request).map(shown), ["join-accepted > 3"]);
  subject.machine.step(instant(subject.nowMs), { type: "config-changed", ...change });
  const told: string[] = [];
  for (let round = 0; round < 22; round++) {
    subject.run(100);
    const effects = subject.hears(3, { ...memberKeepalive(), sequence: 2 + round } as Message);
    told.push(...effects.map(shown));
  }
  assert.ok(told.includes("exit-request > 3"), told.join());
  assert.ok(!told.includes("member-joined"), "it may take frames that others have by now");
});

test("A4: a node that the configuration no longer names is sent away at once, and departs when it takes no frames any more", () => {
  const subject = PHASES.governing();
  const change = {
    config: newConfig,
    admitted: admitted.slice(0, 2),
    detection: DEFAULT_DETECTION,
  };
  const now = instant(subject.nowMs);
  const effects = subject.machine.step(now, { type: "config-changed", ...change });
  assert.deepEqual(effects.map(shown).slice(0, 1), ["exit-request > 3"]);
  const listed = effects.flatMap((effect) =>
    effect.type === "send" && effect.message.type === "master-keepalive"
      ? [effect.message.members.map(({ id }) => id)]
      : [],
  );
  assert.ok(listed.length > 0 && listed.every((ids) => ids.join() === "2"), "it is not listed");
  assert.deepEqual(
    subject.machine.view.members.map(({ id }) => id),
    [2, 3],
  );
  assert.equal(subject.machine.view.secondary, 0, "who is told to go does not inherit");
  const until = subject.run(199).map(shown);
  assert.ok(!until.some((text) => text.startsWith("member-departed")));
  assert.deepEqual(
    subject
      .run(1)
      .map(shown)
      .filter((text) => !text.includes(" > ")),
    ["member-departed 3 refused", "departure-confirmed 3 refused", "view master 2"],
  );
});

test("A2: a member that was told to go and is admitted again has departed before it joins", () => {
  const subject = PHASES.governing();
  subject.machine.step(instant(subject.nowMs), { type: "expel", id: nodeId(3) });
  subject.run(50);
  subject.hears(3, { type: "join-request", request: 2, epoch: 0, config, mac: macOf(3) });
  const effects = subject.hears(3, memberKeepalive()).map(shown);
  assert.deepEqual(
    effects.filter((text) => !text.includes(" > ")),
    [
      "member-departed 3 refused",
      "departure-confirmed 3 refused",
      "view master 2",
      "member-joined",
      "view master 2,3",
    ],
  );
  assert.ok(!subject.run(300).map(shown).includes("member-departed 3 refused"), "once");
});
