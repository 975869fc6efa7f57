// The packet program outlives its agent, is taken over by the next one, and leaves nothing behind when it is torn down.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mac } from "#base/address.ts";
import { PanError, type ErrorCode } from "#base/error-codes.ts";
import { nodeId } from "#base/ids.ts";
import { ACK, ethernet, ipv4, tcp } from "#core/steering/testing/frames.ts";
import { attachedProgram } from "#driver/bpf/attachment.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { AnswerLease } from "#driver/bpf/lease.ts";
import { netdev } from "#driver/bpf/netdev.ts";
import { programName } from "#driver/bpf/objects.ts";
import type { DatapathOptions } from "#driver/bpf/types.ts";
import { inNetns } from "#driver/libc.ts";
import { TestNetns } from "./netns.ts";
import { alternatingTables, PUBLISHER_OPTIONS } from "./steer-tables.ts";

const OWN_MAC = "02:77:00:00:00:01";
const OPTIONS: DatapathOptions = { ...PUBLISHER_OPTIONS, interface: "e0", self: nodeId(1) };
const KILLS = 8;
const REMOVAL_LIMIT_MS = 20_000;

let netns: TestNetns;
/** Those a failed test has left alive. */
const children: ChildProcess[] = [];
const inside = <T>(action: () => T): T => inNetns(netns.path, action);

