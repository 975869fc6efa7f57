// A16: what was kept back without the right to speak comes when the right is back, though nothing else happens (docs/adr/0029).
import assert from "node:assert/strict";
import { test } from "node:test";
import { openedAs } from "#core/takeover/testing/samples.ts";
import { LeasedOwner } from "./leased-owner.ts";

function scene() {
  const right = { speaks: true, tenure: 1, isAway: false };
  const looks: (() => void)[] = [];
  const happened: string[] = [];
  const clock = {
    every: (_ms: number, turn: () => void) => {
      looks.push(turn);
      return () => void looks.splice(looks.indexOf(turn), 1);
    },
  };
  const owner = new LeasedOwner({ clock, program: { right: () => right } }, (effects) =>
    happened.push(...effects.map(({ type }) => type)),
  );
  const input = (offset: number): void => {
    const bytes = new Uint8Array(1);
    owner.step({ type: "happened", message: { type: "input", connection: 1, offset, bytes } });
  };
  owner.step({ type: "happened", message: openedAs(1) });
  happened.length = 0;
  return { right, looks, happened, owner, input };
}

test("A16: the right counts at the moment of each input; when it is back, what was kept back comes, and nobody looks any more", () => {
  const { right, looks, happened, input } = scene();
  input(0);
  assert.deepEqual([happened.splice(0), looks.length], [["commit"], 0]);
  right.speaks = false;
  input(1);
  input(2);
  looks[0]?.();
  assert.deepEqual([happened.splice(0), looks.length], [[], 1]);
  right.speaks = true;
  looks[0]?.();
  assert.deepEqual([happened.splice(0), looks.length], [["commit"], 0]);
});

test("A16: a closed owner looks no more, also when a socket still says something", () => {
  const { right, looks, happened, input, owner } = scene();
  right.speaks = false;
  input(0);
  owner.close();
  assert.equal(looks.length, 0);
  input(1);
  right.speaks = true;
  input(2);
  assert.deepEqual([happened, looks.length], [[], 0]);
});
