// B4: a former owner says where it has no connection left, and is sure of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, ipBytes } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { withExceptions } from "./exceptions.ts";
import { FormerSlots, type Connection, type Look } from "./former-slots.ts";
import { slotOf } from "./hash.ts";
import { nextTables } from "./next-tables.ts";
import { flowOf, readPacket } from "./packet.ts";
import { FORMER_OWNERS, type Tables } from "./tables.ts";
import { chainOf, desired, version, web } from "./testing/desired.ts";
import { keyOf, pinning } from "./testing/pinned.ts";
import { ethernet, ipv4, SYN, tcp } from "./testing/frames.ts";

const N1 = nodeId(1);
const VIP = ip("10.0.0.100");
const SLOTS = 8;

const connection = (port: number, to = VIP, toPort = 80): Connection => ({
  source: ipBytes(ip("192.0.2.7")),
  sourcePort: port,
  destination: ipBytes(to),
  destinationPort: toPort,
  halfOpen: false,
  protocol: 6,
});

/** Node 1 owned everything, then node 2. */
function moved(): Tables {
  const first = nextTables(
    undefined,
    desired(SLOTS, [{ id: 1 }, { id: 2, weight: 0 }]),
    version(1),
  );
  return nextTables(first, desired(SLOTS, [{ id: 1, weight: 0 }, { id: 2 }]), version(2));
}

const all = [...Array(SLOTS).keys()];
const unusedOf = ({ unused }: Look): number[] => unused.flatMap((group) => [...group.unused]);

/** A node that looks once a second. */
function looking(self = N1): (tables: Tables, connections: readonly Connection[]) => Look {
  const slots = new FormerSlots(self);
  let nowMs = 0;
  return (tables, connections) => slots.look(instant((nowMs += 1000)), tables, () => connections);
}

test("B4: a slot counts as unused when two looks, a second apart, found no connection in it", () => {
  const tables = moved();
  assert.deepEqual(chainOf(web(tables), 0), [2, 1, 0, 0]);
  const slots = new FormerSlots(N1);
  const look = (ms: number): Look => slots.look(instant(ms), tables, () => []);
  assert.deepEqual(look(0), { unused: [], established: [], ended: [] });
  assert.deepEqual(unusedOf(look(100)), []);
  assert.deepEqual(look(1000).unused, [{ name: "web", unused: all }]);
});

test("B4: the slot of a connection is in use, and only that one; a connection to elsewhere is none", () => {
  const tables = moved();
  const look = looking();
  const open = [connection(40_000)];
  const others = [connection(1, ip("10.0.0.9")), connection(2, VIP, 8080)];
  look(tables, open);
  assert.equal(unusedOf(look(tables, [...open, ...others])).length, SLOTS - 1);
  // it closes: unused after two looks
  assert.equal(unusedOf(look(tables, [])).length, SLOTS - 1);
  assert.equal(unusedOf(look(tables, [])).length, SLOTS);
});

test("B4: a connection that opens between two looks keeps its slot", () => {
  const tables = moved();
  const look = looking();
  look(tables, []);
  assert.equal(unusedOf(look(tables, [connection(40_000)])).length, SLOTS - 1);
  assert.equal(unusedOf(look(tables, [])).length, SLOTS - 1);
});

test("B4: connections in slots of others are reported until they are pinned; then their slot is not in use any more", () => {
  const tables = moved();
  const look = looking();
  const open = [connection(40_000)];
  const { established } = look(tables, open);
  assert.deepEqual(established, [keyOf({ from: ["192.0.2.7", 40_000], to: [VIP, 80] })]);
  assert.deepEqual(look(tables, open).established, established);
  const pinned = withExceptions(tables, tables, new Map(established.map((flow) => [flow, N1])));
  look(pinned.tables, open);
  const last = look(pinned.tables, open);
  assert.deepEqual(last.established, []);
  assert.deepEqual(unusedOf(last), all);
  assert.deepEqual(last.ended, []);
});

test("B4: one that is half open keeps its slot, and is not pinned: anybody can send SYNs", () => {
  const tables = moved();
  const look = looking();
  const half = [{ ...connection(40_000), halfOpen: true }];
  assert.deepEqual(look(tables, half).established, []);
  assert.equal(unusedOf(look(tables, half)).length, SLOTS - 1);
});

test("B4: a connection of this machine to its own VIP is nobody else's business", () => {
  const tables = moved();
  const look = looking();
  const own = [{ ...connection(40_000), source: ipBytes(VIP) }];
  look(tables, own);
  const { established, ...found } = look(tables, own);
  assert.deepEqual(established, []);
  assert.deepEqual(unusedOf({ established, ...found }), all);
});

