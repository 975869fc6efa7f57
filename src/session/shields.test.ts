// A16: records of one connection from owners that followed each other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { Shields } from "./shields.ts";

const KEY = { vip: ip("10.0.0.9"), port: 80, peer: ip("10.0.0.2"), peerPort: 40_000 };

test("A16: what the owner before the last one told is not what a connection goes on from", () => {
  const shields = new Shields();
  assert.ok(shields.isLatest(KEY, 0), "nobody told of it");
  shields.raise(KEY, 0);
  assert.ok(shields.isLatest(KEY, 0));
  shields.raise(KEY, 1);
  assert.deepEqual([shields.isLatest(KEY, 0), shields.isLatest(KEY, 1)], [false, true]);
  assert.equal(shields.lower(KEY), false, "the other record is still there");
  assert.equal(shields.isLatest(KEY, 0), false);
  assert.equal(shields.lower(KEY), true);
  assert.equal(shields.generationOf(KEY), undefined);
});
