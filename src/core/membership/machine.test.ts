// Decisions of the membership machine that depend on more than the type of a message. Each message in each
// phase: machine-table.test.ts. Whole conversations: cluster.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { type Message, UNASKED } from "#wire/cluster/message.ts";
import { DEFAULT_DETECTION } from "./protocol.ts";
import {
  address,
  admitted,
  ASKED,
  BOOT,
  CLAIM,
  config,
  keepalive,
  macOf,
  memberKeepalive,
  MESSAGES,
  newConfig,
  NONCE,
  OFFER,
  OFFERED,
  type PhaseName,
  PHASES,
  SELF,
  shown,
  Subject,
} from "./testing/subject.ts";

interface Case {
  readonly phase: PhaseName;
  readonly from: number;
  readonly message: Message;
  readonly effects: readonly string[];
}

const WRONG_CONFIG = {
  type: "exit-request",
  nonce: UNASKED,
  reason: "configuration",
  config: newConfig,
} as const;
const HIGHEST = 2 ** 32 - 1;

const CASES: readonly (Case & { readonly name: string })[] = [
  {
    name: "A2: an unknown node is refused, and it is told why",
    phase: "governing",
    from: 9,
    message: MESSAGES["join-request"],
    effects: ["join-denied", "join-refused > 9"],
  },
  {
    name: "A3: a worse candidate makes a joining node offer itself",
    phase: "joining",
    from: 3,
    message: OFFER,
    effects: ["view offering", "offer > all"],
  },
  {
    name: "A3: a worse candidate is told of the better offer",
    phase: "offering",
    from: 3,
    message: OFFER,
    effects: ["offer > 3"],
  },
  {
    name: "A3: a newer configuration comes before a lower address",
    phase: "offering",
    from: 3,
    message: { ...OFFER, config: newConfig },
    effects: ["view joining"],
  },
  {
    name: "A4: a joining node with another configuration is sent to fetch it",
    phase: "governing",
    from: 4,
    message: { type: "join-request", request: 1, epoch: 0, config: newConfig, mac: macOf(4) },
    effects: ["exit-request > 4"],
  },
  {
    name: "A4: and it asks its main thread to",
    phase: "joining",
    from: 1,
    message: { ...WRONG_CONFIG, nonce: NONCE },
    effects: ["config-wanted"],
  },
  {
    name: "A5: a master yields to one with more members, and sends its own away",
    phase: "governing",
    from: 1,
    message: { ...CLAIM, nonce: ASKED, members: 3 },
    effects: ["other-master-exists > 1", "exit-request > all", "lost-mastership", "view joining"],
  },
  {
    name: "A5: a master that wins tells the other so, and announces the VIPs again, above both epochs",
    phase: "governing",
    from: 3,
    message: { ...CLAIM, nonce: ASKED, master: nodeId(3) },
    effects: ["view master 2,3", "other-master-exists > 3", "announce-wanted"],
  },
  {
    name: "A2: a recorded claim deposes nobody, however many members it had: its sender is asked",
    phase: "governing",
    from: 1,
    message: { ...CLAIM, members: 400 },
    effects: ["other-master-exists > 1"],
  },
  {
    name: "A2: nor does an answer to a question of an earlier start",
    phase: "governing",
    from: 1,
    message: { ...CLAIM, members: 400, nonce: { boot: BOOT - 1n, request: 5 } },
    effects: ["other-master-exists > 1"],
  },
  {
    name: "A2: nor does the keepalive of another master, with however many members",
    phase: "governing",
    from: 1,
    message: keepalive(9, 1, 3, 4),
    effects: ["other-master-exists > 1"],
  },
  {
    name: "A2: a recorded claim stops no candidate",
    phase: "offering",
    from: 1,
    message: CLAIM,
    effects: [],
  },
  {
    name: "A3: the answer of a master does",
    phase: "offering",
    from: 1,
    message: { ...CLAIM, nonce: OFFERED },
    effects: ["view joining"],
  },
  {
    name: "A2: an offer from before the epoch in force stops no candidate",
    phase: "offering",
    from: 1,
    message: { ...OFFER, epoch: 3 },
    effects: ["offer > 1"],
  },
  {
    name: "A2: a certificate without a place in the configuration makes no master",
    phase: "governing",
    from: 9,
    message: { ...CLAIM, nonce: ASKED, master: nodeId(9), members: 400 },
    effects: ["ignored unknown-sender"],
  },
  {
    name: "A4: of a newer configuration it is believed that there is one, and no more",
    phase: "governing",
    from: 9,
    message: { ...CLAIM, nonce: ASKED, master: nodeId(9), members: 400, config: newConfig },
    effects: ["config-wanted"],
  },
  {
    name: "A4: nor is that believed unasked",
    phase: "joining",
    from: 9,
    message: WRONG_CONFIG,
    effects: ["ignored unknown-sender"],
  },
  {
    name: "A4: a joining node takes it from a master that its configuration does not name",
    phase: "joining",
    from: 9,
    message: { ...WRONG_CONFIG, nonce: NONCE },
    effects: ["config-wanted"],
  },
  {
    name: "A2: a node that is not admitted stops no candidate",
    phase: "offering",
    from: 9,
    message: OFFER,
    effects: ["ignored unknown-sender"],
  },
  {
    name: "A2: nor does it get offers of its own",
    phase: "offering",
    from: 9,
    message: MESSAGES["join-request"],
    effects: ["ignored unknown-sender"],
  },
  {
    name: "A5: an epoch that nobody can have reached is not believed",
    phase: "governing",
    from: 4,
    message: { type: "join-request", request: 1, epoch: HIGHEST, config, mac: macOf(4) },
    effects: ["ignored implausible"],
  },
  {
    name: "A5: a member asks a later master for its certificate before it follows",
    phase: "following",
    from: 4,
    message: keepalive(9, 1, 2, 3, 4),
    effects: ["other-master-exists > 4"],
  },
  {
    name: "A5: a master answers a member that has heard two",
    phase: "governing",
    from: 3,
    message: CLAIM,
    effects: ["other-master-exists > 3"],
  },
  {
    name: "A12: whoever was not accepted as candidate is not followed as master",
    phase: "orphaned",
    from: 4,
    message: keepalive(9, 2, 4),
    effects: ["view joining"],
  },
  {
    name: "A4: a candidate with an older configuration is objected to by the better offer",
    phase: "orphaned",
    from: 4,
    message: { ...OFFER, epoch: 5, silent: nodeId(1), config: { ...config, counter: 0 } },
    effects: [],
  },
  {
    name: "A5: hearsay about a master is no claim",
    phase: "governing",
    from: 3,
    message: { ...CLAIM, master: nodeId(SELF), members: 9 },
    effects: [],
  },
  {
    name: "A6: keepalives of a node that was not admitted are answered with an exit request",
    phase: "governing",
    from: 4,
    message: memberKeepalive(),
    effects: ["exit-request > 4"],
  },
  {
    name: "A12: the last consent makes a master at once",
    phase: "inheriting",
    from: 3,
    message: { ...MESSAGES["offer-accepted"], nonce: { boot: BOOT, request: 2 } } as Message,
    effects: [
      "became-master",
      "member-departed 1 silent",
      "probe > 1",
      "view master 2,3",
      "master-keepalive > all",
    ],
  },
  {
    name: "A12: a member that heard its master just now objects to a candidate that misses it",
    phase: "following",
    from: 3,
    message: { ...OFFER, silent: nodeId(1) },
    effects: ["other-master-exists > 3"],
  },
  {
    name: "A12: an agreeing member follows the candidate as soon as it is listed",
    phase: "orphaned",
    from: 3,
    message: keepalive(6, 2, 3),
    effects: ["view member 2,3", "config-wanted", "member-keepalive > 3"].filter(
      (effect) => effect !== "config-wanted",
    ),
  },
  {
    name: "A9: a member that says goodbye departs at once",
    phase: "governing",
    from: 3,
    message: { type: "goodbye" },
    effects: [
      "member-departed 3 left",
      "departure-confirmed 3 left",
      "view master 2",
      "master-keepalive > all",
    ],
  },
];