beforeEach(() => {
  netns = new TestNetns("steer-lifetime");
  // the hosts' own multicast frames would be counted beside the frame of a test run
  netns.exec("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
  netns.ip("link", "add", "e0", "address", OWN_MAC, "type", "veth", "peer", "name", "e1");
  netns.ip("link", "set", "e0", "up");
  netns.ip("link", "set", "e1", "up");
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  netns.remove();
});

const hasCode =
  (code: ErrorCode) =>
  (error: unknown): boolean =>
    error instanceof PanError && error.code === code;

async function startPublisher(): Promise<ChildProcess> {
  const script = path.join(import.meta.dirname, "steer-publisher.ts");
  const command = [`--net=${netns.path}`, process.execPath, script, "e0"];
  const child = spawn("nsenter", command, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  await once(child.stdout, "data");
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** A segment to a service that every version of the tables has. */
const segment = ethernet(
  { to: OWN_MAC, from: "02:aa:00:00:00:fe" },
  0x0800,
  ipv4({ source: "192.0.2.7", destination: "10.77.0.100" }, 6, tcp({ from: 4000, to: 1100 }, ACK)),
);

const programIds = (): number[] =>
  inside(() => {
    const { ifindex } = netdev("e0");
    return (["xdp", "tc"] as const)
      .map((hook) => attachedProgram(ifindex, hook))
      .filter((id) => id !== undefined);
  });

test("B9: a program whose agent was killed forwards on, and the next agent goes on with its maps", async () => {
  const child = await startPublisher();
  const [before] = programIds();
  await kill(child);
  assert.deepEqual(programIds(), [before], "still attached");
  const datapath = inside(() => Datapath.open(OPTIONS));
  try {
    assert.equal(datapath.reused, true);
    assert.notDeepEqual(programIds(), [before], "replaced by the new agent's program");
    assert.equal(inside(() => datapath.testRun(segment)).reason, "forward-owner");
  } finally {
    datapath.close();
  }
});

test(`B9: ${KILLS} kills in the middle of publishing leave maps that the next agent completes`, async () => {
  for (let round = 0; round < KILLS; round++) {
    const child = await startPublisher();
    await sleep(10 * round);
    await kill(child);
    const datapath = inside(() => Datapath.open(OPTIONS));
    try {
      assert.equal(inside(() => datapath.testRun(segment)).reason, "forward-owner");
      const next = alternatingTables(Math.max(datapath.version().counter, 1) + 1);
      datapath.publish(next);
      assert.deepEqual(datapath.version(), next.version);
      const again = datapath.publish(next);
      assert.deepEqual(again, { nodes: 0, slots: 0, services: 0, vips: 0, exceptions: 0 });
    } finally {
      datapath.close();
    }
  }
});

test("B1: older tables are refused, also by the next agent", () => {
  const first = inside(() => Datapath.open(OPTIONS));
  first.publish(alternatingTables(5));
  assert.throws(() => first.publish(alternatingTables(4)), hasCode("PAN_TABLES_OLD"));
  first.close();
  const second = inside(() => Datapath.open(OPTIONS));
  assert.throws(() => second.publish(alternatingTables(4)), hasCode("PAN_TABLES_OLD"));
  assert.deepEqual(second.version(), alternatingTables(5).version);
  second.publish(alternatingTables(6));
  second.close();
});

test("B1: tables that do not fit are refused before anything is written", () => {
  const datapath = inside(() => Datapath.open({ ...OPTIONS, slotCapacity: 16_384 }));
  assert.throws(() => datapath.publish(alternatingTables(2)), hasCode("PAN_TABLES_CAPACITY"));
  assert.equal(datapath.version().epoch, 0);
  assert.equal(inside(() => datapath.testRun(segment)).reason, "pass-no-service");
  datapath.close();
});

test("B1: an agent with other sizes or hook starts anew, respectively goes on", () => {
  const first = inside(() => Datapath.open(OPTIONS));
  first.publish(alternatingTables(1));
  first.close();
  const xdp = inside(() => Datapath.open({ ...OPTIONS, hook: "xdp" }));
  assert.equal(xdp.reused, true);
  assert.equal(xdp.hook, "xdp");
  assert.equal(programIds().length, 1, "not at both hooks");
  xdp.close();
  const larger = inside(() => Datapath.open({ ...OPTIONS, slotCapacity: 262_144 }));
  assert.equal(larger.reused, false);
  assert.equal(larger.version().epoch, 0);
  larger.close();
});

test("A5: only a lease that has not run out lets questions for a VIP pass", () => {
  const datapath = inside(() => Datapath.open(OPTIONS));
  datapath.publish(alternatingTables(2));
  const question = Buffer.from(
    "ffffffffffff02aa000000fe0806000108000604000102aa000000fe0a4d00fe0000000000000a4d0064",
    "hex",
  );
  const ask = (): string => inside(() => datapath.testRun(question)).reason;
  assert.equal(ask(), "drop-announce", "there was none yet");
  const lease = new AnswerLease(datapath.stateFd);
  lease.renew(process.hrtime.bigint() + 3_600_000_000_000n);
  assert.equal(ask(), "pass-announce");
  lease.renew(process.hrtime.bigint() - 1n);
  assert.equal(ask(), "drop-announce", "it has run out");
  lease.close();
  datapath.close();
});

for (const hook of ["tc", "xdp"] as const) {
  test(`B5: teardown leaves nothing of the ${hook} program behind`, async () => {
    inside(() => Datapath.open({ ...OPTIONS, hook })).close();
    const [id] = programIds();
    assert.ok(id !== undefined);
    inside(() => Datapath.teardown("e0"));
    assert.deepEqual(programIds(), []);
    assert.doesNotMatch(netns.exec("tc", "qdisc", "show", "dev", "e0"), /clsact/);
    assert.doesNotMatch(netns.ip("-d", "link", "show", "e0"), /xdp/);
    // the kernel frees a program after a grace period
    for (let waited = 0; programName(id) !== undefined; waited += 50) {
      assert.ok(waited < REMOVAL_LIMIT_MS, "the program is freed");
      await sleep(50);
    }
    inside(() => Datapath.teardown("e0"));
  });
}

test("B5: teardown leaves a clsact qdisc that somebody else made or uses", () => {
  netns.exec("tc", "qdisc", "add", "dev", "e0", "clsact");
  inside(() => Datapath.open(OPTIONS)).close();
  inside(() => Datapath.teardown("e0"));
  assert.match(netns.exec("tc", "qdisc", "show", "dev", "e0"), /clsact/, "made by somebody else");
  netns.exec("tc", "qdisc", "del", "dev", "e0", "clsact");
  inside(() => Datapath.open(OPTIONS)).close();
  const object = path.join(import.meta.dirname, "../../bpf/build/steer-tc.o");
  const filter = ["egress", "bpf", "da", "obj", object, "sec", "tc"];
  netns.exec("tc", "filter", "add", "dev", "e0", ...filter);
  inside(() => Datapath.teardown("e0"));
  assert.match(netns.exec("tc", "filter", "show", "dev", "e0", "egress"), /steer-tc/);
});

/** Programs and filters on both interfaces, as others see them. */
const seen = (): string =>
  ["e0", "e1"]
    .flatMap((device) => [
      netns.ip("-d", "link", "show", device).replaceAll(/state \S+/g, ""),
      netns.exec("tc", "qdisc", "show", "dev", device),
      netns.exec("tc", "filter", "show", "dev", device, "ingress"),
      netns.exec("tc", "filter", "show", "dev", device, "egress"),
    ])
    .join("");

const ARM = { interface: "e1" } as const;
const openWithArm = (hook: "tc" | "xdp"): Datapath =>
  inside(() => Datapath.open({ ...OPTIONS, hook, arms: [ARM] }));

for (const hook of ["tc", "xdp"] as const) {
  test(`B5, A22: an arm that refuses the ${hook} program leaves nothing on the interface before it`, () => {
    // as some traffic shapers make it: it has no place for the egress program
    netns.exec("tc", "qdisc", "add", "dev", "e1", "ingress");
    const before = seen();
    assert.throws(() => openWithArm(hook), /e1 has an ingress qdisc.*tc qdisc del dev e1 ingress/);
    assert.equal(seen(), before);
  });

  test(`B5, A22: an arm that refuses the ${hook} program leaves the earlier agent's one in its place`, () => {
    const first = inside(() => Datapath.open({ ...OPTIONS, hook: "tc" }));
    first.publish(alternatingTables(3));
    first.close();
    const [before] = programIds();
    netns.exec("tc", "qdisc", "add", "dev", "e1", "ingress");
    assert.throws(() => openWithArm(hook), /e1 has an ingress qdisc.*tc qdisc del dev e1 ingress/);
    assert.deepEqual(programIds(), [before]);
    const next = inside(() => Datapath.open({ ...OPTIONS, hook: "tc" }));
    assert.equal(next.reused, true);
    assert.deepEqual(next.version(), alternatingTables(3).version);
    assert.equal(inside(() => next.testRun(segment)).reason, "forward-owner");
    next.close();
    inside(() => Datapath.teardown("e0"));
    assert.doesNotMatch(netns.exec("tc", "qdisc", "show", "dev", "e0"), /clsact/, "still ours");
  });
}

test("B5: errors say what is missing", () => {
  assert.throws(
    () => inside(() => Datapath.open({ ...OPTIONS, interface: "nope0" })),
    (error: unknown) => hasCode("PAN_INTERFACE_MISSING")(error) && /nope0/.test(String(error)),
  );
  assert.throws(
    () =>
      inside(() => Datapath.open({ ...OPTIONS, hook: "xdp", interface: "lo", mac: mac(OWN_MAC) })),
    (error: unknown) => hasCode("PAN_NO_BPF")(error) && /datapath\.hook to tc/.test(String(error)),
  );
});
