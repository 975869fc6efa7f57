// A10: from what membership says to what applications hear and answer, and back.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type ApplicationOptions, joinIn } from "#apps/client.ts";
import { ip, mac } from "#base/address.ts";
import { NO_NODE, NO_TABLES, nodeId } from "#base/ids.ts";
import { requireConfig } from "#config/load.ts";
import type { Effect } from "#core/membership/protocol.ts";
import type { Role, View } from "#core/membership/types.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { desired, version } from "#core/steering/testing/desired.ts";
import type { HeartCommand } from "../heart-protocol.ts";
import { Trouble } from "../trouble.ts";
import { Applications } from "./applications.ts";
import { Poll } from "./poll.ts";

/** Between two looks at what has no event of its own. */
const POLL_MS = 5;
const configOf = (unanswered: string) =>
  requireConfig(
    `cluster: { name: small, interface: eth0 }
applications: { voteMs: 900, unanswered: ${unanswered} }
nodes: [{ name: a, id: 1, address: 10.0.0.1 }, { name: b, id: 2, address: 10.0.0.2 }]
groups: [{ name: web, slots: 4, services: ["tcp 10.0.0.100:80"] }]
`,
    "test",
  );
const view = (role: Role, ...ids: number[]): View => ({
  ...{ role, epoch: 1, master: ids.length === 0 ? NO_NODE : nodeId(1), secondary: NO_NODE },
  members: ids.map((id) => ({
    ...{ id: nodeId(id), address: ip(`10.0.0.${id}`), mac: mac(`02:00:00:00:00:0${id}`) },
  })),
  ...{ keepaliveIntervalMs: 100, config: { counter: 1, digest: "00" }, tables: NO_TABLES },
});
const wanted = (ballot: number): Extract<Effect, { type: "vote-wanted" }> => ({
  ...{ type: "vote-wanted", ballot, id: nodeId(2), address: ip("10.0.0.2"), withinMs: 900 },
});

interface Bench {
  readonly applications: Applications;
  readonly folder: string;
  /** The next command to the heart. */
  command(): Promise<HeartCommand>;
  readonly connect: (options: Omit<ApplicationOptions, "socketPath">) => () => void;
}

