// B4: a former owner says where it has no connection left, and is sure of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, ipBytes } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { FormerSlots, type Connection } from "./former-slots.ts";
import { slotOf } from "./hash.ts";
import { nextTables } from "./next-tables.ts";
import { flowOf, readPacket } from "./packet.ts";
import { FORMER_OWNERS, type Tables } from "./tables.ts";
import { chainOf, desired, version, web } from "./testing/desired.ts";
import { ethernet, ipv4, SYN, tcp } from "./testing/frames.ts";

const N1 = nodeId(1);
const VIP = ip("10.0.0.100");
const SLOTS = 8;

const connection = (port: number, to = VIP, toPort = 80): Connection => ({
  source: ipBytes(ip("192.0.2.7")),
  sourcePort: port,
  destination: ipBytes(to),
  destinationPort: toPort,
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
const unusedOf = (found: readonly { name: string; unused: readonly number[] }[]): number[] =>
  found.flatMap(({ unused }) => [...unused]);

test("B4: a slot counts as unused when two looks in a row found no connection in it", () => {
  const tables = moved();
  assert.deepEqual(chainOf(web(tables), 0), [2, 1, 0, 0]);
  const slots = new FormerSlots(N1);
  assert.deepEqual(
    slots.look(tables, () => []),
    [],
  );
  assert.deepEqual(
    slots.look(tables, () => []),
    [{ name: "web", unused: all }],
  );
});

test("B4: the slot of a connection is in use, and only that one; a connection to elsewhere is none", () => {
  const tables = moved();
  const slots = new FormerSlots(N1);
  const open = [connection(40_000)];
  const others = [connection(1, ip("10.0.0.9")), connection(2, VIP, 8080)];
  slots.look(tables, () => open);
  const unused = unusedOf(slots.look(tables, () => [...open, ...others]));
  assert.equal(unused.length, SLOTS - 1);
  // it closes: unused after two looks
  assert.equal(unusedOf(slots.look(tables, () => [])).length, SLOTS - 1);
  assert.equal(unusedOf(slots.look(tables, () => [])).length, SLOTS);
});

test("B4: a connection that opens between two looks keeps its slot", () => {
  const tables = moved();
  const slots = new FormerSlots(N1);
  slots.look(tables, () => []);
  assert.equal(unusedOf(slots.look(tables, () => [connection(40_000)])).length, SLOTS - 1);
  assert.equal(unusedOf(slots.look(tables, () => [])).length, SLOTS - 1);
});

test("B4: a node that is nobody's former owner does not look at its connections", () => {
  const tables = moved();
  const slots = new FormerSlots(nodeId(2));
  const found = slots.look(tables, () => assert.fail("it looked"));
  assert.deepEqual(found, []);
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
    const slots = new FormerSlots(N1);
    slots.look(tables, () => [connection(port)]);
    const unused = unusedOf(slots.look(tables, () => [connection(port)]));
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
  const slots = new FormerSlots(N1);
  slots.look(routed, () => []);
  assert.deepEqual(
    slots.look(routed, () => []),
    [],
  );
});
