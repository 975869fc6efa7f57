// A10: the master asks its applications before a node joins, and the node waits meanwhile.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import type { Message } from "#wire/cluster/message.ts";
import { VOTE_RETRY_MS } from "./admissions.ts";
import { MAX_BALLOTS, REFUSAL_STANDS_MS } from "./ballots.ts";
import { Membership } from "./machine.ts";
import { DEFAULT_DETECTION, type Effect, type Verdict, type VoteRule } from "./protocol.ts";
import {
  address,
  BOOT,
  config,
  macOf,
  memberKeepalive,
  PHASES,
  shown,
  type Subject,
} from "./testing/subject.ts";

const RULE: VoteRule = { withinMs: 2000, unanswered: "accept" };
const YES: Verdict = { accepted: true };
const NO: Verdict = { accepted: false, text: "ipsec: no key for it" };

/** A master whose applications vote. */
function polling(rule: VoteRule = RULE): Subject {
  const subject = PHASES.governing();
  subject.machine.step(instant(subject.nowMs), { type: "voters-changed", rule });
  return subject;
}
const ask = (request: number): Message => ({
  ...{ type: "join-request", request, epoch: 0, config },
  mac: macOf(4),
});
const vote = (subject: Subject, ballot: number, verdict: Verdict): Effect[] =>
  subject.machine.step(instant(subject.nowMs), { type: "join-voted", ballot, verdict });
const list = (effects: readonly Effect[]): string[] => effects.map(shown);
const sent = (effects: readonly Effect[]): Message[] =>
  effects.flatMap((effect) => (effect.type === "send" ? [effect.message] : []));
/** Without keepalives and announcements, which go out all the time. */
const about = (id: number, effects: readonly Effect[]): string[] =>
  list(effects).filter((text) => text.endsWith(`> ${id}`) || text.startsWith("vote-"));

test("A10: nobody votes: a node is let in at once", () => {
  const subject = PHASES.governing();
  assert.deepEqual(list(subject.hears(4, ask(1))), ["join-accepted > 4"]);
});

test("A10: a node waits until the applications have decided, and the answer does not wait for its next question", () => {
  const subject = polling();
  const first = subject.hears(4, ask(1));
  assert.deepEqual(list(first), ["vote-wanted 1 on 4", "join-wait > 4"]);
  const wait = { type: "join-wait", nonce: { boot: 1n, request: 1 }, retryMs: VOTE_RETRY_MS };
  assert.deepEqual(sent(first), [wait]);
  assert.deepEqual(list(subject.hears(4, ask(2))), ["join-wait > 4"], "asked once");
  const decided = vote(subject, 1, YES);
  assert.deepEqual(list(decided), ["join-accepted > 4"]);
  const [answer] = sent(decided);
  assert.ok(answer?.type === "join-accepted");
  assert.deepEqual(answer.nonce, { boot: 1n, request: 2 }, "the last question is answered");
  assert.deepEqual(list(subject.hears(4, ask(3))), ["join-accepted > 4"], "and not voted on again");
  const joined = list(subject.hears(4, memberKeepalive()));
  assert.deepEqual(joined.slice(0, 2), ["member-joined", "view master 2,3,4"]);
  assert.deepEqual(list(subject.hears(4, ask(4))), ["join-accepted > 4"], "a member neither");
});

test("A10: a refusal is told with its words, stands for a moment, and then it is voted again", () => {
  const subject = polling();
  subject.hears(4, ask(1));
  const decided = vote(subject, 1, NO);
  const text = "ipsec: no key for it";
  assert.deepEqual(decided, [
    {
      type: "join-denied",
      sender: nodeId(4),
      address: "10.0.0.4",
      reason: "application",
      text,
    },
    {
      type: "send",
      to: "10.0.0.4",
      message: {
        type: "join-refused",
        nonce: { boot: 1n, request: 1 },
        reason: "application",
        text,
      },
    },
  ]);
  assert.deepEqual(list(subject.hears(4, ask(2))), ["join-denied", "join-refused > 4"]);
  subject.hears(3, memberKeepalive());
  subject.run(REFUSAL_STANDS_MS / 4); // less than a detection interval at a time: node 3 stays a member
  for (let quarter = 1; quarter < 4; quarter++) {
    subject.hears(3, { ...memberKeepalive(), sequence: quarter + 1 } as Message);
    subject.run(REFUSAL_STANDS_MS / 4);
  }
  assert.deepEqual(list(subject.hears(4, ask(3))), ["vote-wanted 2 on 4", "join-wait > 4"]);
  assert.deepEqual(list(vote(subject, 2, YES)), ["join-accepted > 4"]);
});

