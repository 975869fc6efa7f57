// The contract as clients meet it: by injection, and over a real socket.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { PanError } from "#base/error-codes.ts";
import { createClient } from "./client.ts";
import { CONTRACT } from "./contract.ts";
import { buildApi, startApiServer } from "./server.ts";
import { APPLICATIONS, fakeAgent, notFound, STATUS } from "./testing/fake-agent.ts";
import { DIAGNOSIS, PEERS } from "./testing/fake-peers.ts";

const service = { protocol: "tcp", vip: "10.77.0.100", port: 443 } as const;

function folder(t: TestContext): string {
  const made = fs.mkdtempSync(path.join(tmpdir(), "pan-api-"));
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

async function inject(
  t: TestContext,
  request: { method: "GET" | "POST" | "PATCH"; url: string; payload?: object },
): Promise<{ status: number; body: unknown; asked: readonly unknown[]; reported: unknown[] }> {
  const agent = fakeAgent();
  const reported: unknown[] = [];
  if (request.url.includes("delta")) agent.failWith(notFound);
  if (request.url.includes("bug")) agent.failWith(new TypeError("secret: at line 5"));
  const app = await buildApi({ port: agent.port, report: (error) => reported.push(error) });
  t.after(() => app.close());
  const reply = await app.inject(request);
  return { status: reply.statusCode, body: reply.json(), asked: agent.asked, reported };
}

test("API: a client over the socket gets exactly what the agent says", async (t) => {
  const socketPath = path.join(folder(t), "run", "agent.sock");
  const agent = fakeAgent();
  const server = await startApiServer({ socketPath, port: agent.port });
  t.after(() => server.close());
  const client = createClient({ socketPath });

  assert.deepEqual(await client.status({}), STATUS);
  assert.deepEqual(await client.applications({}), APPLICATIONS);
  assert.deepEqual(await client.peers({}), PEERS);
  assert.deepEqual(await client.doctor({}), DIAGNOSIS);
  assert.equal((await client.services({})).groups[0]?.services[1]?.port, "any");
  const changed = await client.addService({ body: { group: "web", service } });
  assert.deepEqual(changed, { config: { counter: 8, digest: "ffeeddccbbaa9988" }, waiting: [] });
  await client.removeService({ body: { service } });
  await client.setWeight({ params: { group: "a b/c", node: "beta" }, body: { weight: 0 } });
  await client.drain({ params: { node: "beta" } });
  await client.drainWithin({ params: { node: "beta" }, body: { deadlineMs: 60_000 } });
  await client.undrain({ params: { node: "beta" } });
  await client.setMaintenance({ params: { node: "beta" }, body: { on: true, group: "web" } });
  await client.setDelivery({ body: { method: "unicast" } });
  await client.moveVip({ params: { vip: "fd77::100" }, body: { node: "beta" } });
  await client.releaseVip({ params: { vip: "fd77::100" } });
  await client.putConfig({ body: { yaml: "cluster: {}" } });
  assert.equal((await client.config({})).yaml, "cluster: {name: demo}\n");
  assert.equal((await client.version({})).panoply, "0.1.0");
  assert.deepEqual((await client.events({ query: {} })).events, []);

  const operations = new Set(agent.asked.map(({ operation }) => operation));
  assert.deepEqual(operations, new Set(Object.keys(CONTRACT)));
  const weight = agent.asked.find(({ operation }) => operation === "setWeight");
  assert.partialDeepStrictEqual(weight?.input, {
    params: { group: "a b/c", node: "beta" },
    body: { weight: 0 },
  });
});

test("API: a large configuration passes, any other large body is refused", async (t) => {
  const socketPath = path.join(folder(t), "agent.sock");
  const server = await startApiServer({ socketPath, port: fakeAgent().port });
  t.after(() => server.close());
  const client = createClient({ socketPath });
  await client.putConfig({ body: { yaml: "# ü\n".repeat(500_000) } });
  await assert.rejects(
    client.addService({ body: { group: "x".repeat(100_000), service } }),
    (error: PanError) => error.code === "PAN_REQUEST_INVALID",
  );
});

test("API: the socket is for its owner and group, in a folder nobody else may write in", async (t) => {
  const socketPath = path.join(folder(t), "run", "agent.sock");
  const server = await startApiServer({ socketPath, port: fakeAgent().port });
  t.after(() => server.close());
  assert.equal(fs.statSync(socketPath).mode & 0o777, 0o660);
  assert.equal(fs.statSync(path.dirname(socketPath)).mode & 0o777, 0o750);

  const open = path.join(folder(t), "open");
  fs.mkdirSync(open);
  fs.chmodSync(open, 0o777);
  await assert.rejects(
    startApiServer({ socketPath: path.join(open, "agent.sock"), port: fakeAgent().port }),
    (error: PanError) => error.code === "PAN_SYSCALL" && /everybody may write/.test(error.message),
  );
});

test("API: a second agent on the socket of a living one is refused and harms nothing", async (t) => {
  const socketPath = path.join(folder(t), "agent.sock");
  const server = await startApiServer({ socketPath, port: fakeAgent().port });
  t.after(() => server.close());
  await assert.rejects(
    startApiServer({ socketPath, port: fakeAgent().port }),
    (error: PanError) => error.code === "PAN_AGENT_RUNNING" && error.message.includes(socketPath),
  );
  assert.equal((await createClient({ socketPath }).version({})).panoply, "0.1.0");
});

test("API: the socket that a killed agent left is replaced; a plain file is not", async (t) => {
  const socketPath = path.join(folder(t), "agent.sock");
  const program = `require("node:net").createServer().listen(${JSON.stringify(socketPath)}, () => console.log("up"))`;
  const victim = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => victim.kill("SIGKILL"));
  await once(victim.stdout, "data");
  victim.kill("SIGKILL");
  await once(victim, "exit");
  assert.ok(fs.lstatSync(socketPath).isSocket());

  const server = await startApiServer({ socketPath, port: fakeAgent().port });
  assert.equal((await createClient({ socketPath }).version({})).panoply, "0.1.0");
  await server.close();
  assert.equal(fs.existsSync(socketPath), false);

  fs.writeFileSync(socketPath, "precious");
  await assert.rejects(
    startApiServer({ socketPath, port: fakeAgent().port }),
    (error: PanError) => error.code === "PAN_SYSCALL",
  );
  assert.equal(fs.readFileSync(socketPath, "utf8"), "precious");
});

