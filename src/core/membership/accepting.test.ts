// A13: who may take frames that every member receives, and for how long (docs/adr/0008): on the machine, without sockets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId, type TableVersion } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import type { MasterKeepalive } from "#wire/cluster/message.ts";
import { acceptMs as acceptedFor } from "./context.ts";
import {
  keepalive,
  MESSAGES,
  newConfig,
  OFFER,
  PHASES,
  SELF,
  shown,
  type Subject,
} from "./testing/subject.ts";

/** As a member that has the tables of its master. */
function following(): Subject {
  const subject = PHASES.following();
  subject.machine.step(instant(subject.nowMs), { type: "tables-published", version: TABLES });
  return subject;
}

/** The master's next keepalive. */
const again = (sequence: number, ...ids: number[]): MasterKeepalive => ({
  ...(keepalive(5, ...ids) as MasterKeepalive),
  sequence,
});

const acceptMs = (subject: Subject): number => subject.machine.acceptMs(instant(subject.nowMs));
const TABLES: TableVersion = { epoch: 5, counter: 1, master: nodeId(1) };
/** Its keepalives come every 40 of 200 ms, and the packet program's clock may be 10 ms late. */
const MEMBER_MS = 150;
/** It speaks in the middle between two of them. */
const DUE_MS = 20;

test("A13: members and masters take frames for the detection interval less the keepalive interval and a tick of the clock", () => {
  for (const phase of ["joining", "admitted", "offering"] as const) {
    assert.equal(acceptMs(PHASES[phase]()), 0, phase);
  }
  assert.equal(acceptMs(following()), MEMBER_MS);
  const { machine, nowMs } = PHASES.governing();
  assert.equal(machine.acceptMs(instant(nowMs)), 190 - machine.view.keepaliveIntervalMs);
});

test("A13: the right leaves room for the slowest tick of a kernel's clock, and is left over by the shortest interval", () => {
  assert.equal(acceptedFor(200, 100), 90, "HZ = 100: the clock is up to 10 ms late");
  assert.equal(acceptedFor(40, 20), 10);
  assert.equal(acceptedFor(20, 10), 5);
});

test("A13: a member that has not yet said that it lives takes nothing on", () => {
  const subject = following();
  subject.nowMs += DUE_MS + 1;
  assert.equal(acceptMs(subject), 0, "its keepalive is due");
  subject.run(0);
  assert.equal(acceptMs(subject), MEMBER_MS);
});

test("A13, A12: a running member keeps the right from its master's death to the new master's first keepalive", () => {
  const agreeing = following();
  agreeing.run(150);
  agreeing.hears(3, { ...OFFER, epoch: 5, silent: nodeId(1), config: newConfig });
  assert.ok(agreeing.run(50).map(shown).includes("offer-accepted > 3"));
  assert.equal(agreeing.machine.view.role, "member");
  assert.equal(acceptMs(agreeing), MEMBER_MS);
  agreeing.hears(3, keepalive(6, 2, 3));
  assert.equal(acceptMs(agreeing), MEMBER_MS);
  const heir = following();
  heir.run(200);
  assert.equal(acceptMs(heir), MEMBER_MS);
  heir.run(200);
  assert.equal(heir.machine.view.role, "master");
  assert.ok(acceptMs(heir) > 0);
});

/** Under node 3, so that node 1 is the first heir. */
function orphanedSecond(): Subject {
  const subject = PHASES.joining();
  subject.hears(3, MESSAGES["join-accepted"]);
  subject.machine.step(instant(subject.nowMs), { type: "key-available" });
  subject.hears(3, keepalive(5, 1, 2, 3));
  const version = { ...TABLES, master: nodeId(3) };
  subject.machine.step(instant(subject.nowMs), { type: "tables-published", version });
  assert.equal(acceptMs(subject), MEMBER_MS);
  subject.run(200);
  return subject;
}

test("A13, A12: a member that no heir has asked takes nothing once the first may have decided without it", () => {
  const deaf = orphanedSecond();
  assert.equal(acceptMs(deaf), 50, "100 ms for objections, less a keepalive interval and a tick");
  deaf.run(45);
  assert.equal(acceptMs(deaf), 5);
  deaf.run(10);
  assert.equal(acceptMs(deaf), 0, "it offers itself by now");
  deaf.run(100);
  assert.equal(deaf.machine.view.role, "master");
  assert.ok(acceptMs(deaf) > 0);
  const asked = orphanedSecond();
  asked.hears(1, { ...OFFER, epoch: 5, silent: nodeId(3) });
  asked.run(60);
  assert.equal(acceptMs(asked), MEMBER_MS);
});

