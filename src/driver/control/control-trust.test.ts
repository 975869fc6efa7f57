// The control channel and everybody who must not use it, or does not keep to its rules (A2).
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { nodeId } from "#base/ids.ts";
import { encodeControl } from "#wire/control/frame.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import type { ControlServerOptions } from "./server.ts";
import {
  connectClient,
  LOOPBACK,
  startServer,
  until,
  type ServerRecord,
} from "./testing/recorder.ts";
import {
  longAgo,
  testCluster,
  type TestCluster,
  type TestIdentity,
} from "./testing/test-cluster.ts";

interface Scene extends ServerRecord {
  readonly cluster: TestCluster;
}

async function scene(t: TestContext, options: Partial<ControlServerOptions> = {}): Promise<Scene> {
  const cluster = await testCluster(t);
  const record = await startServer(t, { ...options, identity: await cluster.issue(1) });
  return { ...record, cluster };
}

const dial = (
  identity: TestIdentity,
): { identity: TestIdentity; expectedNode: ReturnType<typeof nodeId> } => ({
  identity,
  expectedNode: nodeId(1),
});

/** A member that has lost its manners: authenticated, but in charge of its own bytes. */
async function rawMember(t: TestContext, port: number, identity: TestIdentity): Promise<TLSSocket> {
  const socket = connectTls({
    host: LOOPBACK,
    port,
    cert: identity.certificatePem,
    key: identity.privateKeyPem,
    ca: identity.caPem,
    checkServerIdentity: () => undefined,
  });
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  return socket;
}

