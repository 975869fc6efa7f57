// A16: a session over a real connection: what its replicas are told, what its client gets, and how connections end.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { descriptorOf } from "#driver/tcp/descriptor.ts";
import { readNumber } from "#driver/tcp/socket-options.ts";
import { FRESH, MAX_STATE_BYTES, type SessionStart } from "./session.ts";
import { read, Scene, text } from "./testing/scene.ts";

test("A16: copied output reaches the client when the replica holds it, and not before", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  let held = false;
  session.commit({ state: text("1"), output: text("answer"), held: () => (held = true) });
  session.write(text("!"));
  session.begin();
  // The client's own bytes go through the session meanwhile: nothing came back before.
  client.write("ping");
  await scene.toldOf("input");
  assert.deepEqual([client.readableLength, held], [0, false]);
  scene.acknowledge();
  assert.equal(await read(client, 7), "answer!");
  assert.ok(held);
});

test("A16: a state behind output that is made again is told when the client has acknowledged it", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  session.begin();
  session.write(text("line\n"));
  session.state = text("one line");
  assert.deepEqual(
    scene.told.map(({ type }) => type),
    ["opened"],
  );
  assert.equal(await read(client, 5), "line\n");
  const message = await scene.toldOf("snapshot");
  assert.ok(message.type === "snapshot");
  assert.deepEqual(message.snapshot, { inputOffset: 0, outputOffset: 5, bytes: text("one line") });
});

test("A16: backpressure: what waits for replicas or the client has a limit, and drain tells when there is room", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  session.begin();
  const output = Buffer.alloc(256 * 1024, "x");
  let sent = 0;
  while (session.commit({ state: text("s"), output })) sent += 1;
  assert.equal(sent, 3, "1 MiB");
  let drained = false;
  session.once("drain", () => (drained = true));
  scene.acknowledge();
  assert.ok(!drained, "the replicas keep it for the client");
  let read = 0;
  client.on("data", (bytes: Buffer) => (read += bytes.byteLength));
  await once(session, "drain");
  // its kernel may have taken what it reads only now
  if (read === 0) await once(client, "data");
  const progress = await scene.toldOf("progress");
  assert.ok(progress.type === "progress" && progress.outputOffset > 0, "so they keep it no more");
});

test("A16: an application that pauses gets nothing, whether the input is new or taken in again", async () => {
  const start = {
    ...{ ...FRESH, resumed: true, states: 1, state: text("s") },
    input: [{ bytes: text("old ") }, { bytes: text("older ") }],
  };
  const scene = await Scene.begin(start);
  const { session, client } = scene;
  let got = "";
  session.on("data", (bytes) => {
    got += Buffer.from(bytes).toString();
    if (got === "old ") session.pause();
  });
  client.write("new");
  session.begin();
  assert.equal(got, "old ");
  assert.equal(
    scene.told.some(({ type }) => type === "input"),
    false,
  );
  session.resume();
  await scene.toldOf("input");
  assert.equal(got, "old older new");
});

test("A16: half-close: the client's end comes first; replicas know of ours before the client, and keep all until it has all", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  session.on("data", () => {});
  session.begin();
  client.end("last");
  await once(session, "end");
  await scene.toldOf("input-ended");
  const output = Buffer.alloc(4 * 1024 * 1024, "x");
  session.write(output);
  session.end();
  assert.equal(scene.unguarded, false);
  scene.acknowledge();
  assert.ok(scene.unguarded);
  let closed = false;
  void scene.closed.then(() => (closed = true));
  let length = 0;
  client.on("data", (bytes: Buffer) => (length += bytes.byteLength));
  await once(client, "end");
  await scene.closed;
  assert.ok(closed);
  assert.equal(length, output.byteLength);
});

test("A16: what the kernel still has for a client that does not read keeps the replicas' copy alive", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  session.on("data", () => {});
  session.begin();
  client.end();
  await once(session, "end");
  // More than a client that does not read can take, and less than the kernel takes of us.
  session.write(Buffer.alloc(3 * 1024 * 1024, "x"));
  session.end();
  scene.acknowledge();
  let closed = false;
  void scene.closed.then(() => (closed = true));
  await Promise.race([once(session, "close"), new Promise((done) => setTimeout(done, 300))]);
  assert.equal(closed, false);
  client.resume();
  await scene.closed;
});

