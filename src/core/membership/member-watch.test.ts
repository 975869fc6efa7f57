// What the master keeps of a member, as it is shown to operators.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { MemberWatch } from "./member-watch.ts";

test("A17: how well a member is heard: the lost share of its keepalives, and when the last one came", () => {
  const member = { id: nodeId(2), address: ip("10.0.0.2"), mac: mac("02:00:00:00:00:02") };
  const watch = new MemberWatch(member, 1n, 200, instant(1000));
  assert.deepEqual(watch.hearing, { id: 2, loss: 0.1, heardAt: 1000 });
  const keepalive = { type: "member-keepalive", perInterval: 2 } as const;
  for (const [at, sequence] of [
    [1050, 1],
    [1150, 3],
  ] as const) {
    watch.heard(instant(at), { ...keepalive, sequence } as Parameters<MemberWatch["heard"]>[1]);
  }
  const { loss, heardAt } = watch.hearing;
  assert.equal(heardAt, 1150);
  assert.ok(Math.abs(loss - (0.1 * 127 + 1) / 128) < 1e-9, `${loss}`);
});
