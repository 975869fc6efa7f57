// A7: member lists longer than a datagram.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { NO_NODE, NO_TABLES, nodeId } from "#base/ids.ts";
import type { MasterKeepalive } from "#wire/cluster/message.ts";
import { RosterAssembly, rosterParts, secondaryOf } from "./roster.ts";
import type { Member } from "./types.ts";

const member = (id: number): Member => ({
  id: nodeId(id),
  address: ip(`10.0.${id >> 8}.${id & 255}`),
  mac: mac("02:00:00:00:00:01"),
});
const members = Array.from({ length: 512 }, (_, index) => member(index + 1));

const keepalives = (list: readonly Member[], roster: number, epoch = 1): MasterKeepalive[] =>
  rosterParts(list).map(({ offset, members }) => ({
    type: "master-keepalive",
    sequence: 1,
    epoch,
    config: { counter: 1, digest: "0000000000000000" },
    tables: NO_TABLES,
    detectionMs: 200,
    perInterval: 5,
    roster,
    isMost: true,
    memberCount: list.length,
    offset,
    members,
  }));

test("A7: a list of 512 is complete when its last part has come, in any order", () => {
  const assembly = new RosterAssembly();
  const parts = keepalives(members, 3).toReversed();
  const results = parts.map((part) => assembly.add(part));
  assert.deepEqual(
    results.slice(0, -1).filter((result) => result !== undefined),
    [],
  );
  assert.deepEqual(results.at(-1), members);
});

test("A7: parts of an older list are not mixed in", () => {
  const assembly = new RosterAssembly();
  const [first, second] = keepalives(members.slice(0, 60), 4);
  const [old] = keepalives(members.slice(0, 60), 3);
  assert.ok(first && second && old);
  assert.equal(assembly.add(second), undefined);
  assert.equal(assembly.add(old), undefined);
  assert.equal(assembly.add(first)?.length, 60);
  assert.equal(assembly.add(first), undefined, "known already");
});

test("A7: a list of an earlier reign is not taken for a newer one, however high its number", () => {
  const assembly = new RosterAssembly();
  const [old] = keepalives(members.slice(0, 2), 9, 3);
  const [present] = keepalives(members.slice(0, 3), 1, 4);
  assert.ok(old && present);
  assert.equal(assembly.add(old)?.length, 2);
  assert.equal(assembly.add(present)?.length, 3);
  assert.equal(assembly.add({ ...old, roster: 10 }), undefined);
});

test("A12: the secondary has the lowest address beside the master", () => {
  const list = [member(3), member(1), member(2)];
  const anybody = (): boolean => true;
  assert.equal(secondaryOf(list, nodeId(1), anybody), 2);
  assert.equal(secondaryOf(list, nodeId(3), anybody), 1);
  assert.equal(secondaryOf([member(1)], nodeId(1), anybody), NO_NODE);
  assert.equal(
    secondaryOf(list, nodeId(1), (id) => id !== 2),
    3,
  );
});
