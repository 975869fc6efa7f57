// Before and around joining: what a host lacks, whether its address is taken, whether an agent runs
// already; and announcing while interfaces come and go.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { ip, type IpAddress } from "#base/address.ts";
import { PanError, type ErrorCode } from "#base/error-codes.ts";
import { AgentLock } from "#driver/host/agent-lock.ts";
import { Announcer } from "#driver/host/announcer.ts";
import { findConflict, type ConflictQuestion } from "#driver/host/conflict.ts";
import { unmetRequirements, type RequirementsQuestion } from "#driver/host/requirements.ts";
import { Rtnetlink } from "#driver/netlink/rtnetlink.ts";
import { HOSTS, Segment, VIP4, VIPS } from "./host-segment.ts";

let segment: Segment;
before(() => {
  segment = new Segment("presence");
});
after(() => segment.remove());

const failure = (code: ErrorCode, words: RegExp) => (error: unknown) =>
  error instanceof PanError && error.code === code && words.test(error.message);

function questionOf(address: IpAddress): ConflictQuestion {
  return segment.on("m1", () => {
    const netlink = Rtnetlink.open();
    const link = netlink.link("eth0") ?? assert.fail("eth0");
    netlink.close();
    return { link: link.index, mac: HOSTS.m1.mac, address };
  });
}

for (const family of ["ip4", "ip6"] as const) {
  const own = HOSTS.m1[family];
  const length = family === "ip4" ? 24 : 64;
  const nodad = family === "ip4" ? [] : ["nodad"];

  test(`${own}: nobody else has it`, () => {
    const question = questionOf(own);
    assert.equal(
      segment.on("m1", () => findConflict(question)),
      undefined,
    );
  });

  test(`${own}: another machine has it too, and is named`, () => {
    segment.ip("m2", "address", "add", `${own}/${length}`, "dev", "eth0", ...nodad);
    try {
      const question = questionOf(own);
      assert.equal(
        segment.on("m1", () => findConflict(question)),
        HOSTS.m2.mac,
      );
    } finally {
      segment.ip("m2", "address", "del", `${own}/${length}`, "dev", "eth0");
    }
  });
}

test("a conflict cannot be looked for on an interface that is down", () => {
  const question = questionOf(HOSTS.m1.ip4);
  segment.ip("m1", "link", "add", "idle", "type", "bridge");
  const idle = segment.on("m1", () => {
    const netlink = Rtnetlink.open();
    const link = netlink.link("idle") ?? assert.fail("idle");
    netlink.close();
    return link.index;
  });
  assert.throws(
    () => segment.on("m1", () => findConflict({ ...question, link: idle })),
    failure("PAN_SYSCALL", /ENETDOWN/),
  );
  segment.ip("m1", "link", "del", "idle");
});

test("announcing fails while the interface is down, and works when it is up or made again", () => {
  segment.ip("m2", "link", "add", "eth1", "type", "bridge");
  segment.ip("m2", "link", "set", "eth1", "up");
  const announcer = segment.on("m2", () =>
    Announcer.open({ interface: "eth1", mac: HOSTS.m2.mac }),
  );
  try {
    const announce = (): void => segment.on("m2", () => announcer.announce(VIPS, HOSTS.m2.mac));
    announce();
    segment.ip("m2", "link", "set", "eth1", "down");
    assert.throws(announce, failure("PAN_SYSCALL", /eth1: ENETDOWN/));
    segment.ip("m2", "link", "set", "eth1", "up");
    announce();
    segment.ip("m2", "link", "del", "eth1");
    assert.throws(announce, failure("PAN_SYSCALL", /eth1: (ENXIO|ENODEV)/));
    segment.ip("m2", "link", "add", "eth1", "type", "bridge");
    segment.ip("m2", "link", "set", "eth1", "up");
    announce();
  } finally {
    announcer.close();
    segment.ip("m2", "link", "del", "eth1");
  }
  assert.throws(
    () => segment.on("m2", () => Announcer.open({ interface: "eth1", mac: HOSTS.m2.mac })),
    failure("PAN_INTERFACE_MISSING", /eth1/),
  );
});