for (const { name, phase, from, message, effects } of CASES) {
  test(name, () => {
    assert.deepEqual(PHASES[phase]().hears(from, message).map(shown), effects);
  });
}

test("A3: three unanswered requests, offers for 100 ms, then mastership", () => {
  const subject = new Subject();
  const sent = subject.run(2000).map(shown);
  assert.deepEqual(sent.slice(0, 11), [
    ...Array<string>(3).fill("join-request > all"),
    "view offering",
    ...Array<string>(4).fill("offer > all"),
    "became-master",
    "view master 2",
    "master-keepalive > all",
  ]);
  assert.equal(subject.machine.view.epoch, 5, "above what it has seen");
});

test("A3: whoever was just told of a master asks it, and does not compete with others that ask", () => {
  const subject = PHASES.offering();
  subject.hears(1, { ...CLAIM, nonce: OFFERED });
  assert.deepEqual(subject.run(0).map(shown), ["join-request > all"]);
  assert.deepEqual(subject.hears(3, OFFER).map(shown), []);
  subject.run(50);
  assert.deepEqual(subject.hears(3, OFFER).map(shown), ["view offering", "offer > all"]);
});

test("A12: the secondary offers when the master has been silent for the detection interval", () => {
  const subject = PHASES.following();
  const before = subject.run(199).map(shown);
  assert.ok(!before.includes("offer > all"));
  assert.equal(before.filter((effect) => effect === "probe > 1").length, 7);
  assert.deepEqual(subject.run(1).map(shown).slice(-1), ["offer > all"]);
  assert.equal(subject.machine.view.role, "member", "nothing to be seen outside");
});

