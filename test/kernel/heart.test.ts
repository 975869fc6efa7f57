// Hearts on real sockets, threads and signals (A2-A12): four agents in namespaces, killed, frozen and lied to.
import assert from "node:assert/strict";
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { Heart } from "#daemon/heart.ts";
import { DEFAULT_DETECTION } from "#core/membership/protocol.ts";
import { STATE } from "#driver/bpf/abi.gen.ts";
import { ClusterAuth } from "#driver/cluster/auth.ts";
import { createCa, issueNode } from "#driver/identity/authority.ts";
import { HeartCluster, type HeartNode } from "./heart-cluster.ts";
import { Intruder } from "./heart-intruder.ts";
import { run } from "./netns.ts";

let cluster: HeartCluster;

before(async () => {
  cluster = await HeartCluster.create(4);
});
after(async () => {
  await cluster.remove();
});

const all = (): HeartNode[] => cluster.nodes;
const others = (...ids: number[]): HeartNode[] => all().filter(({ id }) => !ids.includes(id));

function masterOf(nodes: readonly HeartNode[]): HeartNode {
  const masters = nodes.filter(({ view }) => view?.role === "master");
  const [master] = masters;
  assert.ok(master !== undefined && masters.length === 1, `${masters.length} masters`);
  return master;
}

/** The next count of a drop reason that is above the present one. */
async function untilDropped(node: HeartNode, reason: string, above: number): Promise<void> {
  await node.until(`a count of ${reason}`, () => dropped(node, reason) > above);
}

const dropped = (node: HeartNode, reason: string): number =>
  node.all("counters").at(-1)?.counters.dropped[reason] ?? 0;

test("A2, A3: the first node becomes master and the others are admitted", async () => {
  await cluster.start();
  assert.equal(masterOf(all()).id, 1);
  for (const node of others(1)) {
    assert.equal(node.view?.role, "member");
    assert.equal(node.view.secondary, 2);
    assert.equal(node.all("admitted-by")[0]?.address, cluster.node(1).address);
  }
});

test("A12: a busy main thread neither stops keepalives nor sees others die", async () => {
  const busy = [cluster.node(1), cluster.node(3)];
  const since = all().map(({ reports }) => reports.length);
  for (const node of busy) node.order({ type: "block", durationMs: 2000 });
  for (const node of busy) {
    await node.until("the end of the block", () =>
      node.reports.some(({ event }) => event.type === "unblocked"),
    );
  }
  for (const [index, node] of all().entries()) {
    const events = node.reports.slice(since[index]).map(({ event }) => event.type);
    assert.ok(!events.includes("member-departed") && !events.includes("became-master"));
  }
  await cluster.untilAll(all());
});

test("A9: a killed member departs, and its kernel tells that only its agent is down", async () => {
  await cluster.node(4).kill();
  await cluster.untilAll(others(4));
  const master = cluster.node(1);
  await master.until("a final reason", () => master.all("departure-confirmed").length > 0);
  assert.deepEqual(master.all("departure-confirmed")[0]?.reason, "agent-down");
  cluster.node(4).start();
  await cluster.untilAll(all());
});

test("A9: a member whose link is cut departs as silent, and joins again when it is back", async () => {
  const master = cluster.node(1);
  const before = master.all("departure-confirmed").length;
  run("ip", "-n", cluster.namespace("sw"), "link", "set", "n4", "down");
  await cluster.untilAll(others(4));
  await master.until("a final reason", () => master.all("departure-confirmed").length > before);
  assert.equal(master.all("departure-confirmed").at(-1)?.reason, "silent");
  run("ip", "-n", cluster.namespace("sw"), "link", "set", "n4", "up");
  await cluster.untilAll(all());
  masterOf(all());
});

