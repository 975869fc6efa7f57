// Following events over a real socket: what comes, what a slow client costs, how many may follow.
import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient, type Client, type Followed } from "./client.ts";
import type { NewEvent } from "./event-catalogue.ts";
import { MAX_FOLLOWERS } from "./event-stream.ts";
import { startApiServer } from "./server.ts";
import { fakeAgent } from "./testing/fake-agent.ts";
import type { FakeEvents } from "./testing/fake-events.ts";

const joined = (member: string): NewEvent => ({
  type: "member-joined",
  member,
  address: "10.0.0.1",
});
const role: NewEvent = { type: "role-changed", role: "member" };
const LIMIT_MS = 20_000;

async function until(what: string, holds: () => boolean): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!holds()) {
    assert.ok(performance.now() < limit, `waited too long until ${what}`);
    await pause(5);
  }
}

interface Scene {
  readonly events: FakeEvents;
  readonly client: Client;
  readonly socketPath: string;
}

async function scene(t: TestContext): Promise<Scene> {
  const folder = fs.mkdtempSync(path.join(tmpdir(), "pan-stream-"));
  const socketPath = path.join(folder, "agent.sock");
  const agent = fakeAgent();
  const server = await startApiServer({ socketPath, port: agent.port });
  t.after(async () => {
    await server.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });
  return { events: agent.events, client: createClient({ socketPath }), socketPath };
}

/** Follows until it is stopped; what came is in `got`. */
function follow(client: Client, query: Parameters<Client["follow"]>[0]) {
  const stop = new AbortController();
  const got: Followed[] = [];
  const done = (async () => {
    for await (const event of client.follow(query, stop.signal)) got.push(event);
  })();
  return { got, end: () => (stop.abort(), done), done };
}

const seqs = (got: readonly Followed[]): unknown[] =>
  got.map((event) => ("seq" in event ? event.seq : event));

test("events: a follower gets what it asked for, then what happens", async (t) => {
  const { events, client } = await scene(t);
  events.add(1, joined("a"), role, joined("b"));
  const all = follow(client, { after: "1" });
  const some = follow(client, { after: "0", types: "member-joined" });
  const now = follow(client, {});
  await until("three follow", () => events.status.followers === 3);
  events.add(2, role, joined("c"));
  await until(
    "they have it",
    () => all.got.length === 4 && some.got.length === 3 && now.got.length === 2,
  );
  assert.deepEqual(seqs(all.got), [2, 3, 4, 5]);
  assert.deepEqual(seqs(some.got), [1, 3, 5]);
  assert.deepEqual(seqs(now.got), [4, 5]);
  assert.deepEqual(now.got[1], { seq: 5, at: "1970-01-01T00:00:02.000Z", ...joined("c") });
  await Promise.all([all.end(), some.end(), now.end()]);
  await until("nobody follows", () => events.status.followers === 0);
});

test("events: a place beyond the end, as after a lost state folder, begins at the end", async (t) => {
  const { events, client } = await scene(t);
  events.add(1, role);
  const { got, end } = follow(client, { after: "999" });
  await until("it follows", () => events.status.followers === 1);
  events.add(2, joined("a"));
  await until("it has it", () => got.length === 1);
  assert.deepEqual(seqs(got), [2]);
  await end();
});

test("events: what was dropped before a follower came to it is told by its number", async (t) => {
  const { events, client } = await scene(t);
  for (let n = 0; n < 10; n++) events.add(n, joined(`m${n}`));
  events.drop(7);
  const { got, end } = follow(client, { after: "2" });
  await until("it has the rest", () => got.length === 4);
  assert.deepEqual(seqs(got), [{ missed: 5 }, 8, 9, 10]);
  await end();
});

/** A client that opens the stream and takes nothing. */
async function sleeper(socketPath: string): Promise<IncomingMessage> {
  const outgoing = request({ socketPath, path: "/v1/events/follow?after=0", agent: false });
  outgoing.on("error", () => {}); // the server's end cuts it off
  outgoing.end();
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  incoming.on("error", () => {});
  return incoming.pause();
}

test("events: a client that does not read is written to no further, and goes on where it was", async (t) => {
  const { events, socketPath } = await scene(t);
  const incoming = await sleeper(socketPath);
  let reads = 0;
  const read = events.read.bind(events);
  events.read = (question) => {
    reads += 1;
    return read(question);
  };
  const long = "x".repeat(10_000);
  const count = 2000; // 20 MB: more than the kernel takes for a client that sleeps
  for (let n = 0; n < count; n++) events.add(n, joined(`${n}-${long}`));
  await pause(200); // nothing to wait for: that nothing happens is the point
  const readsAsleep = reads;
  assert.ok(readsAsleep < count / 2, `${readsAsleep} reads for a client that sleeps`);
  let last = 0;
  let rest = "";
  incoming.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((text) => text !== "")) {
      const { seq } = JSON.parse(line) as { seq: number };
      assert.equal(seq, last + 1);
      last = seq;
    }
  });
  incoming.resume();
  await until("it has caught up", () => last === count);
  incoming.destroy();
});

test("events: so many may follow, one more is told to end one", async (t) => {
  const { events, client, socketPath } = await scene(t);
  const sleepers = await Promise.all(
    Array.from({ length: MAX_FOLLOWERS }, () => sleeper(socketPath)),
  );
  const refused = follow(client, {});
  await assert.rejects(refused.done, { code: "PAN_TOO_MANY_FOLLOWERS", message: /end one/ });
  sleepers[0]?.destroy();
  await until("one is gone", () => events.status.followers === MAX_FOLLOWERS - 1);
  const accepted = follow(client, {});
  await until("it follows", () => events.status.followers === MAX_FOLLOWERS);
  for (const each of sleepers) each.destroy();
  await accepted.end();
});

test("events: the list by its query, and what a query must not be", async (t) => {
  const { events, client } = await scene(t);
  events.add(1, joined("a"), role);
  events.add(3, joined("b"), joined("c"));
  events.drop(1);
  const list = async (query: object) => {
    const { events: found, ...rest } = await client.events({ query });
    return { ...rest, seqs: found.map(({ seq }) => seq) };
  };
  const all = { last: 4, more: false, dropped: 1 };
  assert.deepEqual(await list({}), { ...all, seqs: [2, 3, 4] });
  assert.deepEqual(await list({ limit: "2" }), { ...all, more: true, seqs: [2, 3] });
  assert.deepEqual(await list({ limit: "2", newest: "true" }), {
    ...all,
    more: true,
    seqs: [3, 4],
  });
  assert.deepEqual(await list({ after: "3", types: "role-changed,member-joined" }), {
    ...all,
    seqs: [4],
  });
  assert.deepEqual(await list({ since: "1970-01-01T00:00:02Z" }), { ...all, seqs: [3, 4] });
  for (const [query, message] of [
    [{ types: "nonsense" }, /no event type "nonsense"; there are agent-started, /],
    [{ since: "yesterday" }, /date-time/],
    [{ after: "-1" }, /pattern/],
    [{ limit: "0" }, /pattern/],
    [{ surprise: "1" }, /additional properties/],
  ] as const) {
    await assert.rejects(client.events({ query: query as object }), {
      code: "PAN_REQUEST_INVALID",
      message,
    });
  }
});