const MISSES_1 = { ...OFFER, epoch: 5, silent: nodeId(1) } as const;

test("A12, A13: whoever has heard the master later than the candidate agrees when its own interval ends", () => {
  const subject = PHASES.following();
  subject.run(165);
  assert.deepEqual(subject.hears(3, MISSES_1).map(shown), []);
  assert.ok(!subject.run(34).map(shown).includes("offer-accepted > 3"));
  assert.deepEqual(subject.run(1).map(shown).slice(-1), ["offer-accepted > 3"]);
});

test("A12: but in time for a candidate that decides after 100 ms", () => {
  const subject = PHASES.following();
  subject.run(90);
  assert.deepEqual(subject.hears(3, MISSES_1).map(shown), ["other-master-exists > 3"]);
  subject.run(25);
  subject.hears(3, { ...MISSES_1, request: 2 });
  assert.ok(!subject.run(24).map(shown).includes("offer-accepted > 3"));
  assert.ok(subject.run(1).map(shown).includes("offer-accepted > 3"));
});

test("A12: and not at all when the master is heard meanwhile", () => {
  const subject = PHASES.following();
  subject.run(165);
  subject.hears(3, MISSES_1);
  subject.hears(1, { ...keepalive(5, 1, 2, 3), sequence: 2 } as Message);
  assert.ok(!subject.run(150).map(shown).includes("offer-accepted > 3"));
  assert.equal(subject.machine.view.master, 1);
});

test("A12, A13: a master whose port is closed keeps its whole interval, and departs as an agent that is down", () => {
  const subject = PHASES.following();
  const closed = { type: "port-unreachable", address: address(1) } as const;
  subject.run(120);
  assert.deepEqual(subject.machine.step(instant(subject.nowMs), closed), []);
  assert.ok(!subject.run(79).map(shown).includes("offer > all"));
  assert.deepEqual(subject.run(1).map(shown).slice(-1), ["offer > all"]);
  assert.ok(subject.run(200).map(shown).includes("member-departed 1 agent-down"));
});

test("A12: a closed port says nothing of a master that was just heard, nor once it is heard again", () => {
  const subject = PHASES.following();
  const closed = { type: "port-unreachable", address: address(1) } as const;
  subject.machine.step(instant(subject.nowMs), closed);
  subject.run(130);
  subject.machine.step(instant(subject.nowMs), closed);
  subject.hears(1, { ...keepalive(5, 1, 2, 3), sequence: 2 } as Message);
  assert.ok(subject.run(400).map(shown).includes("member-departed 1 silent"));
});

test("A9, A13: a member whose port is closed keeps its whole interval, and departs as an agent that is down", () => {
  const subject = PHASES.governing();
  const closed = { type: "port-unreachable", address: address(3) } as const;
  subject.hears(3, memberKeepalive());
  subject.run(120);
  assert.deepEqual(subject.machine.step(instant(subject.nowMs), closed), []);
  const before = subject.run(79).map(shown);
  assert.ok(!before.some((effect) => effect.startsWith("member-departed")), before.join());
  const told = subject.run(1).map(shown);
  assert.deepEqual(told.slice(-4), [
    "member-departed 3 agent-down",
    "departure-confirmed 3 agent-down",
    "view master 2",
    "master-keepalive > all",
  ]);
});

test("A9: the reason of a departure becomes final by a closed port, or by 500 ms of silence", () => {
  const silent = PHASES.governing();
  const effects = silent.run(1000).map(shown);
  assert.ok(effects.includes("member-departed 3 silent"));
  assert.ok(effects.includes("departure-confirmed 3 silent"));
  const late = PHASES.governing();
  assert.ok(late.run(300).map(shown).includes("member-departed 3 silent"));
  const closed = { type: "port-unreachable", address: address(3) } as const;
  const told = late.machine.step(instant(late.nowMs), closed).map(shown);
  assert.deepEqual(told, ["departure-confirmed 3 agent-down"]);
});

