// The control channel between honest nodes: what is said arrives, requests are answered, connections replace each other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import { ControlClient } from "./client.ts";
import { ControlError } from "./control-error.ts";
import { ControlServer } from "./server.ts";
import { connectClient, LOOPBACK, startServer, until } from "./testing/recorder.ts";
import { testCluster } from "./testing/test-cluster.ts";

const TABLE = { epoch: 1, counter: 2, master: nodeId(1) };
const HELLO: ControlMessage = {
  type: "hello",
  node: nodeId(2),
  bootId: "0a",
  config: { counter: 1, digest: "0011223344556677" },
  tables: TABLE,
};

test("A2, A4, B9: key, configuration and tables reach the member; its acknowledgements reach the master", async (t) => {
  const cluster = await testCluster(t);
  const handedOut: ControlMessage[] = [
    { type: "group-key", keyId: 1, key: new Uint8Array(32).fill(7) },
    { type: "config", version: { counter: 2, digest: "8899aabbccddeeff" }, yaml: "vips: []\n" },
    { type: "tables", bytes: new Uint8Array(3_000_000).fill(0xa5) },
  ];
  const { server, log, received } = await startServer(t, {
    identity: await cluster.issue(1),
    onOpen: (peer) => handedOut.forEach((message) => peer.send(message)),
  });
  const member = await connectClient(t, server.port, {
    identity: await cluster.issue(2),
    expectedNode: nodeId(1),
  });
  await until("the member has everything", () => member.received.length === 3);
  assert.deepEqual(member.received, handedOut);
  member.client.send(HELLO);
  member.client.send({ type: "tables-ack", version: TABLE });
  await until("the master has both", () => received.length === 2);
  assert.deepEqual(
    received.map(({ from, message }) => [from, message.type]),
    [
      [2, "hello"],
      [2, "tables-ack"],
    ],
  );
  assert.equal(server.peer(nodeId(2))?.node.name, "n2");
  assert.deepEqual(log, ["open 2"]);
});

test("A4: a member's request is answered by the master, whatever the order of the answers", async (t) => {
  const cluster = await testCluster(t);
  const { server } = await startServer(t, {
    identity: await cluster.issue(1),
    onMessage: (peer, message) => {
      if (message.type !== "request" || message.method === "never") return;
      const answer = { type: "response", id: message.id, status: 200, body: message.body } as const;
      if (message.method === "late") setTimeout(() => peer.send(answer), 20);
      else peer.send(answer);
    },
  });
  const { client, received } = await connectClient(t, server.port, {
    identity: await cluster.issue(2),
    expectedNode: nodeId(1),
  });
  const answers = await Promise.all([
    client.request("late", { weight: 3 }, 10_000),
    client.request("now", ["a", null], 10_000),
  ]);
  assert.deepEqual(
    answers.map(({ status, body }) => ({ status, body })),
    [
      { status: 200, body: { weight: 3 } },
      { status: 200, body: ["a", null] },
    ],
  );
  await assert.rejects(client.request("never", null, 20), { reason: "timeout" });
  await assert.rejects(client.request("long", "x".repeat(2 ** 20), 20), { reason: "too-long" });
  const unanswered = client.request("never", null, 60_000);
  client.close();
  await assert.rejects(unanswered, { reason: "closed" });
  await assert.rejects(client.request("after", null, 1000), { reason: "closed" });
  assert.deepEqual(received, []);
});

test("requests that wait for answers are limited", async (t) => {
  const cluster = await testCluster(t);
  const { server } = await startServer(t, { identity: await cluster.issue(1) });
  const { client } = await connectClient(t, server.port, {
    identity: await cluster.issue(2),
    expectedNode: nodeId(1),
  });
  const waiting = Array.from({ length: 256 }, () => client.request("never", null, 60_000));
  const outcomes = Promise.allSettled(waiting);
  await assert.rejects(client.request("never", null, 60_000), { reason: "busy" });
  client.close();
  assert.ok((await outcomes).every(({ status }) => status === "rejected"));
});

test("A2: of two connections of one node the newer stays", async (t) => {
  const cluster = await testCluster(t);
  const { server, log, received } = await startServer(t, { identity: await cluster.issue(1) });
  const identity = await cluster.issue(2);
  const first = await connectClient(t, server.port, { identity, expectedNode: nodeId(1) });
  const second = await connectClient(t, server.port, { identity, expectedNode: nodeId(1) });
  await until("the first is told", () => first.log.length === 1);
  assert.deepEqual(log, ["open 2", "close 2 superseded", "open 2"]);
  second.client.send(HELLO);
  await until("the second is heard", () => received.length === 1);
  assert.equal(server.peers.length, 1);
  assert.equal(server.counters.get("closed-superseded"), 1);
});