test("A2: forged, foreign, truncated and replayed messages are counted and change nothing", async () => {
  const intruder = new Intruder(cluster.namespace("x"), cluster.namespace("sw"));
  try {
    const [master, target] = [masterOf(all()), cluster.node(3)];
    let captured: Uint8Array | undefined;
    await master.until("a keepalive on the wire", () => {
      captured = intruder.heard().at(-1);
      return captured !== undefined;
    });
    assert.ok(captured !== undefined);
    await target.until("some later keepalives", () => target.all("counters").length > 3);
    const since = all().map(({ reports }) => reports.length);
    const forged = captured.map((byte, index) => (index === 40 ? byte ^ 1 : byte));
    const foreign = captured.map((byte, index) => (index === 8 ? byte ^ 1 : byte));
    const cases: [reason: string, bytes: Uint8Array, copies: number][] = [
      ["bad-mac", forged, 1],
      ["foreign-cluster", foreign, 1],
      ["incomplete", captured.subarray(0, captured.byteLength - 5), 1],
      ["malformed", Uint8Array.from({ length: 60 }, (_, index) => index), 1],
      ["unsupported", captured.map((byte, index) => (index === 4 ? 9 : byte)), 1],
      ["replayed", captured, 1],
    ];
    for (const [reason, bytes] of cases) {
      const above = dropped(target, reason);
      intruder.send(master.address, target.address, bytes);
      await untilDropped(target, reason, above);
    }
    const above = dropped(target, "wrong-address");
    intruder.send(cluster.node(2).address, target.address, captured);
    await untilDropped(target, "wrong-address", above);
    for (const [index, node] of all().entries()) {
      const events = node.reports.slice(since[index]).map(({ event }) => event.type);
      const changes = events.filter((type) => type !== "counters" && type !== "view-changed");
      assert.deepEqual(changes, [], `node ${node.id}`);
    }
    await cluster.untilAll(all());
  } finally {
    intruder.remove();
  }
});

test("A2: a node with a certificate of another CA is told that it may not join", async () => {
  const intruder = new Intruder(cluster.namespace("y"), cluster.namespace("sw"));
  const folder = mkdtempSync(path.join(tmpdir(), "pt-heart-foreign-"));
  try {
    const master = masterOf(all());
    await createCa(path.join(folder, "ca"), "hearts");
    const [member] = others(master.id);
    assert.ok(member !== undefined);
    const { self, config, credentials } = member.settings;
    const request = { name: self.name, id: self.id, address: self.address, days: 1 };
    const { content } = await issueNode(path.join(folder, "ca"), request);
    const foreign = new ClusterAuth({
      id: self.id,
      boot: 1n,
      certificate: content.certificate,
      privateKey: content.privateKey,
      // claims to be of this cluster
      caCertificate: credentials.caCertificate,
      revoked: [],
    });
    const bytes = foreign.seal({
      type: "join-request",
      request: 1,
      epoch: 0,
      config,
      mac: self.mac,
    });
    assert.ok(bytes !== undefined);
    const above = dropped(master, "bad-certificate");
    intruder.send(self.address, master.address, bytes);
    await untilDropped(master, "bad-certificate", above);
    assert.deepEqual(master.all("join-denied").at(-1), {
      type: "join-denied",
      sender: self.id,
      address: self.address,
      reason: "certificate",
    });
    await cluster.untilAll(all());
  } finally {
    rmSync(folder, { recursive: true });
    intruder.remove();
  }
});

test("A12: a killed master is replaced by one of the survivors, who stay members", async () => {
  const master = masterOf(all());
  const survivors = others(master.id);
  const since = survivors.map(({ reports }) => reports.length);
  await master.kill();
  await cluster.untilAll(survivors);
  masterOf(survivors);
  for (const [index, node] of survivors.entries()) {
    const roles = node.reports
      .slice(since[index])
      .flatMap(({ event }) => (event.type === "view-changed" ? [event.view.role] : []));
    assert.ok(!roles.includes("joining"), `node ${node.id}: ${roles.join()}`);
  }
  master.start();
  await cluster.untilAll(all());
});

test("A12: a master that was frozen for seconds joins its successor", async () => {
  const frozen = masterOf(all());
  const survivors = others(frozen.id);
  frozen.signal("SIGSTOP");
  await cluster.untilAll(survivors);
  const successor = masterOf(survivors);
  frozen.signal("SIGCONT");
  await cluster.untilAll(all());
  assert.equal(masterOf(all()).id, successor.id);
  assert.deepEqual(frozen.all("lost-mastership").at(-1)?.to, successor.id);
});