test("A2: replayed messages, other addresses and unknown senders are ignored by name", () => {
  const subject = PHASES.governing();
  const first = { counter: 900 };
  assert.notDeepEqual(subject.hears(1, MESSAGES.probe, first), []);
  assert.deepEqual(subject.hears(1, MESSAGES.probe, first).map(shown), ["ignored replayed"]);
  const moved = subject.hears(1, MESSAGES.probe, { from: address(4) });
  assert.deepEqual(moved.map(shown), ["ignored wrong-address"]);
  assert.deepEqual(subject.hears(9, MESSAGES.probe).map(shown), ["ignored unknown-sender"]);
  assert.deepEqual(subject.hears(SELF, MESSAGES.probe, { boot: BOOT }), [], "own echo");
});

test("A2: of two machines with one identity the earlier complains, and the later stays out", () => {
  const earlier = PHASES.governing();
  const later = { boot: BOOT + 1n };
  const complaint = earlier.hears(SELF, MESSAGES["join-request"], later);
  assert.deepEqual(complaint.map(shown), ["address-conflict", "join-refused > all"]);
  const subject = PHASES.joining();
  const refusal: Message = { type: "join-refused", nonce: NONCE, reason: "duplicate" };
  const [conflict] = subject.hears(SELF, refusal, { boot: BOOT - 1n });
  assert.deepEqual(conflict, {
    type: "address-conflict",
    address: address(SELF),
    stayingOut: true,
  });
});

test("A2: a restarted member waits until its former start is given up", () => {
  const subject = PHASES.governing();
  const request: Message = { type: "join-request", request: 1, epoch: 0, config, mac: macOf(3) };
  const again = { boot: 2n };
  assert.deepEqual(subject.hears(3, request, again).map(shown), ["join-wait > 3"]);
  subject.run(300);
  const effects = subject.hears(3, { ...request, request: 2 }, again);
  assert.deepEqual(effects.map(shown), ["join-accepted > 3"]);
});

test("A4: a member may have a new configuration before the master's machine has; but not for ever", () => {
  const subject = PHASES.governing();
  const report = (sequence: number, counter: number): string[] => {
    const ahead = { counter, digest: newConfig.digest };
    return subject
      .hears(3, { ...memberKeepalive(), sequence, config: ahead } as Message)
      .map(shown);
  };
  const longAfterTheRollOut = 30;
  for (let round = 0; round < longAfterTheRollOut; round++) {
    subject.hears(3, { ...memberKeepalive(), sequence: 2 + round } as Message);
    subject.run(100);
  }
  assert.deepEqual(report(40, newConfig.counter), []);
  const change = { config: newConfig, admitted, detection: DEFAULT_DETECTION };
  subject.machine.step(instant(subject.nowMs), { type: "config-changed", ...change });
  assert.deepEqual(report(41, newConfig.counter), [], "both have it now");

  for (let round = 0; round < longAfterTheRollOut; round++) {
    subject.run(100);
    if (report(50 + round, 9).includes("exit-request > 3")) return assert.ok(round >= 20);
  }
  return assert.fail("what this machine is never told of is not waited for any longer");
});

test("A5: a master above whose epoch somebody has been moves above it", () => {
  const subject = PHASES.governing();
  subject.hears(4, { type: "join-request", request: 1, epoch: 77, config, mac: macOf(4) });
  assert.equal(subject.machine.view.epoch, 78);
});

const asksToJoin = (request: number): Message => ({
  ...{ type: "join-request", request, epoch: 4, config },
  mac: macOf(1),
});

test("A5: a rival whose last word was lost has yielded when it asks to join: the VIPs are announced again, once", () => {
  const subject = PHASES.governing();
  const asks = (request: number): string[] => subject.hears(1, asksToJoin(request)).map(shown);
  assert.deepEqual(asks(1), ["join-accepted > 1"], "never a rival");
  assert.deepEqual(subject.hears(1, CLAIM).map(shown), ["other-master-exists > 1"]);
  assert.deepEqual(asks(2), ["announce-wanted", "join-accepted > 1"]);
  subject.run(100);
  assert.ok(!asks(3).includes("announce-wanted"), "once");
});

test("A5: a rival that was heard to yield is not announced after a second time", () => {
  const subject = PHASES.governing();
  const effects = subject.hears(1, { ...CLAIM, nonce: ASKED, members: 0 }).map(shown);
  assert.ok(effects.includes("announce-wanted"));
  subject.run(100);
  assert.ok(!subject.hears(1, asksToJoin(1)).map(shown).includes("announce-wanted"));
});

test("A5: a master that did not run announces after a rival only when it is sure that it is one", () => {
  const subject = PHASES.governing();
  subject.hears(1, CLAIM);
  subject.nowMs += 5000;
  subject.machine.step(instant(subject.nowMs), { type: "deadline-reached" });
  assert.ok(!subject.hears(1, asksToJoin(1)).map(shown).includes("announce-wanted"), "in doubt");
  subject.run(250);
  assert.ok(subject.hears(1, asksToJoin(2)).map(shown).includes("announce-wanted"));
});