/** However it ends: with an error or without. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => void socket.on("error", () => undefined).on("close", () => resolve()));

test("A2: a node of another cluster is refused, and refuses", async (t) => {
  const { server, log, cluster } = await scene(t);
  const foreign = await (await testCluster(t, "other")).issue(2);
  await assert.rejects(connectClient(t, server.port, dial(foreign)), {
    reason: "untrusted-server",
  });
  // The same node, willing to talk to any server.
  const willing = { ...foreign, caPem: (await cluster.issue(2)).caPem };
  await assert.rejects(connectClient(t, server.port, dial(willing)), { reason: "refused" });
  await until("both are counted", () => log.length === 2);
  assert.equal(server.counters.get("refused-foreign-ca"), 1);
  assert.ok(log.includes("refused foreign-ca 127.0.0.1"));
  assert.equal(server.peers.length, 0);
});

test("A2: an expired certificate is refused, on either side", async (t) => {
  const { server, log, cluster } = await scene(t);
  const expired = await cluster.issue(2, longAgo());
  await assert.rejects(connectClient(t, server.port, dial(expired)), { reason: "refused" });
  await until("it is counted", () => log.length === 1);
  assert.deepEqual(log, ["refused expired 127.0.0.1"]);
  const stale = await startServer(t, { identity: await cluster.issue(1, longAgo()) });
  const member = dial(await cluster.issue(2));
  await assert.rejects(connectClient(t, stale.server.port, member), { reason: "untrusted-server" });
});

test("A2: a revoked certificate is refused, on either side", async (t) => {
  const revoked = new Set<string>();
  const { server, log, cluster } = await scene(t, { revoked: () => revoked });
  const identity = await cluster.issue(2);
  revoked.add(identity.serial);
  await assert.rejects(connectClient(t, server.port, dial(identity)), { reason: "refused" });
  assert.deepEqual(log, ["refused revoked 127.0.0.1"]);
  const own = await cluster.issue(1);
  const other = await startServer(t, { identity: own });
  const member = { ...dial(await cluster.issue(3)), revoked: () => new Set([own.serial]) };
  await assert.rejects(connectClient(t, other.server.port, member), { reason: "untrusted-server" });
});

test("A2: a certificate revoked later ends the connection", async (t) => {
  const revoked = new Set<string>();
  const limits = { pingEveryMs: 20 };
  const { server, log, cluster } = await scene(t, { revoked: () => revoked, limits });
  const identity = await cluster.issue(2);
  const member = await connectClient(t, server.port, dial(identity));
  const other = await connectClient(t, server.port, dial(await cluster.issue(3)));
  revoked.add(identity.serial);
  await until("the member is cut off", () => member.log.length === 1);
  assert.ok(log.includes("close 2 no-longer-trusted"));
  assert.equal(other.client.closed, false);
});

test("A2: a node that the configuration does not name is refused, with the reason counted", async (t) => {
  const asked: string[] = [];
  const { server, log, cluster } = await scene(t, {
    refusal: ({ id, name, address }, remote) => {
      asked.push(`${id} ${name} ${address} from ${remote}`);
      return id === 2 ? "not-admitted" : "wrong-address";
    },
  });
  for (const id of [2, 3]) {
    const member = dial(await cluster.issue(id));
    await assert.rejects(connectClient(t, server.port, member), { reason: "refused" });
  }
  assert.deepEqual(asked, ["2 n2 10.9.0.2 from 127.0.0.1", "3 n3 10.9.0.3 from 127.0.0.1"]);
  assert.deepEqual(log, ["refused not-admitted 127.0.0.1", "refused wrong-address 127.0.0.1"]);
  assert.equal(server.counters.get("refused-not-admitted"), 1);
  assert.equal(server.peers.length, 0);
});

test("A2: a node that is taken out of the configuration is cut off", async (t) => {
  const removed = new Set<number>();
  const limits = { pingEveryMs: 20 };
  const { log, cluster, server } = await scene(t, {
    refusal: ({ id }) => (removed.has(id) ? "not-admitted" : undefined),
    limits,
  });
  const member = await connectClient(t, server.port, dial(await cluster.issue(2)));
  const other = await connectClient(t, server.port, dial(await cluster.issue(3)));
  removed.add(2);
  await until("it is cut off", () => member.log.length === 1);
  assert.ok(log.includes("close 2 no-longer-trusted"));
  assert.equal(other.client.closed, false);
});

test("A2: another node of the cluster is not the one that was meant", async (t) => {
  const cluster = await testCluster(t);
  const { server } = await startServer(t, { identity: await cluster.issue(3) });
  const member = dial(await cluster.issue(2));
  await assert.rejects(connectClient(t, server.port, member), { reason: "wrong-node" });
});

test("A2: a client without a certificate is refused", async (t) => {
  const { server, log, cluster } = await scene(t);
  const { caPem } = await cluster.issue(2);
  const socket = connectTls({
    host: LOOPBACK,
    port: server.port,
    ca: caPem,
    checkServerIdentity: () => undefined,
  });
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  await closed(socket);
  await until("it is counted", () => log.length === 1);
  assert.deepEqual(log, ["refused no-certificate 127.0.0.1"]);
});

test("A2: only TLS 1.3 is spoken", async (t) => {
  const { server, log, cluster } = await scene(t);
  const identity = await cluster.issue(2);
  const socket = connectTls({
    host: LOOPBACK,
    port: server.port,
    cert: identity.certificatePem,
    key: identity.privateKeyPem,
    ca: identity.caPem,
    maxVersion: "TLSv1.2",
    checkServerIdentity: () => undefined,
  });
  t.after(() => socket.destroy());
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
  assert.match(error.code ?? "", /PROTOCOL_VERSION/);
  await until("it is counted", () => log.length === 1);
  assert.deepEqual(log, ["refused not-tls 127.0.0.1"]);
});

function plainClient(t: TestContext, port: number, text: string): Socket {
  const socket = connectTcp({ host: LOOPBACK, port });
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  socket.write(text);
  return socket;
}

test("A2: plain text and garbage are refused and counted", async (t) => {
  const { server, log } = await scene(t);
  for (const text of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u0000\u0001garbage".repeat(100)]) {
    const socket = plainClient(t, server.port, text);
    socket.resume();
    await closed(socket);
  }
  await until("both are counted", () => log.length === 2);
  assert.deepEqual(log, ["refused not-tls 127.0.0.1", "refused not-tls 127.0.0.1"]);
});

test("a connection that says nothing is closed, and only so many may wait", async (t) => {
  const { server, log } = await scene(t, { limits: { handshakeMs: 300, handshakesPerAddress: 2 } });
  const silent = Array.from({ length: 3 }, () => plainClient(t, server.port, ""));
  silent.forEach((socket) => socket.resume());
  await Promise.all(silent.map(closed));
  await until("all are counted", () => log.length === 3);
  assert.deepEqual(log, [
    "refused over-limit 127.0.0.1",
    "refused handshake-timeout 127.0.0.1",
    "refused handshake-timeout 127.0.0.1",
  ]);
});

test("connections are limited; a slot that is free again can be used", async (t) => {
  const { server, log, cluster } = await scene(t, { limits: { connections: 1 } });
  const first = await connectClient(t, server.port, dial(await cluster.issue(2)));
  const other = dial(await cluster.issue(3));
  await assert.rejects(connectClient(t, server.port, other), { reason: "refused" });
  first.client.close();
  await until("the first is gone", () => server.peers.length === 0);
  await connectClient(t, server.port, other);
  assert.equal(server.counters.get("refused-over-limit"), 1);
  assert.equal(log.at(-1), "open 3");
});

test("a member that breaks the protocol is cut off, and the breach is named", async (t) => {
  const { server, log, cluster } = await scene(t);
  const identity = await cluster.issue(2);
  const hello: ControlMessage = {
    type: "hello",
    node: nodeId(7),
    bootId: "1",
    config: { counter: 0, digest: "" },
    tables: { epoch: 0, counter: 0, master: nodeId(0) },
  };
  const breaches: [string, Uint8Array][] = [
    ["oversize", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["oversize", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 5)],
    ["unsupported-version", Uint8Array.of(0, 0, 0, 6, 9, 10)],
    ["unsupported-type", Uint8Array.of(0, 0, 0, 6, 1, 77)],
    ["malformed", Uint8Array.of(0, 0, 0, 2, 1, 1)],
    ["wrong-node", encodeControl(hello) ?? assert.fail()],
  ];
  for (const [reason, bytes] of breaches) {
    const socket = await rawMember(t, server.port, identity);
    socket.resume();
    socket.write(bytes);
    await closed(socket);
    await until(reason, () => log.at(-1) === `close 2 ${reason}`);
  }
  await connectClient(t, server.port, dial(identity));
});

test("B9: a slow reader gets only the newest tables, and then everything else in order", async (t) => {
  const { server, cluster } = await scene(t);
  const socket = await rawMember(t, server.port, await cluster.issue(2));
  await until("it is open", () => server.peers.length === 1);
  const peer = server.peers[0] ?? assert.fail();
  const tables = (mark: number): ControlMessage => ({
    type: "tables",
    bytes: new Uint8Array(4_000_000).fill(mark),
  });
  // Until the kernel's buffers are full, messages are on their way and cannot be taken back.
  const outcomes = [];
  for (let mark = 1; mark <= 40; mark++) outcomes.push(peer.send(tables(mark)));
  outcomes.push(peer.send({ type: "config-ack", version: { counter: 5, digest: "" } }));
  assert.equal(outcomes.at(-1), "queued");
  assert.equal(outcomes.at(-2), "replaced");
  const marks: number[] = [];
  const total = { bytes: 0 };
  socket.on("data", (chunk: Buffer) => {
    total.bytes += chunk.length;
    marks.push(chunk[chunk.length - 1] ?? 0);
  });
  await until(
    "the last tables and what follows",
    () => marks.includes(40) && marks.at(-1) === 0x7d,
  );
  const delivered = outcomes.filter((outcome) => outcome === "sent").length + 1;
  assert.ok(delivered < 10, `${delivered} tables were delivered`);
  assert.ok(total.bytes < (delivered + 1) * 4_000_000);
});

test("a member that reads nothing is cut off when too much waits, or too long", async (t) => {
  const limits = { pingEveryMs: 50, stalledTicks: 3, silentTicks: 1000, queuedBytes: 8_000_000 };
  const { server, log, cluster } = await scene(t, { limits });
  const flood = (bytes: number): string[] => {
    const outcomes: string[] = [];
    const body = "x".repeat(bytes);
    for (let id = 0; id < 40 && outcomes.at(-1) !== "closed"; id++) {
      outcomes.push(server.peers[0]?.send({ type: "response", id, status: 200, body }) ?? "gone");
    }
    return outcomes;
  };
  const deaf = await rawMember(t, server.port, await cluster.issue(2));
  await until("it is open", () => log.length === 1);
  assert.equal(flood(4_000_000).at(-1), "closed");
  assert.deepEqual(log, ["open 2", "close 2 slow-reader"]);
  deaf.destroy();

  const staller = await rawMember(t, server.port, await cluster.issue(3));
  await until("it is open", () => log.length === 3);
  server.peers[0]?.send({ type: "tables", bytes: new Uint8Array(16_000_000) });
  await until("it is cut off", () => log.length === 4);
  assert.equal(log[3], "close 3 slow-reader");
  staller.destroy();
});

test("a silent peer is noticed on either side, an idle one that answers pings stays", async (t) => {
  const limits = { pingEveryMs: 25, silentTicks: 3 };
  const { server, log, cluster } = await scene(t, { limits });
  const alive = await connectClient(t, server.port, { ...dial(await cluster.issue(3)), limits });
  const mute = await rawMember(t, server.port, await cluster.issue(2));
  mute.resume(); // reads, but never answers
  await until("the mute one is cut off", () => log.includes("close 2 idle"));
  assert.equal(alive.client.closed, false);
  // A master that froze: its kernel still accepts, and nobody answers.
  const frozen = createServer().listen(0, LOOPBACK);
  t.after(() => frozen.close());
  await once(frozen, "listening");
  const address = frozen.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const member = { ...dial(await cluster.issue(4)), connectMs: 200 };
  await assert.rejects(connectClient(t, port, member), { reason: "timeout" });
});
