// A10: the client and the agent's side of the protocol, over a real socket.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { ApplicationServer, MAX_APPLICATIONS } from "#daemon/applications/server.ts";
import { HELLO_WITHIN_MS, type Session, type SessionEnd } from "#daemon/applications/session.ts";
import { Tally } from "#daemon/applications/tally.ts";
import {
  type Answer,
  type Event,
  MAX_LINE_TO_AGENT,
  type ToApplication,
} from "#wire/applications/message.ts";
import { joinIn } from "./client.ts";

const NODE = { id: 1, name: "m1", address: "10.77.0.11" };
const JOINED: Event = { type: "member-joined", sequence: 5, member: NODE };
const GREETING: ToApplication[] = [
  { type: "welcome", protocol: 1, agent: "0.1.0", cluster: "demo", node: NODE },
  { type: "snapshot", sequence: 4, role: "master", epoch: 2, members: [NODE], groups: [] },
];

/** Values that come one after the other, for whoever waits for them. */
class Stream<T> {
  readonly #values: T[] = [];
  #waiting: ((value: T) => void) | undefined;
  push = (value: T): void => {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#values.push(value);
    else waiting(value);
  };
  next(): Promise<T> {
    const value = this.#values.shift();
    if (value !== undefined) return Promise.resolve(value);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}

interface Bench {
  readonly socketPath: string;
  readonly server: ApplicationServer;
  readonly tally: Tally;
  readonly answers: Stream<Answer>;
  readonly gone: Stream<SessionEnd>;
  /** Resolves when applications have come or gone. */
  readonly changes: Stream<readonly Session[]>;
  restart(): Promise<void>;
}

async function bench(t: TestContext, maxQueuedBytes?: number): Promise<Bench> {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-apps-"));
  const socketPath = path.join(folder, "applications.sock");
  const [answers, gone, changes] = [
    new Stream<Answer>(),
    new Stream<SessionEnd>(),
    new Stream<readonly Session[]>(),
  ];
  const tally = new Tally();
  const make = (): ApplicationServer =>
    new ApplicationServer({
      tally,
      greeting: () => GREETING,
      answered: (_session, answer) => answers.push(answer),
      changed: () => changes.push(held.server.sessions),
      gone: (_session, why) => gone.push(why),
      failed: (error) => assert.fail(error),
      ...(maxQueuedBytes === undefined ? {} : { maxQueuedBytes }),
    });
  const held = { server: make() };
  await held.server.listen(socketPath);
  t.after(async () => {
    await held.server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    ...{ socketPath, tally, answers, gone, changes },
    get server() {
      return held.server;
    },
    restart: async () => {
      await held.server.close();
      held.server = make();
      await held.server.listen(socketPath);
    },
  };
}

/** An application without the client: what it is sent, line by line. */
function raw(t: TestContext, { socketPath }: Bench): { socket: Socket; lines: Stream<string> } {
  const socket = connect(socketPath);
  const lines = new Stream<string>();
  let held = "";
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    const parts = (held + text).split("\n");
    held = parts.pop() ?? "";
    parts.forEach(lines.push);
  });
  socket.on("error", () => {});
  socket.on("close", () => lines.push("closed"));
  t.after(() => socket.destroy());
  return { socket, lines };
}

test("A10: an application hears the snapshot, events and votes, and its answer arrives", async (t) => {
  const at = await bench(t);
  const heard = new Stream<string>();
  const application = joinIn({
    name: "ipsec",
    socketPath: at.socketPath,
    onSnapshot: ({ role, sequence }, { cluster }) => heard.push(`${cluster} ${role} ${sequence}`),
    onEvent: ({ type, sequence }) => heard.push(`${type} ${sequence}`),
    onJoinVote: async ({ node }) => ({ accept: false, reason: `no ${node.name}` }),
  });
  t.after(() => application.close());
  assert.equal(await heard.next(), "demo master 4");
  at.server.tell(JOINED);
  assert.equal(await heard.next(), "member-joined 5");
  const [session] = at.server.voters;
  assert.ok(session?.name === "ipsec");
  at.server.ask([session], { type: "join-vote", vote: 3, node: NODE, withinMs: 1000 });
  const refusal = { type: "answer", vote: 3, accept: false, reason: "no m1" };
  assert.deepEqual(await at.answers.next(), refusal);
});