async function bench(t: TestContext, unanswered = "accept"): Promise<Bench> {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-apps-"));
  const commands: HeartCommand[] = [];
  let wake = (): void => {};
  const config = configOf(unanswered);
  const [self] = config.nodes;
  assert.ok(self);
  const silent = { info: () => {}, warn: () => {} };
  const applications = new Applications({
    self,
    config: () => config,
    socketPath: path.join(folder, "run", "applications.sock"),
    hooksFolder: path.join(folder, "hooks.d"),
    log: silent,
    trouble: new Trouble({ error: (...words: unknown[]) => assert.fail(JSON.stringify(words)) }),
    heart: (command) => {
      commands.push(command);
      wake();
    },
  });
  await applications.listen();
  t.after(async () => {
    await applications.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    applications,
    folder,
    command: async () => {
      for (;;) {
        const command = commands.shift();
        if (command !== undefined) return command;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    connect: (options) => {
      const socketPath = path.join(folder, "run", "applications.sock");
      const application = joinIn({ ...options, socketPath });
      t.after(() => application.close());
      return () => application.close();
    },
  };
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const RULE = { withinMs: 900, unanswered: "accept" } as const;
const VOTERS = { type: "voters-changed", rule: RULE };

test("A10: membership and tables become events, numbered, with names", async (t) => {
  const { applications, connect } = await bench(t);
  const heard: unknown[] = [];
  applications.viewChanged(view("master", 1));
  await new Promise<void>((resolve) => {
    connect({
      name: "watcher",
      onSnapshot: (snapshot) => {
        heard.push(snapshot);
        applications.viewChanged(view("master", 1, 2));
        const both = nextTables(undefined, desired(4, [{ id: 1 }, { id: 2 }]), version(1));
        applications.tablesInForce(both);
        applications.departing(nodeId(2), "agent-down");
        applications.viewChanged(view("master", 1));
        const one = [{ id: 1 }, { id: 2, serves: false }];
        applications.tablesInForce(nextTables(both, desired(4, one), version(2)));
      },
      onEvent: (event) => {
        heard.push(event);
        if (event.sequence === 6) resolve();
      },
    });
  });
  const b = { id: 2, name: "b", address: "10.0.0.2" };
  const [snapshot, joined, gained, left, more] = heard;
  const a = { id: 1, name: "a", address: "10.0.0.1" };
  assert.deepEqual(snapshot, {
    ...{ type: "snapshot", sequence: 2, role: "master", epoch: 1, master: "a" },
    ...{ members: [a], groups: [] },
  });
  assert.deepEqual(joined, { type: "member-joined", member: b, sequence: 3 });
  assert.partialDeepStrictEqual(gained, { type: "work-sets-gained", group: "web", count: 2 });
  assert.deepEqual(left, { type: "member-left", member: b, reason: "agent-down", sequence: 5 });
  assert.partialDeepStrictEqual(more, { type: "work-sets-gained", count: 2, from: "b" });
});

test("A10: all voters agree, or one refuses; the heart knows whether there are any", async (t) => {
  const at = await bench(t);
  at.applications.refreshVoters();
  const opinions = new Map([
    ["one", true],
    ["two", true],
  ]);
  const leave = [...opinions.keys()].map((name) =>
    at.connect({
      name,
      onJoinVote: ({ node }) =>
        opinions.get(name) === true
          ? { accept: true }
          : { accept: false, reason: `not ${node.name}` },
    }),
  );
  assert.deepEqual(await at.command(), VOTERS);
  while (at.applications.status().applications.length < 2) await pause(POLL_MS);
  at.applications.ask(wanted(1));
  assert.deepEqual(await at.command(), {
    ...{ type: "join-voted", ballot: 1, verdict: { accepted: true } },
  });
  opinions.set("two", false);
  at.applications.ask(wanted(2));
  assert.deepEqual(await at.command(), {
    ...{ type: "join-voted", ballot: 2, verdict: { accepted: false, text: "two: not b" } },
  });
  for (const end of leave) end();
  assert.deepEqual(await at.command(), { type: "voters-changed", rule: undefined });
  at.applications.ask(wanted(3)); // asked just before the heart heard that they are gone
  assert.deepEqual(await at.command(), {
    ...{ type: "join-voted", ballot: 3, verdict: { accepted: true } },
  });
});

for (const unanswered of ["accept", "refuse"] as const) {
  test(`A10: an application that dies in the middle of a vote leaves it to the rule: ${unanswered}`, async (t) => {
    const at = await bench(t, unanswered);
    const asked = deferred<void>();
    const end = at.connect({
      name: "dies",
      onJoinVote: () => {
        asked.resolve();
        return new Promise(() => {});
      },
    });
    assert.deepEqual(await at.command(), {
      type: "voters-changed",
      rule: { withinMs: 900, unanswered },
    });
    at.applications.ask(wanted(1));
    await asked.promise;
    end();
    const text = "dies: it ended without an answer";
    const verdict = unanswered === "accept" ? { accepted: true } : { accepted: false, text };
    assert.deepEqual(await at.command(), { type: "join-voted", ballot: 1, verdict });
    const { counts } = at.applications.status();
    assert.ok(counts.some(({ reason }) => reason === "voters-gone"));
  });
}

test("A10: an answer after the vote is over is counted, and decides nothing", async (t) => {
  const at = await bench(t);
  const asked = deferred<void>();
  const answer = deferred<{ accept: true }>();
  at.connect({
    name: "late",
    onJoinVote: () => {
      asked.resolve();
      return answer.promise;
    },
  });
  assert.deepEqual(await at.command(), VOTERS);
  at.applications.ask(wanted(1));
  await asked.promise;
  at.applications.tooLate(1);
  answer.resolve({ accept: true });
  const counted = (): number | undefined =>
    at.applications.status().counts.find(({ reason }) => reason === "answers-late")?.count;
  while (counted() === undefined) await pause(POLL_MS);
  assert.equal(counted(), 1);
  at.applications.ask(wanted(2));
  assert.deepEqual(await at.command(), {
    ...{ type: "join-voted", ballot: 2, verdict: { accepted: true } },
  });
});

test("A10: scripts and programs vote together; a node that is no master any more forgets its votes", async (t) => {
  const at = await bench(t);
  mkdirSync(path.join(at.folder, "hooks.d"), { mode: 0o755 });
  const file = path.join(at.folder, "hooks.d", "10-check.vote");
  writeFileSync(file, '#!/bin/sh\n[ "$PANOPLY_MEMBER" = b ] && echo "b has no key" && exit 1\n');
  chmodSync(file, 0o755);
  at.applications.refreshVoters();
  assert.deepEqual(await at.command(), VOTERS);
  at.connect({ name: "agrees", onJoinVote: () => ({ accept: true }) });
  while (at.applications.status().applications.length < 1) await pause(POLL_MS);
  at.applications.ask(wanted(1));
  assert.deepEqual(await at.command(), {
    type: "join-voted",
    ballot: 1,
    verdict: { accepted: false, text: "hooks: b has no key" },
  });
  at.applications.ask(wanted(2));
  at.applications.viewChanged(view("joining"));
  rmSync(file);
  at.applications.ask(wanted(3));
  assert.deepEqual(await at.command(), {
    ...{ type: "join-voted", ballot: 3, verdict: { accepted: true } },
  });
});

test("A10: a poll asks each voter once, and one refusal ends it", () => {
  const [a, b] = [{ name: "a" }, { name: "b" }];
  const poll = new Poll([a, b], "accept");
  assert.equal(poll.verdict, undefined);
  assert.equal(poll.answered(a, undefined), true);
  assert.equal(poll.answered(a, "changed my mind"), false);
  assert.deepEqual(poll.missing, ["b"]);
  assert.equal(poll.answered(b, ""), true);
  assert.deepEqual(poll.verdict, { accepted: false, text: "b: refused without a reason" });
  assert.equal(poll.gone(a), false);
  assert.deepEqual(new Poll([], "refuse").verdict, { accepted: true });
});

test("A16: what a server of sessions reports is shown while it is connected", async (t) => {
  const at = await bench(t);
  const figures = {
    ...{ served: 3, withoutReplica: 1, beyondLimit: 0, untold: 0, held: 2, replicas: 1, others: 2 },
    ...{ waitingBytes: 0, lagMs: 1.5, takenOver: 4, lost: 0, abandoned: 0, pauseMedianMs: 3 },
  };
  const socketPath = path.join(at.folder, "run", "applications.sock");
  const known = deferred<void>();
  const application = joinIn({ name: "relay", socketPath, onSnapshot: () => known.resolve() });
  t.after(() => application.close());
  assert.equal(application.report(figures), false, "not connected yet");
  await known.promise;
  assert.deepEqual(at.applications.sessions(), []);
  assert.equal(application.report(figures), true);
  while (at.applications.sessions().length === 0) await pause(POLL_MS);
  const [{ reportedMs, ...shown } = { reportedMs: -1 }] = at.applications.sessions();
  assert.deepEqual(shown, { application: "relay", ...figures });
  assert.ok(reportedMs >= 0);
  application.close();
  while (at.applications.sessions().length > 0) await pause(POLL_MS);
});
