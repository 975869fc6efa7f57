// What the packet program tells the agent beside its counters: how much it took of each slot (A8), and which datagrams it knows.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ip, mac } from "#base/address.ts";
import {
  ethernet,
  fragmentHeader,
  ipv4,
  ipv6,
  join,
  udp,
  zeros,
} from "#core/steering/testing/frames.ts";
import { held, owned, ROUTER_MAC } from "#core/steering/testing/vector.ts";
import type { Tables } from "#core/steering/tables.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { fragmentKey } from "#driver/bpf/fragment-lookup.ts";
import { inNetns } from "#driver/libc.ts";
import { hex } from "#wire/testing/hex.ts";
import { SELF } from "#core/steering/testing/vector.ts";
import { TestNetns } from "./netns.ts";
import { SteerProgram } from "./steer-program.ts";

let netns: TestNetns;
before(() => {
  netns = new TestNetns("steer-slots");
  netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
  netns.ip("link", "set", "eth0", "address", SELF.mac);
});
after(() => netns.remove());

const VIP = "10.0.0.100";
const link = { to: SELF.mac, from: ROUTER_MAC };

const datagram = (port: number, fragment: { more?: boolean; offset?: number } = {}): Uint8Array =>
  ethernet(
    link,
    0x0800,
    ipv4(
      { source: "192.0.2.7", destination: VIP },
      17,
      fragment.offset === undefined ? udp({ from: port, to: 53 }, zeros(100)) : zeros(24),
      {
        moreFragments: fragment.more === true,
        offset: fragment.offset ?? 0,
        identification: 0x1234,
      },
    ),
  );

function withDatapath(run: (datapath: Datapath) => void): void {
  inNetns(netns.path, () => {
    const datapath = Datapath.open({ interface: "eth0", hook: "tc", self: SELF.id });
    try {
      run(datapath);
    } finally {
      datapath.close();
      Datapath.teardown("eth0");
    }
  });
}

test("A8: what this node takes is counted by slot while it is told to, and read as differences", () => {
  withDatapath((datapath) => {
    datapath.publish(owned(1));
    const frames = Array.from({ length: 40 }, (_, index) => datagram(40_000 + index));
    for (const frame of frames) assert.equal(datapath.testRun(frame).reason, "pass-local");
    assert.deepEqual(sums(datapath), { packets: 0, bytes: 0 });
    datapath.measureSlots(true);
    for (const frame of frames) datapath.testRun(frame);
    const web = datapath.slotCounters().get("web");
    assert.equal(web?.packets.length, 2);
    assert.ok(
      web.packets.every((packets) => packets > 5),
      `${web.packets.join(" and ")} packets`,
    );
    assert.deepEqual(
      [...web.bytes],
      [...web.packets].map((packets) => packets * 142),
    );
    assert.deepEqual(sums(datapath), { packets: 0, bytes: 0 }, "only what came since");
    for (const frame of frames) datapath.testRun(frame);
    assert.deepEqual(sums(datapath), { packets: 40, bytes: 40 * 142 });
    datapath.measureSlots(false);
    for (const frame of frames) datapath.testRun(frame);
    assert.deepEqual(sums(datapath), { packets: 0, bytes: 0 });
  });
});

test("A8: frames that go to another node are not counted by slot here", () => {
  withDatapath((datapath) => {
    datapath.publish(owned(2));
    datapath.measureSlots(true);
    assert.equal(datapath.testRun(datagram(40_000)).reason, "forward-owner");
    assert.deepEqual(sums(datapath), { packets: 0, bytes: 0 });
  });
});

function sums(datapath: Datapath): { packets: number; bytes: number } {
  const total = { packets: 0, bytes: 0 };
  for (const load of datapath.slotCounters().values()) {
    total.packets += load.packets.reduce((sum, count) => sum + count, 0);
    total.bytes += load.bytes.reduce((sum, count) => sum + count, 0);
  }
  return total;
}

test("A14: a fragment that waits is told when its first one has come by", () => {
  withDatapath((datapath) => {
    datapath.publish(owned(2));
    const late = datagram(40_000, { offset: 16 });
    assert.equal(datapath.testRun(late).reason, "hold-early-fragment");
    assert.equal(datapath.isFirstFragmentSeen(late), false);
    assert.equal(datapath.testRun(datagram(40_000, { more: true })).reason, "forward-owner");
    assert.equal(datapath.isFirstFragmentSeen(late), true);
    assert.equal(datapath.testRun(late).reason, "forward-owner");
    assert.equal(datapath.isFirstFragmentSeen(zeros(60)), false);
  });
});

test("A14: the key of an IPv6 datagram, byte by byte", () => {
  const field = { identification: 0xdeadbeef, offset: 3, more: false };
  const packet = ipv6(
    { source: "2001:db8:1::7", destination: "2001:db8::100" },
    44,
    join(fragmentHeader(17, field), zeros(16)),
  );
  const key = fragmentKey(ethernet(link, 0x86dd, packet));
  assert.equal(
    key === undefined ? "" : hex(key),
    "20010db8000100000000000000000007" +
      "20010db8000000000000000000000100" +
      "deadbeef" +
      "11000000",
  );
});

test("A15: a frame that waits names its group", () => {
  withDatapath((datapath) => {
    datapath.publish(held());
    assert.equal(datapath.testRun(datagram(40_000)).reason, "hold-unassigned");
    assert.equal(datapath.heldGroup(1), "web");
    assert.equal(datapath.heldGroup(0), undefined);
    assert.equal(datapath.held.size, 2 ** 20);
    assert.ok(datapath.held.fd > 0);
    assert.deepEqual(ip(VIP), "10.0.0.100");
  });
});

test("A15: an agent that is killed while slots lose their owner leaves a program that lets packets wait", () => {
  inNetns(netns.path, () => {
    const program = new SteerProgram("tc", SELF.id, mac(SELF.mac));
    try {
      program.prepare(owned(1), { leased: true, accepting: true });
      assert.equal(program.run(datagram(40_000)).reason, "pass-local");
      program.interrupt(withNewGroup(held()));
      assert.equal(program.run(datagram(40_000)).reason, "hold-unassigned");
      program.prepare(held(), { leased: true, accepting: true });
      program.interrupt(withNewGroup(owned(1)));
      assert.equal(program.run(datagram(40_000)).reason, "pass-local");
    } finally {
      program.close();
    }
  });
});

/** The first group whose counter is new comes last: by then the slots of the others are written, and no service is. */
function withNewGroup(tables: Tables): Tables {
  const [web] = tables.groups;
  assert.ok(web !== undefined);
  const services = [{ protocol: "udp", vip: ip(VIP), port: 123 }] as const;
  return { ...tables, groups: [...tables.groups, { ...web, name: "new", services }] };
}