test("API: a PanError keeps its code and message, and gets its HTTP status", async (t) => {
  const { status, body, reported } = await inject(t, {
    method: "POST",
    url: "/v1/nodes/delta/drain",
  });
  assert.equal(status, 404);
  assert.deepEqual(body, { code: "PAN_NOT_FOUND", message: 'No node is called "delta".' });
  assert.deepEqual(reported, []);
});

test("API: a fault of the agent is reported to its log and hidden from the client", async (t) => {
  const { status, body, reported } = await inject(t, {
    method: "POST",
    url: "/v1/nodes/bug/drain",
  });
  assert.equal(status, 500);
  assert.deepEqual(Object.keys(body as object), ["code", "message"]);
  assert.doesNotMatch(JSON.stringify(body), /secret|at line/);
  assert.ok(reported[0] instanceof TypeError);
});

const REFUSED: readonly [string, object][] = [
  ["an unknown field", { group: "web", service, colour: "red" }],
  ["a port out of range", { group: "web", service: { ...service, port: 70_000 } }],
  ["a number written as text", { group: "web", service: { ...service, port: "443" } }],
  ["a missing service", { group: "web" }],
];
for (const [what, payload] of REFUSED) {
  test(`API: ${what} is refused before the agent sees it`, async (t) => {
    const { status, body, asked } = await inject(t, {
      method: "POST",
      url: "/v1/services",
      payload,
    });
    assert.equal(status, 400);
    assert.equal((body as { code: string }).code, "PAN_REQUEST_INVALID");
    assert.deepEqual(asked, []);
  });
}