test("A10: a master that leaves says so, and its successor knows the reason", async () => {
  const leaving = masterOf(all());
  leaving.order({ type: "command", command: { type: "leave" } });
  await leaving.until("its own end", () => leaving.all("left").length > 0);
  const rest = others(leaving.id);
  await cluster.untilAll(rest);
  const successor = masterOf(rest);
  const departed = successor.all("member-departed").at(-1);
  assert.deepEqual(departed, { type: "member-departed", id: leaving.id, reason: "left" });
  await leaving.kill();
  leaving.start();
  await cluster.untilAll(all());
});

test("A4: a node with another configuration is told which one it needs", async () => {
  const node = cluster.node(4);
  await cluster.untilAll(all());
  const master = masterOf(all());
  assert.notEqual(master.id, node.id);
  const { admitted, detection, revoked } = node.settings;
  const config = { counter: 2, digest: "00112233445566bb" };
  const change = { type: "config-changed", config, admitted, detection, revoked } as const;
  for (const each of others(4)) each.order({ type: "command", command: change });
  await node.until("the wanted version", () => node.all("config-wanted").length > 0);
  assert.deepEqual(node.all("config-wanted")[0], {
    type: "config-wanted",
    version: config,
    from: master.id,
    address: master.address,
  });
  // it does not follow, so the roll-out ends without it
  await cluster.untilAll(others(4));
  node.order({ type: "command", command: change });
  await cluster.untilAll(all());
});

test("heart: a second agent on a host, and an interface that is not there, have their own errors", async () => {
  const { settings } = cluster.node(1);
  await assert.rejects(
    Heart.start(settings, () => {}),
    { code: "PAN_AGENT_RUNNING" },
  );
  await assert.rejects(
    Heart.start({ ...settings, interface: "eth9" }, () => {}),
    { code: "PAN_INTERFACE_MISSING" },
  );
});

test("heart: the leases for answering, accepting and speaking are renewed by a master, and given up at the end", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "pt-heart-lease-"));
  const file = path.join(folder, "state");
  writeFileSync(file, new Uint8Array(4096));
  const stateFd = openSync(file, "r+");
  const until = (): bigint => readFileSync(file).readBigUInt64LE(STATE.leaseUntilNs);
  const acceptUntil = (): bigint => readFileSync(file).readBigUInt64LE(STATE.acceptUntilNs);
  const speakUntil = (): bigint => readFileSync(file).readBigUInt64LE(STATE.speakUntilNs);
  const alone = await HeartCluster.create(1, DEFAULT_DETECTION.intervalMs, "lease");
  let heart: Heart | undefined;
  try {
    let renewed = (): void => {};
    const renewal = new Promise<void>((resolve) => {
      renewed = resolve;
    });
    heart = await Heart.start({ ...alone.node(1).settings, stateFd }, ({ type }) => {
      const now = process.hrtime.bigint();
      if (type === "counters" && until() > now && acceptUntil() > now && speakUntil() > now)
        renewed();
    });
    await renewal;
    assert.ok(until() < process.hrtime.bigint() + 1_000_000_000n, "two intervals only");
    const mostNs = BigInt(DEFAULT_DETECTION.intervalMs) * 1_000_000n;
    assert.ok(acceptUntil() < process.hrtime.bigint() + mostNs, "less than one interval");
    assert.ok(speakUntil() < process.hrtime.bigint() + mostNs, "less than one interval");
    assert.ok(readFileSync(file).readUInt32LE(STATE.tenure) > 0, "sessions of before ask first");
    await heart.stop();
    assert.deepEqual([until(), acceptUntil(), speakUntil()], [0n, 0n, 0n]);
  } finally {
    await heart?.stop();
    await alone.remove();
    closeSync(stateFd);
    rmSync(folder, { recursive: true });
  }
});