test("A16: our end comes first: the client may go on talking", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  let got = "";
  session.on("data", (bytes) => (got += Buffer.from(bytes).toString()));
  session.begin();
  session.end();
  scene.acknowledge();
  assert.equal(await read(client), "");
  const closes = once(session, "close");
  client.end("still here");
  await closes;
  await scene.closed;
  assert.equal(got, "still here");
});

test("A16: a reset by the client ends the session; who does not listen for errors is not brought down", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  session.begin();
  client.write("x");
  await scene.toldOf("input");
  const closes = new Promise((resolve) => session.once("close", resolve));
  client.resetAndDestroy();
  assert.equal(await closes, true, "after an error");
  await scene.closed;
  session.write(text("too late"));
});

test("A16: a client that is gone is asked after a minute of silence, ten times, each second", async () => {
  const { socket } = await Scene.begin(FRESH);
  const fd = descriptorOf(socket) ?? -1;
  const [idle, interval, probes] = [4, 5, 6].map((option) => readNumber(fd, option));
  assert.deepEqual({ idle, interval, probes }, { idle: 60, interval: 1, probes: 10 });
});

test("A16: destroy() resets, and nothing guards against it", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  session.begin();
  const failed = once(client, "error");
  session.destroy();
  const [error] = await failed;
  assert.equal((error as NodeJS.ErrnoException).code, "ECONNRESET");
  assert.ok(scene.unguarded);
  await scene.closed;
});

test("A16: after a takeover the client gets the copies that it lacks, then what is new; FINs that came before count", async () => {
  const start: SessionStart = {
    ...{ ...FRESH, resumed: true, states: 1, state: text("s"), outputOffset: 10, delivered: 6 },
    ...{ resend: [text("gh"), text("ij")], inputEnded: true },
  };
  const scene = await Scene.begin(start);
  const { session, client } = scene;
  let ended = false;
  session.on("end", () => (ended = true));
  session.begin();
  assert.ok(ended, "the client's FIN was seen by the member before");
  session.write(text("k"));
  const closes = once(session, "close");
  session.end();
  scene.acknowledge();
  assert.equal(await read(client), "ghijk");
  await closes;
  await scene.closed;
});

test("A16: an end that the client does not know of yet comes again by itself, once all before it is made", async () => {
  const start: SessionStart = {
    ...{ ...FRESH, resumed: true, states: 1, state: text("s"), outputOffset: 4, delivered: 2 },
    ...{ resend: [text("cd")], ended: true, endsAt: 4 },
  };
  const scene = await Scene.begin(start);
  assert.ok(scene.session.outputEnded);
  scene.session.begin();
  scene.session.committed(1, true);
  assert.equal(await read(scene.client), "cd");
  const early = await Scene.begin({ ...start, outputOffset: 2, resend: [] });
  early.session.begin();
  assert.ok(!early.session.outputEnded);
  early.session.write(text("cd"));
  early.session.end();
  early.session.committed(1, true);
  assert.equal(await read(early.client), "cd");
});

test("A16: a FIN that the client has is not sent again", async () => {
  const start = { ...FRESH, resumed: true, ended: true, finAcknowledged: true, states: 1 };
  const scene = await Scene.begin(start);
  const { session, client } = scene;
  session.begin();
  session.committed(1, true);
  session.end();
  const closes = once(session, "close");
  client.on("error", () => {}); // nobody is there any more to take its FIN
  client.end();
  await closes;
  await scene.closed;
});

test("A16: a connection beyond the limits of its log goes on without protection, and says so", async () => {
  const scene = await Scene.begin(FRESH);
  const { session, client } = scene;
  session.begin();
  client.write(Buffer.alloc(5 * 1024 * 1024));
  await scene.toldOf("closed");
  assert.equal(session.protected, false);
  session.commit({ state: text("s"), output: text("on") });
  assert.equal(await read(client, 2), "on");
});

test("A16: a state that is too long is refused with what to do; input that has not come cannot be left out", async () => {
  const { session } = await Scene.begin(FRESH);
  assert.throws(() => (session.state = new Uint8Array(MAX_STATE_BYTES + 1)), /at most 65536 bytes/);
  assert.throws(() => session.save(text("s"), { unread: 1 }), /have not come/);
});