test("API: an unknown route is a problem too", async (t) => {
  const { status, body } = await inject(t, { method: "GET", url: "/v2/status" });
  assert.equal(status, 404);
  assert.deepEqual(body, { code: "PAN_NOT_FOUND", message: "The agent has no GET /v2/status." });
});

test("API: the OpenAPI document lists every operation of the contract", async (t) => {
  const { body } = await inject(t, { method: "GET", url: "/openapi.json" });
  const { openapi, paths } = body as {
    openapi: string;
    paths: Record<string, Record<string, { operationId?: string }>>;
  };
  assert.equal(openapi, "3.1.0");
  const listed = Object.values(paths).flatMap((path) =>
    Object.values(path).flatMap(({ operationId }) => operationId ?? []),
  );
  assert.deepEqual(listed.sort(), [...Object.keys(CONTRACT), "followEvents"].sort());
});

test("API: metrics are the numbers of the status", async (t) => {
  const socketPath = path.join(folder(t), "agent.sock");
  const server = await startApiServer({ socketPath, port: fakeAgent().port });
  t.after(() => server.close());
  const lines = (await createClient({ socketPath }).metrics()).split("\n");
  for (const line of [
    'panoply_role{role="member"} 1',
    'panoply_member{node="gamma"} 0',
    'panoply_member_packets_total{node="alpha"} 1500000',
    'panoply_member_loss_ratio{node="alpha"} 0.0125',
    'panoply_group_slots{group="web",node="alpha"} 1024',
    'panoply_datapath_packets_total{reason="forward-owner"} 1500012',
    'panoply_messages_dropped_total{reason="bad-signature"} 4',
    "panoply_lease_valid 1",
    "panoply_sessions_may_speak 1",
    "# TYPE panoply_keepalives_sent_total counter",
  ]) {
    assert.ok(lines.includes(line), line);
  }
  assert.equal(lines.filter((line) => line.startsWith("panoply_member_last_heard")).length, 1);
});

test("client: nobody on the socket is PAN_AGENT_UNREACHABLE, with what to do", async (t) => {
  const socketPath = path.join(folder(t), "agent.sock");
  await assert.rejects(createClient({ socketPath }).status({}), (error: PanError) => {
    assert.ok(error instanceof PanError);
    assert.equal(error.code, "PAN_AGENT_UNREACHABLE");
    assert.match(error.message, /systemctl start panoply.*--socket/);
    return error.message.includes(socketPath);
  });
});

test("client: an agent that never answers is PAN_AGENT_UNREACHABLE after the time limit", async (t) => {
  const socketPath = path.join(folder(t), "agent.sock");
  const silent = createServer().listen(socketPath);
  t.after(() => silent.close());
  await once(silent, "listening");
  await assert.rejects(
    createClient({ socketPath, timeoutMs: 50 }).status({}),
    (error: PanError) =>
      error.code === "PAN_AGENT_UNREACHABLE" && /within 0\.05 s/.test(error.message),
  );
});

test("client: the code of a newer agent that this version does not know stays readable", async (t) => {
  const agent = fakeAgent();
  agent.failWith(Object.assign(new PanError("PAN_CONFLICT", "Too late."), { code: "PAN_FUTURE" }));
  const socketPath = path.join(folder(t), "agent.sock");
  const server = await startApiServer({ socketPath, port: agent.port });
  t.after(() => server.close());
  await assert.rejects(
    createClient({ socketPath }).drain({ params: { node: "a" } }),
    (error: PanError) =>
      error.code === "PAN_INTERNAL" && error.message === "Too late. (PAN_FUTURE)",
  );
});