test("A13: a node that joins takes nothing before it has its master's tables", () => {
  const subject = PHASES.following();
  const publish = (version: TableVersion): void => {
    subject.machine.step(instant(subject.nowMs), { type: "tables-published", version });
  };
  assert.equal(acceptMs(subject), 0);
  publish({ ...TABLES, epoch: 9, master: nodeId(SELF) });
  assert.equal(acceptMs(subject), 0, "its own, of a part that has lost");
  subject.hears(1, { ...again(2, 1, 2, 3), tables: { ...TABLES, counter: 2 } });
  publish(TABLES);
  assert.equal(acceptMs(subject), 0, "older than those in force");
  publish({ ...TABLES, counter: 2 });
  assert.equal(acceptMs(subject), MEMBER_MS);
  subject.hears(1, { ...again(3, 1, 2, 3), tables: { ...TABLES, counter: 3 } });
  assert.equal(
    acceptMs(subject),
    MEMBER_MS,
    "who is a member only hears of changes a little later",
  );
});

test("A13: a member that its master does not list any more takes nothing from then on", () => {
  const subject = following();
  subject.hears(1, { ...keepalive(5, 1, 3), roster: 6, sequence: 2 } as ReturnType<
    typeof keepalive
  >);
  assert.equal(subject.machine.view.role, "member", "the exit request may still come");
  assert.equal(acceptMs(subject), 0);
});

test("A13, A12: a member of a master that has started anew, and is master again, takes nothing and asks to join", () => {
  const subject = following();
  subject.hears(1, again(1, 1, 2, 3), { boot: 2n });
  assert.equal(acceptMs(subject), 0);
  assert.ok(subject.run(10).map(shown).includes("join-request > all"));
});

test("A13: a member that was not listed for a while takes nothing before it has the tables that were made meanwhile", () => {
  const subject = following();
  const without = { ...(keepalive(5, 1, 3) as MasterKeepalive), roster: 6, sequence: 2 };
  subject.hears(1, without);
  const tables = { ...TABLES, counter: 2 };
  subject.hears(1, { ...again(3, 1, 2, 3), roster: 7, tables });
  assert.equal(acceptMs(subject), 0, "by its tables it owns what others have");
  subject.machine.step(instant(subject.nowMs), { type: "tables-published", version: tables });
  assert.equal(acceptMs(subject), MEMBER_MS);
});

test("A13: whoever is told to leave, or leaves, takes nothing from then on", () => {
  const told = following();
  const nonce = { boot: 100n, request: 1 };
  const { config } = told.machine.view;
  told.hears(1, { type: "exit-request", nonce, reason: "not-a-member", config });
  assert.equal(acceptMs(told), 0);
  const leaving = following();
  leaving.machine.step(instant(leaving.nowMs), { type: "leave" });
  assert.equal(acceptMs(leaving), 0);
});

test("A13, A12: a member that did not run for as long as its right lasts waits for word from its master", () => {
  const subject = following();
  const frozenAt = instant(subject.nowMs + 10);
  subject.nowMs += DUE_MS + MEMBER_MS;
  subject.hears(1, again(2, 1, 2, 3), {
    at: frozenAt,
  });
  subject.run(0);
  assert.equal(acceptMs(subject), 0, "what waited to be read may be from before it was replaced");
  subject.nowMs += 1;
  subject.hears(1, again(3, 1, 2, 3));
  assert.equal(acceptMs(subject), MEMBER_MS);
});

test("A13: a member that was late, but not so late, goes on", () => {
  const subject = following();
  subject.nowMs += DUE_MS + MEMBER_MS - 1;
  subject.run(0);
  assert.equal(acceptMs(subject), MEMBER_MS, "it cannot have been replaced yet");
});

test("A13, A18: a member that was frozen takes nothing either while it looks for a new master", () => {
  const subject = following();
  subject.nowMs += DUE_MS + MEMBER_MS;
  subject.run(0);
  subject.hears(3, { ...OFFER, epoch: 5, silent: nodeId(1) });
  assert.equal(acceptMs(subject), 0);
});

test("A13, A5: a master that did not run takes nothing until it is sure that it is one", () => {
  const subject = PHASES.governing();
  subject.nowMs += 5000;
  subject.run(0);
  assert.equal(acceptMs(subject), 0);
  subject.run(250);
  assert.ok(acceptMs(subject) > 0);
  assert.equal(subject.machine.view.master, SELF);
});
