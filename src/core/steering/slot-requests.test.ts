// A15: members ask their master for owners of slots, often and much, and it hears of it seldom and in portions.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SlotRef } from "./assignment.ts";
import { MAX_SLOTS_WANTED } from "#wire/control/message.ts";
import { ASK_EVERY_MS, SlotRequests } from "./slot-requests.ts";

const slots = (count: number, from = 0): SlotRef[] =>
  Array.from({ length: count }, (_, index) => ({ group: "web", slot: from + index }));

function requests(isMaster: boolean): {
  readonly asking: SlotRequests;
  readonly taken: (readonly SlotRef[])[];
  readonly sent: (readonly SlotRef[])[];
  readonly pass: () => void;
} {
  const [taken, sent] = [[] as (readonly SlotRef[])[], [] as (readonly SlotRef[])[]];
  let due: (() => void) | undefined;
  const asking = new SlotRequests({
    isMaster: () => isMaster,
    take: (wanted) => taken.push(wanted),
    send: (wanted) => sent.push(wanted),
    later: (delayMs, act) => {
      assert.equal(delayMs, ASK_EVERY_MS);
      due = act;
      return () => {
        due = undefined;
      };
    },
  });
  const pass = (): void => {
    const act = due;
    due = undefined;
    act?.();
  };
  return { asking, taken, sent, pass };
}

test("A15: the master takes its own questions at once", () => {
  const { asking, taken, sent } = requests(true);
  asking.ask(slots(2));
  asking.ask(slots(1));
  asking.ask([]);
  assert.deepEqual([taken, sent], [[slots(2), slots(1)], []]);
});

test("A15: a member asks at once, then at intervals, each slot once", () => {
  const { asking, taken, sent, pass } = requests(false);
  asking.ask(slots(1));
  asking.ask(slots(2));
  asking.ask(slots(2));
  assert.deepEqual(sent, [slots(1)]);
  pass();
  assert.deepEqual(sent, [slots(1), slots(2)]);
  pass();
  asking.ask(slots(1));
  assert.deepEqual(sent, [slots(1), slots(2), slots(1)]);
  assert.deepEqual(taken, []);
});

test("A15: a question is never longer than the wire allows", () => {
  const { asking, sent, pass } = requests(false);
  asking.ask(slots(MAX_SLOTS_WANTED + 2));
  pass();
  assert.deepEqual(sent, [slots(MAX_SLOTS_WANTED), slots(2, MAX_SLOTS_WANTED)]);
});

test("A15: what is open when the agent ends is not asked any more", () => {
  const { asking, sent, pass } = requests(false);
  asking.ask(slots(1));
  asking.ask(slots(2));
  asking.close();
  pass();
  assert.deepEqual(sent, [slots(1)]);
});
