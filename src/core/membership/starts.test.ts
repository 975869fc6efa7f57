// A2, A6: which start of a node is the member, and what another one, or the same one that was given up, has to do to be one.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JoinRequest, Message } from "#wire/cluster/message.ts";
import { config, macOf, memberKeepalive, PHASES, SELF, shown } from "./testing/subject.ts";

test("A2, A6: a recording of an earlier start of a member sends nobody away; a later start has to ask", () => {
  const subject = PHASES.governing();
  const heard = (boot: bigint): string[] =>
    subject.hears(3, memberKeepalive(), { boot }).map(shown);
  assert.deepEqual(heard(2n), ["exit-request > 3"]);
  subject.run(60);
  assert.deepEqual(heard(0n), ["ignored replayed"], "older than all that were heard");
  const restarted = PHASES.governing();
  restarted.run(300);
  const request: JoinRequest = {
    type: "join-request",
    request: 1,
    epoch: 0,
    config,
    mac: macOf(3),
  };
  restarted.hears(3, request, { boot: 2n });
  restarted.hears(3, memberKeepalive(), { boot: 2n });
  assert.deepEqual(
    restarted.machine.view.members.map(({ id }) => id),
    [SELF, 3],
  );
  const recorded = restarted.hears(3, memberKeepalive(), { boot: 1n });
  assert.deepEqual(recorded.map(shown), ["ignored unexpected"], "of the start before");
});

test("A6, A9: a member that asked once more and was given up since has to ask again", () => {
  const subject = PHASES.governing();
  const request: JoinRequest = {
    type: "join-request",
    request: 2,
    epoch: 0,
    config,
    mac: macOf(3),
  };
  assert.deepEqual(subject.hears(3, request).map(shown), ["join-accepted > 3"]);
  subject.run(300);
  assert.deepEqual(
    subject.machine.view.members.map(({ id }) => id),
    [SELF],
  );
  const late = subject.hears(3, { ...memberKeepalive(), sequence: 9 } as Message);
  assert.deepEqual(
    late.map(shown),
    ["exit-request > 3"],
    "it may not know that others have its slots",
  );
  subject.hears(3, { ...request, request: 3 });
  subject.hears(3, { ...memberKeepalive(), sequence: 10 } as Message);
  assert.deepEqual(
    subject.machine.view.members.map(({ id }) => id),
    [SELF, 3],
  );
});