test("B4: a pinned connection has ended when two looks did not find it, or when its slot is this node's", () => {
  const flow = { from: ["192.0.2.7", 40_000], to: [VIP, 80] } as const;
  const tables = pinning(moved(), [{ ...flow, node: 1 }]);
  const look = looking();
  assert.deepEqual(look(tables, []).ended, []);
  assert.deepEqual(look(tables, [connection(40_000)]).ended, []);
  assert.deepEqual(look(tables, []).ended, []);
  assert.deepEqual(look(tables, []).ended, [keyOf(flow)]);
  const returned = nextTables(
    tables,
    desired(SLOTS, [{ id: 1 }, { id: 2, weight: 0 }]),
    version(3),
  );
  const again = looking();
  again(returned, [connection(40_000)]);
  assert.deepEqual(again(returned, [connection(40_000)]).ended, [keyOf(flow)]);
});

test("B4: tables that still pin what was said to have ended ask once more, since what is said by older ones does not count", () => {
  const flow = { from: ["192.0.2.7", 40_000], to: [VIP, 80] } as const;
  const back = nextTables(moved(), desired(SLOTS, [{ id: 1 }]), version(3));
  const settled = {
    ...back,
    groups: back.groups.map((g) => ({ ...g, former: g.former.map(() => 0) })),
  };
  const tables = pinning(settled, [{ ...flow, node: 1 }]);
  const slots = new FormerSlots(N1);
  const look = (ms: number): Look => slots.look(instant(ms), tables, () => []);
  look(0);
  assert.equal(slots.isAsked(tables), false, "nothing has been said");
  assert.deepEqual(look(1000).ended, [keyOf(flow)]);
  assert.equal(slots.isAsked({ ...tables, version: version(4) }), true);
  assert.equal(slots.isAsked(settled), false, "it is not pinned any more");
});

test("B12: sessions of a group that pins them are pinned like connections, and those of others are not", () => {
  const before = moved();
  const udp = { ...connection(40_000), protocol: 17 };
  const services = [{ protocol: "udp" as const, vip: VIP, port: 80 }];
  const served = (udpIdleMs: number): Tables => ({
    ...before,
    groups: before.groups.map((group) => ({ ...group, services, udpIdleMs })),
  });
  const flow = keyOf({ from: ["192.0.2.7", 40_000], to: [VIP, 80], protocol: 17 });
  assert.deepEqual(looking()(served(30_000), [udp]).established, [flow]);
  assert.deepEqual(looking()(served(0), [udp]).established, []);
});

test("B4: connections in slots that were once this node's are found when no chain names it any more", () => {
  const tables = moved();
  const look = looking();
  const open = [connection(40_000)];
  look(tables, open);
  const swept: Tables = {
    ...tables,
    groups: tables.groups.map((group) => ({ ...group, former: new Uint16Array(3 * SLOTS) })),
  };
  assert.equal(look(swept, open).established.length, 1);
});

test("B4: a node that is nobody's former owner does not look at its connections", () => {
  const tables = moved();
  const slots = new FormerSlots(nodeId(2));
  const found = slots.look(instant(0), tables, () => assert.fail("it looked"));
  assert.deepEqual(found, { unused: [], established: [], ended: [] });
  assert.equal(slots.isAsked(tables), false);
  assert.equal(new FormerSlots(N1).isAsked(tables), true);
});

test("B4: a connection keeps the slot that a packet of it is steered by", () => {
  const tables = moved();
  const link = { to: "02:50:00:00:00:01", from: "02:aa:00:00:00:fe" };
  const ends = { source: "192.0.2.7", destination: VIP };
  for (const port of [1, 255, 256, 40_000, 65_535]) {
    const frame = ethernet(link, 0x0800, ipv4(ends, 6, tcp({ from: port, to: 80 }, SYN)));
    const packet = readPacket(frame);
    assert.ok(typeof packet === "object" && packet.type === "ip");
    const flow = flowOf(packet);
    assert.ok(flow);
    const steered = slotOf(tables, "weighted", flow, SLOTS);
    const look = looking();
    look(tables, [connection(port)]);
    const unused = unusedOf(look(tables, [connection(port)]));
    assert.deepEqual(
      all.filter((slot) => !unused.includes(slot)),
      [steered],
      `port ${port}`,
    );
  }
});

test("A22: nothing is said about groups whose connections are routed through", () => {
  const tables = moved();
  const routed: Tables = {
    ...tables,
    groups: tables.groups.map((group) => ({ ...group, policy: "routed", services: [] })),
  };
  assert.equal(web(routed).former.length, SLOTS * FORMER_OWNERS);
  const look = looking();
  look(routed, []);
  assert.deepEqual(look(routed, []).unused, []);
});
