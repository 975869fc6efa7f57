// A16: the relay's sockets: a client through a session to a backend, over TCP and Unix sockets, that answers, ends, hangs or is away.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { after, test } from "node:test";
import { FRESH } from "../session.ts";
import { read, Scene, text } from "../testing/scene.ts";
import { Conversation, type RelayRules } from "./conversation.ts";
import type { Trouble } from "./exchange.ts";

const folder = mkdtempSync(path.join(tmpdir(), "pan-relay-"));
after(() => rmSync(folder, { recursive: true }));

interface Relayed {
  readonly scene: Scene;
  readonly troubles: Trouble[];
}

/** A client of a relay before this backend, whose replica follows. */
async function relayed(rules: Partial<RelayRules> & Pick<RelayRules, "backend">): Promise<Relayed> {
  const scene = await Scene.begin(FRESH);
  scene.prompt = true;
  const troubles: Trouble[] = [];
  const conversation = new Conversation(scene.session, {
    ...{ framing: "line", maxFrame: 1000, maxInFlight: 4, maxInFlightBytes: 10_000 },
    ...{ onLoss: "replay", greeting: 0, connectTimeoutMs: 5000, answerTimeoutMs: 0 },
    ...{ idleTimeoutMs: 0, onTrouble: (trouble) => troubles.push(trouble) },
    ...rules,
  });
  assert.ok(conversation);
  scene.session.begin();
  return { scene, troubles };
}

/** A backend at a Unix socket or a port of loopback. */
async function backend(
  where: string | 0,
  serve: (socket: net.Socket) => void,
): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    after(() => socket.destroy());
    socket.on("error", () => {}); // the relay has dropped it
    serve(socket);
  });
  after(() => server.close());
  if (where === 0) server.listen(0, "127.0.0.1");
  else server.listen(where);
  await once(server, "listening");
  return server;
}

const echo = (socket: net.Socket): unknown => socket.pipe(socket);

test("A16: requests reach a backend at a Unix socket, however they are cut, and answers the client", async () => {
  const at = path.join(folder, "echo.sock");
  await backend(at, echo);
  const { scene } = await relayed({ backend: { path: at } });
  scene.client.write("he");
  await scene.toldOf("input");
  scene.client.write("llo\nwor");
  assert.equal(await read(scene.client, 6), "hello\n");
  scene.client.end("ld\n");
  assert.equal(await read(scene.client), "world\n");
  await scene.closed;
});

test("A16: a backend that comes late is waited for, and one that resets is asked again", async () => {
  const at = path.join(folder, "late.sock");
  const { scene } = await relayed({ backend: { path: at } });
  scene.client.write("early\n");
  await scene.toldOf("input");
  let connections = 0;
  await backend(at, (socket) => {
    connections += 1;
    if (connections > 1) return void echo(socket);
    socket.once("data", () => socket.destroy());
  });
  assert.equal(await read(scene.client, 6), "early\n");
  assert.equal(connections, 2);
});

test("A16: a backend that is not there, or does not answer, ends the connection with the reason", async () => {
  const away = await relayed({
    backend: { path: path.join(folder, "nobody.sock") },
    connectTimeoutMs: 150,
  });
  away.scene.client.write("x\n");
  assert.equal(await read(away.scene.client), "");
  assert.deepEqual(away.troubles, ["backend-unreachable"]);

  const mute = await backend(0, () => {});
  const { port } = mute.address() as net.AddressInfo;
  const { scene, troubles } = await relayed({
    ...{ backend: { host: "127.0.0.1", port }, answerTimeoutMs: 30, onLoss: "close" },
  });
  scene.client.write("x\n");
  assert.equal(await read(scene.client), "");
  assert.deepEqual(troubles, ["request-lost"]);
});

test("A16: close: the backend gets a request when the replica knows of it", async () => {
  const asked: string[] = [];
  const server = await backend(0, (socket) => {
    socket.on("data", (bytes) => asked.push(String(bytes)));
    echo(socket);
  });
  const { port } = server.address() as net.AddressInfo;
  const { scene } = await relayed({ backend: { host: "127.0.0.1", port }, onLoss: "close" });
  scene.prompt = false;
  const connected = once(server, "connection");
  scene.client.write("pay\n");
  await Promise.all([scene.toldOf("snapshot"), connected]);
  // Something else makes the way there and back meanwhile.
  const other = net.connect(port, "127.0.0.1");
  other.write("ping");
  await once(other, "data");
  other.destroy();
  assert.deepEqual(asked, ["ping"]);
  scene.prompt = true;
  scene.acknowledge();
  assert.equal(await read(scene.client, 4), "pay\n");
  assert.deepEqual(asked, ["ping", "pay\n"]);
});

test("A16: a client is not read while as many requests as allowed have no answer", async () => {
  let answer = (): void => {};
  const server = await backend(0, (socket) => {
    let asked = "";
    socket.on("data", (bytes) => (asked += String(bytes)));
    answer = () => void socket.write(asked);
  });
  const { port } = server.address() as net.AddressInfo;
  const { scene } = await relayed({ backend: { host: "127.0.0.1", port } });
  for (const number of [1, 2, 3, 4, 5]) {
    scene.client.write(`${number}\n`);
    while (scene.told.filter(({ type }) => type === "input").length < Math.min(number, 4)) {
      await scene.toldOf("input");
      await new Promise((done) => setTimeout(done, 5));
    }
  }
  await new Promise((done) => setTimeout(done, 50));
  const inputs = scene.told.filter(({ type }) => type === "input");
  assert.equal(
    Buffer.concat(inputs.map((each) => ("bytes" in each ? each.bytes : text("")))).toString(),
    "1\n2\n3\n4\n",
  );
  answer();
  assert.equal(await read(scene.client, 8), "1\n2\n3\n4\n");
  while (scene.told.filter(({ type }) => type === "input").length < 5) {
    await new Promise((done) => setTimeout(done, 5));
  }
});

test("A16: a client that does not read holds its backend up, and gets everything when it reads", async () => {
  const line = Buffer.alloc(1000, "x").fill("\n", 999);
  const total = 32_000;
  const server = await backend(0, (socket) => {
    Readable.from(
      Array.from({ length: total / 100 }, () => Buffer.concat(Array(100).fill(line))),
    ).pipe(socket);
  });
  const { port } = server.address() as net.AddressInfo;
  const { scene } = await relayed({ backend: { host: "127.0.0.1", port } });
  // Until nothing has moved for a while: the buffers between them are full.
  let [before, still] = [0, 0];
  while (still < 10) {
    await new Promise((done) => setTimeout(done, 20));
    still = before > 0 && before === scene.session.outputOffset ? still + 1 : 0;
    before = scene.session.outputOffset;
  }
  assert.ok(before < 16_000_000, `${before} bytes of 32 million are on their way`);
  let got = 0;
  scene.client.on("data", (bytes: Buffer) => (got += bytes.byteLength));
  await once(scene.client, "end");
  assert.equal(got, total * line.byteLength);
});
