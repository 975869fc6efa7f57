// Frames that have to wait, from the packet program through its ring buffer to the agent (A15).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ip, ipBytes, mac, macBytes } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { ethernet, ipv4, SYN, tcp, zeros } from "#core/steering/testing/frames.ts";
import { held, OWN4, owned, ROUTER_MAC, SELF } from "#core/steering/testing/vector.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { HeldFrames, heldRecord, type HeldRecord } from "#driver/bpf/held-frames.ts";
import { RingBuffer } from "#driver/bpf/ring-buffer.ts";
import { inNetns } from "#driver/libc.ts";
import { TestNetns } from "./netns.ts";

let netns: TestNetns;
let datapath: Datapath;
before(() => {
  netns = new TestNetns("held-frames");
  netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
  netns.ip("link", "set", "eth0", "address", SELF.mac);
  datapath = inNetns(netns.path, () =>
    Datapath.open({ interface: "eth0", hook: "tc", self: SELF.id, heldCapacity: 16_384 }),
  );
  datapath.publish(held());
});
after(() => {
  datapath?.close();
  netns.remove();
});

const link = { to: SELF.mac, from: ROUTER_MAC };
const ends = { source: "192.0.2.7", destination: "10.0.0.100" };
const opening = (port: number, more = 0): Uint8Array => {
  const segment = tcp({ from: port, to: 80 }, SYN);
  return ethernet(link, 0x0800, ipv4(ends, 6, new Uint8Array([...segment, ...zeros(more)])));
};

/** Takes everything out of the ring. */
function drained(ring: RingBuffer): (HeldRecord | undefined)[] {
  return ring.read(1000).map(heldRecord);
}

test("A15: a frame that waits comes out as it came in, with its slot and group, in order", () => {
  const ring = new RingBuffer(datapath.held.fd, datapath.held.size);
  try {
    drained(ring);
    const frames = [opening(40_000), opening(40_001, 1000), opening(40_002)];
    for (const frame of frames) {
      assert.equal(datapath.testRun(frame.slice()).reason, "hold-unassigned");
    }
    const records = drained(ring);
    assert.deepEqual(
      records.map((record) => record?.frame),
      frames,
    );
    for (const record of records) {
      assert.equal(record?.reason, "hold-unassigned");
      assert.equal(datapath.heldGroup(record.group), "web");
      assert.ok(record.slot === 0 || record.slot === 1, `slot ${record.slot} of two`);
    }
    assert.deepEqual(drained(ring), []);
  } finally {
    ring.close();
  }
});

test("A15: a full ring drops and counts; once it is read there is room again, round after round", () => {
  const ring = new RingBuffer(datapath.held.fd, datapath.held.size);
  try {
    for (let round = 0; round < 5; round++) {
      drained(ring);
      let taken = 0;
      while (datapath.testRun(opening(41_000 + taken)).reason === "hold-unassigned") taken += 1;
      assert.equal(datapath.testRun(opening(42_000)).reason, "drop-hold-full");
      const ports = drained(ring).map((record) => {
        const { frame } = record ?? assert.fail("a record of another form");
        return new DataView(frame.buffer, frame.byteOffset).getUint16(34);
      });
      assert.deepEqual(
        ports,
        Array.from({ length: taken }, (_, index) => 41_000 + index),
      );
      assert.ok(taken > 20, `${taken} frames in 16 KiB`);
    }
  } finally {
    ring.close();
  }
});

test("B11: what is told of packets too big for a tunnel leaves half of the ring to frames that wait", () => {
  const ring = new RingBuffer(datapath.held.fd, datapath.held.size);
  const ends = { source: ipBytes(ip(OWN4)), destination: ipBytes(ip("198.51.100.5")) };
  const macs = { nextMac: macBytes(mac(ROUTER_MAC)), ownMac: macBytes(mac(SELF.mac)) };
  const tunnel = { node: nodeId(2), kind: "ipip", ...ends, ...macs, link: 1, mtu: 1324 } as const;
  try {
    drained(ring);
    datapath.setTunnels([tunnel], ends.source, false);
    datapath.publish(owned(2));
    for (let port = 44_000; port < 44_040; port++) {
      assert.equal(datapath.testRun(opening(port, 1400)).reason, "drop-too-big");
    }
    datapath.publish(held());
    assert.equal(datapath.testRun(opening(45_000, 1000)).reason, "hold-unassigned");
    const reasons = drained(ring).map((record) => record?.reason);
    assert.equal(reasons.pop(), "hold-unassigned");
    assert.ok(reasons.length > 0 && reasons.every((reason) => reason === "drop-too-big"));
  } finally {
    datapath.setTunnels([], ends.source, false);
    datapath.publish(held());
    ring.close();
  }
});

test("A15: the agent hears of frames as they come; what is older than the agent is not for it", async () => {
  datapath.testRun(opening(43_000));
  let heard: (frames: HeldRecord[]) => void = () => {};
  const first = new Promise<HeldRecord[]>((resolve) => {
    heard = resolve;
  });
  const frames = HeldFrames.open(datapath.held, (records) => heard(records));
  try {
    datapath.testRun(opening(43_001));
    const keepAlive = setInterval(() => {}, 1000);
    const records = await first;
    clearInterval(keepAlive);
    assert.deepEqual(
      records.map(({ frame }) => frame),
      [opening(43_001)],
    );
  } finally {
    frames.close();
  }
});
