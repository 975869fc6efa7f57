// What recordings, earlier starts, nodes without a place in the configuration and holders of an old key can make
// a node do (A2): nothing, or a bounded nothing. One message at a time: machine.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { MAX_EPOCH, type Message } from "#wire/cluster/message.ts";
import { DENIALS_PER_SECOND, MOST_DEFERRALS } from "./context.ts";
import { MOST_EPOCHS_AHEAD } from "./machine.ts";
import { DEFAULT_DETECTION, type Effect } from "./protocol.ts";
import {
  admitted,
  ASKED,
  BOOT,
  CLAIM,
  config,
  keepalive,
  macOf,
  MESSAGES,
  newConfig,
  OFFER,
  PHASES,
  SELF,
  shown,
  Subject,
} from "./testing/subject.ts";

const joinRequest = (epoch: number): Message => ({
  ...{ type: "join-request", request: 1, config },
  ...{ epoch, mac: macOf(4) },
});

function claimsSent(effects: readonly Effect[]): Extract<Message, { request: number }>[] {
  return effects.flatMap((effect) =>
    effect.type === "send" && effect.message.type === "other-master-exists" ? [effect.message] : [],
  );
}

test("A2: an hour of recorded announcements does not depose a master that never heard their sender", () => {
  const subject = PHASES.governing();
  for (let counter = 1; counter <= 3600; counter++) {
    const claim = { ...CLAIM, request: counter, members: 400 };
    const effects = subject.hears(1, claim, { boot: 7n, counter }).map(shown);
    assert.deepEqual(effects, ["other-master-exists > 1"]);
  }
  assert.equal(subject.machine.view.role, "master");
  assert.equal(subject.machine.view.epoch, 5);
});

test("A2: an answer to an old question is too late", () => {
  const subject = PHASES.governing();
  subject.run(2500);
  const [question] = claimsSent(subject.hears(1, { ...CLAIM, members: 400, nonce: ASKED }));
  assert.ok(question !== undefined, "asked again instead");
  const nonce = { boot: BOOT, request: question.request };
  subject.hears(1, { ...CLAIM, members: 400, nonce });
  assert.equal(subject.machine.view.role, "joining", "the answer to that counts");
});

test("A2: recorded claims and offers delay a start a bounded number of times", () => {
  for (const message of [CLAIM, { ...OFFER, silent: nodeId(3) }]) {
    const subject = PHASES.joining();
    let rounds = 0;
    while (subject.machine.view.role !== "master" && rounds < 100) {
      subject.run(110);
      subject.hears(1, message, { boot: 7n });
      rounds += 1;
    }
    assert.ok(rounds <= 3 * MOST_DEFERRALS, `${message.type}: ${rounds} rounds`);
  }
});

/** Knows an earlier start of node 1, then is admitted by the present one. */
function admittedAnew(): Subject {
  const subject = PHASES.joining();
  subject.hears(1, CLAIM, { boot: 0n, counter: 1 });
  subject.hears(1, MESSAGES["join-accepted"]);
  return subject;
}

test("A2: a list that an earlier start of the master sent does not keep a node from this one", () => {
  const subject = admittedAnew();
  const recording = { ...keepalive(4, 1, 3), roster: 40 } as Message;
  assert.deepEqual(subject.hears(1, recording, { boot: 0n, counter: 2 }).map(shown), [
    "ignored unexpected",
  ]);
  subject.hears(1, keepalive(5, 1, 2, 3));
  assert.equal(subject.machine.view.role, "member");
});

test("A2, A12: a recording of an earlier start of the master does not hide its death", () => {
  const subject = admittedAnew();
  subject.hears(1, keepalive(5, 1, 2, 3));
  subject.run(150);
  subject.hears(1, keepalive(4, 1, 2, 3), { boot: 0n, counter: 2 });
  assert.ok(subject.run(60).map(shown).includes("offer > all"));
});

test("A2: a node that is not in its own configuration never offers itself", () => {
  const subject = new Subject();
  const others = admitted.filter(({ id }) => id !== SELF);
  const change = { config, admitted: others, detection: DEFAULT_DETECTION };
  subject.machine.step(instant(subject.nowMs), { type: "config-changed", ...change });
  const effects = subject.run(20_000).map(shown);
  subject.hears(3, OFFER);
  effects.push(...subject.run(20_000).map(shown));
  assert.deepEqual([...new Set(effects)], ["join-request > all"]);
});

test("A2: the goodbye of an earlier start moves neither the master nor a member", () => {
  const earlier = { boot: 0n, counter: 1 };
  const master = PHASES.governing();
  assert.deepEqual(master.hears(3, { type: "goodbye" }, { ...earlier, boot: 2n }), []);
  const member = PHASES.following();
  assert.deepEqual(member.hears(1, { type: "goodbye" }, { ...earlier, boot: 2n }), []);
  assert.deepEqual(member.hears(1, { type: "goodbye" }, earlier).map(shown), ["ignored replayed"]);
});

test("A2: nodes that are turned down again and again are reported a few times a second, and counted", () => {
  const subject = PHASES.governing();
  const count = (effects: readonly Effect[], what: string): number =>
    effects.map(shown).filter((effect) => effect === what).length;
  const flood = (): Effect[] =>
    Array.from({ length: 20 }, () => subject.hears(9, joinRequest(0))).flat();
  const first = flood();
  assert.equal(count(first, "join-denied"), DENIALS_PER_SECOND);
  assert.equal(count(first, "ignored unreported-denial"), 20 - DENIALS_PER_SECOND);
  assert.equal(count(first, "join-refused > 9"), 20);
  subject.run(1000);
  assert.equal(count(flood(), "join-denied"), DENIALS_PER_SECOND);
});