test("A10: an application that does not vote is not asked, and a handler that throws is its own trouble", async (t) => {
  const at = await bench(t);
  const trouble = new Stream<string>();
  const events = new Stream<number>();
  const application = joinIn({
    name: "watcher",
    socketPath: at.socketPath,
    onEvent: ({ sequence }) => {
      events.push(sequence);
      throw new Error(`cannot bear ${sequence}`);
    },
    onTrouble: ({ message }) => trouble.push(message),
  });
  t.after(() => application.close());
  await at.changes.next();
  assert.deepEqual(at.server.voters, []);
  at.server.tell(JOINED);
  at.server.tell({ ...JOINED, sequence: 6 });
  assert.deepEqual([await events.next(), await events.next()], [5, 6]);
  assert.equal(await trouble.next(), "cannot bear 5");
});

test("A10: when the agent was away, the client is back by itself and gets a snapshot first", async (t) => {
  const at = await bench(t);
  const snapshots = new Stream<number>();
  const application = joinIn({
    name: "ipsec",
    socketPath: at.socketPath,
    onSnapshot: ({ sequence }) => snapshots.push(sequence),
  });
  t.after(() => application.close());
  assert.equal(await snapshots.next(), 4);
  await at.restart();
  assert.equal(await snapshots.next(), 4);
  assert.equal(at.tally.of("connected"), 2);
});

const HELLO = '{"type":"hello","protocol":1,"name":"raw","votes":true}\n';
const REJECTED: readonly (readonly [string, string, RegExp])[] = [
  ["malformed", "GET / HTTP/1.1\r\n", /JSON object/],
  ["malformed", "\u0000\ufffd\n", /JSON object/],
  ["malformed", '{"type":"answer","vote":1,"accept":true}\n', /first line is hello/],
  ["malformed", HELLO + HELLO, /once/],
  ["protocol", HELLO.replace("1", "2"), /version 1/],
  ["too-long", "x".repeat(MAX_LINE_TO_AGENT + 1), /4096 bytes/],
];
for (const [reason, text, message] of REJECTED) {
  test(`A10: ${JSON.stringify(text.slice(0, 20))} is rejected as ${reason}, with what to do, and counted`, async (t) => {
    const at = await bench(t);
    const { socket, lines } = raw(t, at);
    socket.write(text);
    let line = await lines.next();
    while (!line.includes('"rejected"')) line = await lines.next();
    const said = JSON.parse(line) as { reason: string; message: string };
    assert.equal(said.reason, reason);
    assert.match(said.message, message);
    assert.equal(await lines.next(), "closed");
    assert.equal(at.tally.of(`rejected-${reason}` as "rejected-malformed"), 1);
    assert.equal(at.server.sessions.length, 0);
  });
}

test("A10: silence after connecting ends the connection", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const at = await bench(t);
  const { lines } = raw(t, at);
  const said = lines.next();
  while (at.tally.of("rejected-no-hello") === 0) {
    await new Promise((resolve) => setImmediate(resolve)); // until the server has accepted
    t.mock.timers.tick(HELLO_WITHIN_MS);
  }
  assert.match(await said, /"no-hello"/);
  assert.equal(at.tally.of("rejected-no-hello"), 1);
});

test("A10: who does not read is disconnected, and the others hear on", async (t) => {
  const at = await bench(t, 64 * 1024);
  const slow = raw(t, at);
  slow.socket.pause();
  slow.socket.write(HELLO);
  await at.changes.next();
  const events = new Stream<number>();
  const application = joinIn({
    name: "quick",
    socketPath: at.socketPath,
    onEvent: ({ sequence }) => events.push(sequence),
  });
  t.after(() => application.close());
  await at.changes.next();
  let sequence = 5;
  const slots = "0,".repeat(4000);
  while (at.tally.of("slow") === 0) {
    at.server.tell({ type: "work-sets-lost", sequence, group: "web", slots, count: 1 });
    assert.equal(await events.next(), sequence);
    sequence += 1;
    assert.ok(sequence < 10_000, "the queue of the slow one has a bound");
  }
  assert.equal(await at.gone.next(), "slow");
  assert.deepEqual(
    at.server.sessions.map(({ name }) => name),
    ["quick"],
  );
});

test("A10: as many applications as are taken, and a clear word to one more", async (t) => {
  const at = await bench(t);
  const all = Array.from({ length: MAX_APPLICATIONS }, () => raw(t, at));
  for (const { socket, lines } of all) {
    socket.write(HELLO);
    assert.match(await lines.next(), /"welcome"/);
  }
  const more = raw(t, at);
  assert.match(await more.lines.next(), /"full".*32 applications/);
  all[0]?.socket.destroy();
  assert.equal(await at.gone.next(), "closed");
});
