// Each kind of check against real sockets on loopback and real processes.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { HttpProbe } from "./http-probe.ts";
import { type Probe, runProbe } from "./probe.ts";

const address = "127.0.0.1";
const run = (probe: Probe, timeoutMs = 5000): ReturnType<typeof runProbe> =>
  runProbe(probe, { timeoutMs, signal: new AbortController().signal });

async function web(t: TestContext, listener: RequestListener): Promise<HttpProbe> {
  const server = createHttpServer(listener).listen(0, address);
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { type: "http", address, port, path: "/ready", status: [{ from: 200, to: 399 }] };
}

test("B7: tcp: a port that listens passes, one that does not is refused, from the address that was asked for", async (t) => {
  const seen: (string | undefined)[] = [];
  const server = createServer((socket) => {
    seen.push(socket.remoteAddress);
    socket.on("error", () => {});
    socket.end();
  }).listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  assert.deepEqual(await run({ type: "tcp", address, port, source: "127.0.0.9" }), {
    ok: true,
    reason: "connected",
  });
  server.close();
  await once(server, "close");
  assert.deepEqual(seen, ["127.0.0.9"]);
  assert.deepEqual(await run({ type: "tcp", address, port }), {
    ok: false,
    reason: "connection refused",
  });
  t.diagnostic("an address that the host does not have is named as such");
  const away = await run({ type: "tcp", address, port, source: "203.0.113.1" });
  assert.equal(away.reason, "the node does not have the address");
});

test("B7: http: status, text, Host header and path", async (t) => {
  const probe = await web(t, (request, response) => {
    response.statusCode = request.url === "/ready" ? 200 : 503;
    response.end(`this is ${request.headers.host}`);
  });
  assert.deepEqual(await run(probe), { ok: true, reason: "status 200" });
  assert.deepEqual(await run({ ...probe, path: "/busy" }), { ok: false, reason: "status 503" });
  const named = { ...probe, host: "shop.example", body: "this is shop.example" };
  assert.deepEqual(await run(named), { ok: true, reason: "status 200, expected text" });
  const other = await run({ ...named, host: "other.example" });
  assert.deepEqual(other, { ok: false, reason: "the expected text is not in the answer" });
});

test("B7: http: the text is looked for in the first 64 KiB, and no more is read", async (t) => {
  const probe = await web(t, (_request, response) => {
    response.write("x".repeat(65_530));
    response.write("here");
    response.on("error", () => {});
    for (let more = 0; more < 100; more++) response.write("y".repeat(65_536));
    response.end("there");
  });
  assert.equal((await run({ ...probe, body: "xhere" })).ok, true);
  assert.equal((await run({ ...probe, body: "there" })).ok, false);
});

test("B7: http: who accepts and does not answer, or speaks something else, fails", async (t) => {
  const silent = await web(t, () => {});
  assert.deepEqual(await run(silent, 100), { ok: false, reason: "no answer within 100 ms" });
  const server = createServer((socket) => socket.on("error", () => {}).end("220 mail\r\n")).listen(
    0,
    address,
  );
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  assert.equal((await run({ ...silent, port })).ok, false);
});

test("B7: https: a certificate that nobody vouches for fails, unless it is not to be looked at", async (t) => {
  const { createServer: createTlsServer } = await import("node:https");
  const folder = mkdtempSync(path.join(tmpdir(), "pan-health-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { execFileSync } = await import("node:child_process");
  const [key, cert] = [path.join(folder, "key"), path.join(folder, "cert")];
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=shop.example"],
    ],
    { stdio: "ignore" },
  );
  const server = createTlsServer(
    { key: readFileSync(key), cert: readFileSync(cert) },
    (_request, response) => response.end("ok"),
  ).listen(0, address);
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const probe = {
    type: "http",
    address,
    port,
    path: "/",
    host: "shop.example",
    status: [{ from: 200, to: 200 }],
  } as const;
  assert.deepEqual(await run({ ...probe, tls: { verify: false } }), {
    ok: true,
    reason: "status 200",
  });
  const verified = await run({ ...probe, tls: { verify: true } });
  assert.equal(verified.ok, false);
  assert.match(verified.reason, /self-signed/);
});

test("B7: udp: an answer passes, a wrong one and a closed port fail, silence fails after its time", async (t) => {
  const server = createSocket("udp4");
  server.on("message", (text, from) => {
    if (text.toString() !== "silence")
      server.send(`re ${text.toString()}`, from.port, from.address);
  });
  server.bind(0, address);
  await once(server, "listening");
  let isOpen = true;
  t.after(() => isOpen && server.close());
  const { port } = server.address();
  const ask = (send: string, expect?: string, timeoutMs?: number): ReturnType<typeof runProbe> =>
    run(
      { type: "udp", address, port, send, ...(expect === undefined ? {} : { expect }) },
      timeoutMs,
    );
  assert.deepEqual(await ask("hello"), { ok: true, reason: "answered" });
  assert.deepEqual(await ask("hello", "re hello"), { ok: true, reason: "answered" });
  assert.equal((await ask("hello", "other")).ok, false);
  assert.deepEqual(await ask("silence", undefined, 100), {
    ok: false,
    reason: "no answer within 100 ms",
  });
  assert.equal((await ask("")).ok, true, "an empty datagram is one, too");
  isOpen = false;
  server.close();
  await once(server, "close");
  assert.deepEqual(await ask("hello"), { ok: false, reason: "connection refused" });
});

const script = (source: string, ...more: string[]): Probe => ({
  type: "script",
  command: ["/bin/sh", "-c", source, ...more],
  environment: { PATH: "/usr/bin:/bin", PANOPLY_GROUP: "web" },
});

test("B7: script: its status counts, its output is shown on one line, its arguments and environment are what is given", async () => {
  assert.deepEqual(await run(script("exit 0")), { ok: true, reason: "status 0" });
  assert.deepEqual(await run(script('printf "no\\ndatabase\\033[1m"; exit 3')), {
    ok: false,
    reason: "status 3: no database [1m",
  });
  assert.deepEqual(await run(script('echo "$PANOPLY_GROUP $HOME$1"', "sh", "a b;c")), {
    ok: true,
    reason: "status 0: web a b;c",
  });
  const loud = await run(script("yes | head -c 1000000; exit 1"));
  assert.deepEqual([loud.ok, loud.reason.length <= 140], [false, true]);
  const missing = await run({ type: "script", command: ["/nowhere/check"], environment: {} });
  assert.match(missing.reason, /ENOENT/);
});

test("B7: script: after its time it is killed with everything that it started", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-health-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, "pid");
  const hanging = script(`sleep 600 & echo $! > ${file}; wait`);
  assert.deepEqual(await run(hanging, 1000), { ok: false, reason: "no answer within 1000 ms" });
  const child = Number(readFileSync(file, "utf8"));
  const isGone = (): boolean =>
    !existsSync(`/proc/${child}`) || / Z /.test(readFileSync(`/proc/${child}/stat`, "utf8"));
  for (let wait = 0; wait < 500 && !isGone(); wait++) await pause(10);
  assert.ok(isGone(), "its child has been killed");
});

test("B7: a check that is ended early ends at once", async () => {
  const ending = new AbortController();
  const result = runProbe(script("sleep 600"), { timeoutMs: 60_000, signal: ending.signal });
  ending.abort();
  assert.deepEqual(await result, { ok: false, reason: "ended early" });
});
