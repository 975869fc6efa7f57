// B4 as a whole: several nodes that steer by the same model, an established connection, and tables that change.
// Connections are opened through the cluster itself, then segments must find them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { macBytes, type MacAddress } from "#base/address.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import { FragmentMemory } from "./fragments.ts";
import { indexTables } from "./indexed-tables.ts";
import { nextTables } from "./next-tables.ts";
import { steer } from "./pipeline.ts";
import type { Tables } from "./tables.ts";
import { desired, version, type TestNode } from "./testing/desired.ts";
import { ACK, ethernet, ipv4, SYN, tcp } from "./testing/frames.ts";

const NODES = 5;
const ADDRESSES = { source: "192.0.2.7", destination: "10.0.0.100" };

function macOf(tables: Tables, id: NodeId): MacAddress {
  const row = tables.nodes.find((candidate) => candidate.id === id);
  assert.ok(row, `node ${id} is in the tables`);
  return row.mac;
}

/** Node at which a segment ends that enters the cluster at `entry`; each node has its own tables. */
function delivered(
  flags: number,
  entry: NodeId,
  tablesOf: (node: NodeId) => Tables,
  knower: NodeId | undefined,
): NodeId {
  const link = { to: macOf(tablesOf(entry), entry), from: "02:aa:00:00:00:fe" };
  const frame = ethernet(link, 0x0800, ipv4(ADDRESSES, 6, tcp({ from: 40_000, to: 80 }, flags)));
  let at = entry;
  for (let passages = 0; passages <= 7; passages++) {
    const verdict = steer(frame, {
      tables: indexTables(tablesOf(at)),
      self: at,
      mac: macBytes(macOf(tablesOf(at), at)),
      leased: true,
      accepting: true,
      knows: () => at === knower,
      noteSession: () => {},
      fragments: new FragmentMemory(),
      canHold: (_, length) => length <= 2048,
    });
    if (verdict.action === "pass") return at;
    assert.equal(verdict.action, "forward", verdict.reason);
    if (verdict.action === "forward") at = verdict.node;
  }
  throw new Error("forwarded more often than hops can rise");
}

const serving = fc
  .array(fc.boolean(), { minLength: NODES, maxLength: NODES })
  .filter((flags) => flags.includes(true))
  .map((flags): TestNode[] => flags.map((serves, index) => ({ id: index + 1, serves })));
const node = fc.integer({ min: 1, max: NODES }).map(nodeId);

function published(states: readonly (readonly TestNode[])[]): Tables[] {
  const result: Tables[] = [];
  states.forEach((nodes, index) => {
    result.push(nextTables(result.at(-1), desired(8, nodes), version(index + 1)));
  });
  return result;
}

test("B4: three changes of the table do not keep a segment from its connection", () => {
  const states = fc.array(serving, { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(states, node, node, (series, before, later) => {
      const tables = published(series);
      const [first, last] = [tables[0], tables.at(-1)];
      assert.ok(first && last);
      const home = delivered(SYN, before, () => first, undefined);
      assert.equal(
        delivered(ACK, later, () => last, home),
        home,
      );
    }),
    { numRuns: 1000 },
  );
});

test("B4: while a change is being published, a segment finds its connection by old and new tables", () => {
  const mixture = fc.array(fc.boolean(), { minLength: NODES, maxLength: NODES });
  fc.assert(
    fc.property(serving, serving, mixture, node, node, (one, two, newer, before, later) => {
      const [old, next] = published([one, two]);
      assert.ok(old && next);
      const home = delivered(SYN, before, () => old, undefined);
      const tablesOf = (id: NodeId): Tables => (newer[id - 1] === true ? next : old);
      assert.equal(delivered(ACK, later, tablesOf, home), home);
    }),
    { numRuns: 1000 },
  );
});

test("B4: owners that come back: a segment finds its connection by the interface node's older table", () => {
  const order = fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(order, fc.nat(), node, node, (owners, back, interfaceNode, before) => {
      // the last change gives the slots back to one that had them before
      const returning = owners[back % (owners.length - 1)] ?? 1;
      const series = [...owners, returning].map((owner) =>
        [1, 2, 3, 4, 5].map((id) => ({ id, serves: id === owner })),
      );
      const tables = published(series);
      const [old, next] = [tables.at(-2), tables.at(-1)];
      assert.ok(old && next);
      const tablesOf = (id: NodeId): Tables => (id === interfaceNode ? old : next);
      for (const opened of tables.slice(-4, -1)) {
        const home = delivered(SYN, before, () => opened, undefined);
        assert.equal(delivered(ACK, interfaceNode, tablesOf, home), home);
      }
    }),
    { numRuns: 1000 },
  );
});

test("B7: connections of a node that drains end there, also when it was the last one", () => {
  const all = (serves: boolean): TestNode[] => [
    { id: 1, serves: false },
    { id: 2, serves },
  ];
  const [old, next] = published([all(true), all(false)]);
  assert.ok(old && next);
  const interfaceNode = nodeId(1);
  const home = delivered(SYN, interfaceNode, () => old, undefined);
  assert.equal(home, 2);
  assert.equal(
    delivered(ACK, interfaceNode, () => next, home),
    2,
  );
  assert.equal(
    delivered(SYN, interfaceNode, () => next, undefined),
    1,
    "new ones are refused here",
  );
});
