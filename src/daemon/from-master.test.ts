// What a member does with its master's tables (B9): a delta is put onto what it holds, or everything is asked for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TABLES } from "#base/ids.ts";
import type { Input } from "#core/node/protocol.ts";
import { encodeDelta, encodeTables } from "#core/steering/tables-codec.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { desired, version } from "#core/steering/testing/desired.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import { takeFromMaster } from "./from-master.ts";

const first = nextTables(undefined, desired(64, [{ id: 1 }]), version(1));
const second = nextTables(first, desired(64, [{ id: 1 }, { id: 2 }]), version(2));
const delta = encodeDelta(first, second).slice();

function taken(
  bytes: Uint8Array,
  held: Tables | undefined,
  warn: (facts: unknown) => void = () => assert.fail("a warning"),
): { readonly steps: readonly Input[]; readonly said: readonly ControlMessage[] } {
  const [steps, said] = [[] as Input[], [] as ControlMessage[]];
  takeFromMaster(
    { type: "tables", bytes },
    {
      log: { warn },
      rotation: { adopt: assert.fail },
      rollout: { adopt: () => assert.fail() },
      instances: { tell: assert.fail },
      following: { send: (message) => said.push(message) },
      tables: () => held,
      step: (input) => steps.push(input),
    },
  );
  return { steps, said };
}

test("B9: a delta turns the tables that are held into the master's", () => {
  const { steps, said } = taken(delta, first);
  assert.deepEqual(steps, [{ type: "tables-received", tables: second }]);
  assert.deepEqual(said, []);
});

for (const [held, from] of [
  [undefined, NO_TABLES],
  [second, second.version],
] as const) {
  test(`B9: a delta that does not fit is answered by asking for all (${held ? "other" : "no"} tables held)`, () => {
    const { steps, said } = taken(delta, held);
    assert.deepEqual(steps, []);
    assert.deepEqual(said, [{ type: "tables-wanted", held: from }]);
  });
}

test("B9: the full form needs nothing, and damage is an error", () => {
  const full = encodeTables(second).slice();
  assert.deepEqual(taken(full, undefined).steps, [{ type: "tables-received", tables: second }]);
  full[30] = (full[30] ?? 0) ^ 1;
  assert.throws(() => taken(full, first), /malformed/);
});

for (const [reason, bytes] of [
  ["incomplete", delta.subarray(0, 40)],
  ["malformed", Uint8Array.of(...delta, 0)],
] as const) {
  test(`B9: a delta that is ${reason} is answered by asking for all, and is logged`, () => {
    const warned: unknown[] = [];
    const { steps, said } = taken(bytes, first, (facts) => warned.push(facts));
    assert.deepEqual(steps, []);
    assert.deepEqual(said, [{ type: "tables-wanted", held: first.version }]);
    assert.deepEqual(warned, [{ reason }]);
  });
}