test("A5: a claim with the same epoch, or a newcomer with it, makes the winner rise above it", () => {
  const claimed = PHASES.governing();
  claimed.hears(3, { ...CLAIM, nonce: ASKED, master: nodeId(3), epoch: 5 });
  assert.equal(claimed.machine.view.epoch, 6);
  const asked = PHASES.governing();
  asked.hears(4, joinRequest(5));
  assert.equal(asked.machine.view.epoch, 6);
  asked.hears(4, joinRequest(5));
  assert.equal(asked.machine.view.epoch, 6, "once");
  const refused = PHASES.governing();
  refused.hears(9, joinRequest(70));
  assert.equal(refused.machine.view.epoch, 5, "not for a node that is refused");
});

test("A5: epochs rise by plausible steps only, and end where 32 bits do", () => {
  const subject = PHASES.governing();
  const far = subject.hears(4, joinRequest(5 + MOST_EPOCHS_AHEAD + 1)).map(shown);
  assert.deepEqual(far, ["ignored implausible"]);
  for (let epoch = 5; epoch < MAX_EPOCH; epoch = subject.machine.view.epoch) {
    subject.hears(4, joinRequest(Math.min(epoch + MOST_EPOCHS_AHEAD, MAX_EPOCH)));
    assert.ok(subject.machine.view.epoch > epoch);
  }
  subject.hears(4, joinRequest(MAX_EPOCH));
  assert.equal(subject.machine.view.epoch, MAX_EPOCH);
});

test("A5: a member follows a later master when that has answered under its certificate", () => {
  const subject = PHASES.following();
  const [question] = claimsSent(subject.hears(4, keepalive(9, 1, 2, 3, 4)));
  assert.ok(question !== undefined);
  const answer = { ...CLAIM, master: nodeId(4), epoch: 9, members: 4 };
  subject.hears(4, answer);
  assert.equal(subject.machine.view.master, 1, "a recording");
  subject.hears(4, { ...answer, nonce: { boot: BOOT, request: question.request } });
  assert.equal(subject.machine.view.master, 4);
  assert.equal(subject.machine.view.epoch, 9);
});

test("A5, A12: whoever loses its master and hears one that was elected later asks that one, and takes over from none", () => {
  for (const { epoch, heardMs, asks } of [
    { epoch: 9, heardMs: 150, asks: true },
    { epoch: 5, heardMs: 150, asks: false }, // no later than its own
    { epoch: 9, heardMs: -1, asks: false }, // its own master was heard after that
  ]) {
    const subject = PHASES.following();
    if (heardMs < 0) subject.hears(4, keepalive(epoch, 4));
    subject.run(1);
    subject.hears(1, { ...keepalive(5, 1, 2, 3), sequence: 2 } as Message);
    subject.run(Math.max(0, heardMs));
    if (heardMs >= 0) subject.hears(4, keepalive(epoch, 4));
    const effects = subject.run(210 - Math.max(0, heardMs)).map(shown);
    const found = {
      asks: effects.includes("join-request > all"),
      offers: effects.includes("offer > all"),
    };
    assert.deepEqual(found, { asks, offers: !asks }, `epoch ${epoch}, after ${heardMs} ms`);
  }
});

test("A4: a candidate with an older configuration than ours is met by a better offer, not by consent", () => {
  const subject = PHASES.following();
  const change = { config: newConfig, admitted, detection: DEFAULT_DETECTION };
  subject.machine.step(instant(subject.nowMs), { type: "config-changed", ...change });
  subject.run(110);
  const offer = { ...OFFER, epoch: 5, silent: nodeId(1) };
  const effects = [...subject.hears(3, offer), ...subject.run(50)].map(shown);
  assert.ok(effects.includes("offer > all") && !effects.includes("offer-accepted > 3"));
});

test("A12: an offer that does not know the epoch of the lost master is older than its mastership", () => {
  for (const [epoch, isAccepted] of [
    [4, false],
    [5, true],
  ] as const) {
    const subject = PHASES.following();
    subject.run(110);
    const offer = { ...OFFER, epoch, silent: nodeId(1) };
    const effects = [...subject.hears(3, offer), ...subject.run(50)].map(shown);
    assert.equal(effects.includes("offer-accepted > 3"), isAccepted, `epoch ${epoch}`);
  }
});

test("A5, A12: a master that did not run answers for nothing until it is sure that it is one", () => {
  const subject = PHASES.governing();
  const mayAnswer = (): boolean => subject.machine.mayAnswer(instant(subject.nowMs));
  assert.equal(mayAnswer(), true);
  subject.nowMs += 5000;
  assert.equal(mayAnswer(), false, "before it has done anything");
  subject.machine.step(instant(subject.nowMs), { type: "deadline-reached" });
  assert.equal(mayAnswer(), false, "in doubt");
  subject.run(250);
  assert.equal(mayAnswer(), true);
  subject.machine.step(instant(subject.nowMs), { type: "leave" });
  assert.equal(mayAnswer(), false);
});

test("A5: a master does not yield to one that does not compete, whatever that one has listed", () => {
  const subject = PHASES.governing();
  const [question] = claimsSent(subject.hears(1, keepalive(9, 1, 2, 3)));
  assert.ok(question !== undefined);
  const nonce = { boot: BOOT, request: question.request };
  subject.hears(1, { ...CLAIM, nonce, epoch: 9, members: 0 });
  assert.equal(subject.machine.view.role, "master");
  assert.equal(subject.machine.view.epoch, 10);
});
