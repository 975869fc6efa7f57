// B10: what is told of moved VIPs, and why they moved.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { NO_NODE, nodeId, type NodeId } from "#base/ids.ts";
import type { Tables } from "#core/steering/tables.ts";
import { groupOf, specOf } from "./testing/cluster.ts";
import { type Loss, VipMoves } from "./vip-moves.ts";

const [N1, N2, N3] = [nodeId(1), nodeId(2), nodeId(3)] as const;
const [V1, V2] = [ip("10.0.0.100"), ip("10.0.0.101")] as const;
const stays: Loss = () => undefined;
const spec = specOf(groupOf([1]));

const tables = (holders?: readonly NodeId[], master = N1): Tables => ({
  version: { epoch: 1, counter: 1, master },
  delivery: { method: "forward", primary: V1 },
  hash: "keyed",
  hashKey: [1, 2],
  nodes: [],
  vips: [V1, V2],
  ...(holders === undefined ? {} : { vipHolders: { holders, homes: holders } }),
  groups: [],
});

test("B10: a move is told once, when the VIP has arrived, with who had it before", () => {
  const moves = new VipMoves();
  assert.deepEqual(moves.installed(tables([N1, N2]), stays), [], "nothing was known before");
  moves.specChanged(spec, { ...spec, interfaceNodes: { nodes: [], ranked: [] } });
  assert.deepEqual(moves.installed(tables([NO_NODE, N2]), stays), [], "it is on its way");
  const move = { from: N1, to: N3, cause: "placement", vips: [V1] };
  assert.deepEqual(moves.installed(tables([N3, N2]), stays), [move]);
  assert.deepEqual(moves.installed(tables([N3, N2]), stays), []);
});

test("B10: what became of the node that had them comes first among the causes", () => {
  const moves = new VipMoves();
  moves.installed(tables([N2, N2]), stays);
  moves.arrived("join");
  const dead: Loss = (from) => (from === N2 ? "death" : undefined);
  assert.deepEqual(moves.installed(tables([N1, N3]), dead), [
    { from: N2, to: N1, cause: "death", vips: [V1] },
    { from: N2, to: N3, cause: "death", vips: [V2] },
  ]);
  assert.deepEqual(moves.installed(tables([N2, N3]), stays), [
    { from: N1, to: N2, cause: "join", vips: [V1] },
  ]);
});

test("B10: where the master has all of them, a new master is no move of VIPs", () => {
  const moves = new VipMoves();
  moves.installed(tables(undefined, N1), stays);
  assert.deepEqual(moves.installed(tables(undefined, N2), stays), []);
  const spread = moves.installed(tables([N2, N3], N2), stays);
  assert.deepEqual(spread, [{ from: N2, to: N3, cause: "other", vips: [V2] }]);
  const back = moves.installed(tables(undefined, N2), stays);
  assert.deepEqual(back, [{ from: N3, to: N2, cause: "other", vips: [V2] }]);
});