const acquire = (host: "m1" | "m2", name: string): AgentLock =>
  segment.on(host, () =>
    AgentLock.acquire({
      stateFolder: path.join(segment.folder, name),
      runtimeFolder: path.join(segment.folder, "run"),
    }),
  );

test("one agent a host: neither two in a network namespace nor two of a state folder", () => {
  const lock = acquire("m1", "first");
  const words = new RegExp(`process ${process.pid}\\b`);
  assert.throws(() => acquire("m1", "second"), failure("PAN_AGENT_RUNNING", words));
  assert.throws(() => acquire("m2", "first"), failure("PAN_AGENT_RUNNING", words));
  const other = acquire("m2", "second");
  other.release();
  lock.release();
  lock.release();
  acquire("m1", "second").release();
  assert.deepEqual(readdirSync(path.join(segment.folder, "run")), [], "no lock file stays");
});

test("the lock of a killed agent is free, and a running one is named by its pid", async () => {
  const script = path.join(import.meta.dirname, "host-lock-holder.ts");
  const folders = ["held", "run"].map((name) => path.join(segment.folder, name));
  const holder = spawn("ip", segment.command("m1", process.execPath, script, ...folders), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(holder, "close");
  try {
    const [line] = (await once(holder.stdout.setEncoding("utf8"), "data")) as [string];
    assert.equal(line, "locked\n");
    const words = new RegExp(`process ${holder.pid}\\b`);
    assert.throws(() => acquire("m1", "held"), failure("PAN_AGENT_RUNNING", words));
  } finally {
    holder.kill("SIGKILL");
    await ended;
  }
  acquire("m1", "held").release();
});

function unmet(question: Partial<RequirementsQuestion>): string[] {
  const whole = { interface: "eth0", address: HOSTS.m1.ip4, vips: VIPS, ...question };
  return segment.on("m1", () => unmetRequirements(whole).map(({ code }) => code));
}

test("requirements: a prepared host has all", () => {
  assert.deepEqual(unmet({}), []);
  assert.deepEqual(unmet({ address: HOSTS.m1.ip6 }), []);
});

test("requirements: interface, its state and the dedicated address", () => {
  assert.deepEqual(unmet({ interface: "eth7" }), ["PAN_INTERFACE_MISSING"]);
  assert.deepEqual(unmet({ address: ip("10.9.0.77") }), ["PAN_ADDRESS_MISSING"]);
  segment.ip("m1", "link", "set", "lo", "down");
  assert.deepEqual(unmet({}), ["PAN_INTERFACE_DOWN"]);
  segment.ip("m1", "link", "set", "lo", "up");
});

test("requirements: settings that keep the kernel from answering for VIPs", () => {
  segment.setSysctl("m1", "ipv4/conf/all/arp_ignore", 2);
  assert.deepEqual(unmet({}), ["PAN_HOST_SETTING"]);
  segment.setSysctl("m1", "ipv4/conf/all/arp_ignore", 3);
  assert.deepEqual(unmet({}), ["PAN_HOST_SETTING"]);
  assert.deepEqual(unmet({ vips: [] }), []);
  // The check is right: with 3, Linux does not answer for an address of scope "host".
  segment.ip("m1", "address", "add", `${VIP4}/32`, "scope", "host", "dev", "eth0");
  assert.equal(segment.ping("client", VIP4), false);
  segment.setSysctl("m1", "ipv4/conf/all/arp_ignore", 1);
  segment.ip("client", "neigh", "flush", "all");
  assert.equal(segment.ping("client", VIP4), true);
  segment.ip("m1", "address", "del", `${VIP4}/32`, "dev", "eth0");
  segment.setSysctl("m1", "ipv4/conf/all/arp_ignore", 0);
  segment.setSysctl("m1", "ipv6/conf/lo/disable_ipv6", 1);
  assert.deepEqual(unmet({}), ["PAN_HOST_SETTING"]);
  assert.deepEqual(unmet({ vips: [VIP4] }), []);
  segment.setSysctl("m1", "ipv6/conf/lo/disable_ipv6", 0);
});