test("A4: a member can connect again after either side has closed", async (t) => {
  const cluster = await testCluster(t);
  const { server, log } = await startServer(t, { identity: await cluster.issue(1) });
  const dial = { identity: await cluster.issue(2), expectedNode: nodeId(1) };
  const first = await connectClient(t, server.port, dial);
  first.client.close();
  await until("the server knows", () => log.length === 2);
  const second = await connectClient(t, server.port, dial);
  server.peer(nodeId(2))?.close();
  await until("the member knows", () => second.log.length === 1);
  await connectClient(t, server.port, dial);
  assert.deepEqual(first.log, ["close closed-here"]);
  assert.deepEqual(second.log, ["close closed-by-peer"]);
  assert.deepEqual(log, [
    "open 2",
    "close 2 closed-by-peer",
    "open 2",
    "close 2 closed-here",
    "open 2",
  ]);
});

test("what was sent before an orderly close still arrives", async (t) => {
  const cluster = await testCluster(t);
  const bytes = new Uint8Array(4_000_000).fill(3);
  const { server } = await startServer(t, {
    identity: await cluster.issue(1),
    onMessage: (peer) => {
      peer.send({ type: "tables", bytes });
      peer.close();
    },
  });
  const member = await connectClient(t, server.port, {
    identity: await cluster.issue(2),
    expectedNode: nodeId(1),
  });
  member.client.send(HELLO);
  await until("the member knows of the close", () => member.log.length === 1);
  assert.deepEqual(member.received, [{ type: "tables", bytes }]);
});

test("B9: one message to all members is encoded once and reaches each", async (t) => {
  const cluster = await testCluster(t);
  const { server } = await startServer(t, { identity: await cluster.issue(1) });
  const members = [];
  for (const id of [2, 3, 4]) {
    const identity = await cluster.issue(id);
    members.push(await connectClient(t, server.port, { identity, expectedNode: nodeId(1) }));
  }
  assert.equal(server.broadcast({ type: "tables", bytes: Uint8Array.of(1, 2, 3) }), true);
  assert.equal(server.broadcast({ type: "tables", bytes: new Uint8Array(2 ** 24) }), false);
  for (const { received } of members) {
    await until("a member has the tables", () => received.length === 1);
    assert.deepEqual(received, [{ type: "tables", bytes: Uint8Array.of(1, 2, 3) }]);
  }
});

test("a port that is taken, or a master that is not there, is named", async (t) => {
  const cluster = await testCluster(t);
  const identity = await cluster.issue(1);
  const { server } = await startServer(t, { identity });
  const nothing = (): void => undefined;
  const again = ControlServer.listen({
    address: LOOPBACK,
    port: server.port,
    identity,
    refusal: () => undefined,
    revoked: () => new Set(),
    onOpen: nothing,
    onMessage: nothing,
    onClose: nothing,
  });
  await assert.rejects(again, { code: "PAN_SYSCALL", message: /EADDRINUSE/ });
  const { port } = server;
  await server.close();
  const dial = { identity: await cluster.issue(2), expectedNode: nodeId(1) };
  await assert.rejects(connectClient(t, port, dial), { reason: "unreachable" });
});

test("connecting can be given up, at once or after a time", async (t) => {
  const cluster = await testCluster(t);
  const { server } = await startServer(t, { identity: await cluster.issue(1) });
  const options = {
    address: LOOPBACK,
    port: server.port,
    expectedNode: nodeId(1),
    identity: await cluster.issue(2),
    revoked: () => new Set<string>(),
    onMessage: (): void => undefined,
    onClose: (): void => assert.fail("never connected"),
  };
  const gone = ControlClient.connect({ ...options, signal: AbortSignal.abort() });
  await assert.rejects(
    gone,
    (error) => error instanceof ControlError && error.reason === "aborted",
  );
  const stop = new AbortController();
  const going = ControlClient.connect({ ...options, signal: stop.signal });
  stop.abort();
  await assert.rejects(going, { reason: "aborted" });
});

test("A4: a node that dismisses whoever it has let in is told apart from a master, every time", async (t) => {
  const cluster = await testCluster(t);
  const { server } = await startServer(t, {
    identity: await cluster.issue(1),
    onOpen: (peer) => peer.close(),
  });
  const identity = await cluster.issue(2);
  for (let round = 0; round < 20; round++) {
    const dialled = connectClient(t, server.port, { identity, expectedNode: nodeId(1) });
    const outcome = await dialled.catch((error: unknown) => error);
    if (outcome instanceof ControlError) assert.equal(outcome.reason, "refused");
    else {
      const { log } = outcome as Awaited<typeof dialled>;
      await until("the member is told", () => log.length === 1);
      assert.deepEqual(log, ["close closed-by-peer"]);
    }
  }
});