test("A10: words that are too long or not one line are cut to what a datagram carries", () => {
  const subject = polling();
  subject.hears(4, ask(1));
  const decided = vote(subject, 1, { accepted: false, text: `a\nb${"€".repeat(100)}` });
  const [refusal] = sent(decided);
  assert.ok(refusal?.type === "join-refused");
  assert.equal(refusal.text, `a b${"€".repeat(65)}`);
});

for (const [unanswered, answer] of [
  ["accept", ["join-accepted > 4"]],
  ["refuse", ["join-refused > 4"]],
] as const) {
  test(`A10: applications that take too long: ${unanswered}, and their answer counts no more`, () => {
    const subject = polling({ withinMs: 100, unanswered });
    subject.hears(4, ask(1));
    assert.deepEqual(about(4, subject.run(99)), []);
    const expected = [`vote-unanswered 1: ${unanswered}`, ...answer];
    assert.deepEqual(about(4, subject.run(1)), expected);
    assert.deepEqual(list(vote(subject, 1, NO)), ["ignored unexpected"]);
  });
}

test("A10: a node that has started again meanwhile is voted on anew; the old ballot is void", () => {
  const subject = polling();
  subject.hears(4, ask(1));
  const again = subject.hears(4, ask(1), { boot: 2n, counter: 1 });
  assert.deepEqual(list(again), ["vote-wanted 2 on 4", "join-wait > 4"]);
  assert.deepEqual(list(vote(subject, 1, NO)), ["ignored unexpected"]);
  assert.deepEqual(list(vote(subject, 2, YES)), ["join-accepted > 4"]);
});

test("A10: what the configuration says meanwhile holds, whatever the applications say", () => {
  const subject = polling();
  subject.hears(4, ask(1));
  subject.machine.step(instant(subject.nowMs), {
    type: "config-changed",
    config,
    admitted: [2, 3].map((id) => ({ id: nodeId(id), name: `n${id}`, address: address(id) })),
    detection: DEFAULT_DETECTION,
  });
  const decided = vote(subject, 1, YES);
  assert.deepEqual(list(decided), ["join-denied", "join-refused > 4"]);
  const [refusal] = sent(decided);
  assert.ok(refusal?.type === "join-refused" && refusal.reason === "not-admitted");
});

test("A10: who is no master any more decides nothing, and a vote of before is void at the next mastership", () => {
  const subject = PHASES.following();
  assert.deepEqual(list(vote(subject, 1, YES)), ["ignored unexpected"]);
});

test("A10: a joining node is told the words of the application that refuses", () => {
  const subject = PHASES.joining();
  const nonce = { boot: BOOT, request: 1 };
  const told = subject.hears(1, {
    type: "join-refused",
    nonce,
    reason: "application",
    text: "ipsec: no",
  });
  const refusal = { type: "refused", by: nodeId(1), reason: "application", text: "ipsec: no" };
  assert.deepEqual(told, [refusal]);
});

test("A10: many nodes at once: so many ballots are open, the others wait their turn", () => {
  const many = Array.from({ length: MAX_BALLOTS + 3 }, (_, index) => index + 1);
  const node = (id: number) => ({ id: nodeId(id), name: `n${id}`, address: ip(`10.1.0.${id}`) });
  const self = { id: nodeId(200), address: ip("10.1.0.200"), mac: macOf(1) };
  const admitted = [...many, 200].map(node);
  const settings = { self, boot: BOOT, epoch: 0, config, admitted, detection: DEFAULT_DETECTION };
  const machine = new Membership(settings, instant(0));
  const run = (until: number): void => {
    while ((machine.deadline ?? Infinity) <= until) {
      machine.step(machine.deadline ?? instant(0), { type: "deadline-reached" });
    }
  };
  run(1000);
  assert.equal(machine.view.role, "master");
  machine.step(instant(1000), { type: "voters-changed", rule: RULE });
  const asked = many.flatMap((id) =>
    machine.step(instant(1000), {
      type: "message-received",
      received: {
        ...{ sender: nodeId(id), boot: 1n, counter: 1, from: node(id).address },
        ...{ at: instant(1000), message: ask(1) },
      },
    }),
  );
  const ballots = asked.filter(({ type }) => type === "vote-wanted");
  assert.equal(ballots.length, MAX_BALLOTS);
  assert.equal(sent(asked).filter(({ type }) => type === "join-wait").length, many.length);
});
