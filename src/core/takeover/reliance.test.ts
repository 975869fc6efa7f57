// A16: a replica that does not answer is left out after a stated time, and never takes over from what it held then (docs/adr/0034).
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { Prng } from "#base/prng.ts";
import { instant } from "#base/time.ts";
import { Currency } from "./currency.ts";
import { PRESENT_EVERY_MS, Reliance, relianceMs } from "./reliance.ts";

const [OWNER, REPLICA] = [nodeId(1), nodeId(2)];
const LIMIT = relianceMs(200);

/** Looks at it as often as a server does. */
function looks(reliance: Reliance, fromMs: number, toMs: number): { at: number; ids: number[] }[] {
  const found: { at: number; ids: number[] }[] = [];
  for (let at = fromMs; at <= toMs; at += PRESENT_EVERY_MS) {
    const ids = reliance.look(instant(at));
    if (ids.length > 0) found.push({ at, ids });
  }
  return found;
}

test("A16: a replica that says nothing is left out after the limit, once, and one that says something is not", () => {
  const reliance = new Reliance();
  reliance.joined(instant(0), REPLICA);
  assert.equal(reliance.present(instant(500), REPLICA), LIMIT);
  assert.equal(reliance.until(REPLICA), 500 + LIMIT);
  assert.deepEqual(looks(reliance, 600, 500 + LIMIT), []);
  assert.deepEqual(looks(reliance, 600 + LIMIT, 9000), [{ at: 600 + LIMIT, ids: [REPLICA] }]);
  assert.equal(reliance.until(REPLICA), undefined);
});

test("A16: an owner that did not run itself reads what has come before it gives anybody up", () => {
  const reliance = new Reliance();
  reliance.joined(instant(0), REPLICA);
  assert.deepEqual(reliance.look(instant(60_000)), [], "the first look after a long pause");
  reliance.present(instant(60_001), REPLICA);
  assert.deepEqual(looks(reliance, 60_100, 60_001 + LIMIT), []);
});

test("A16: a limit that becomes shorter takes nothing back that was promised", () => {
  const reliance = new Reliance();
  reliance.limitMs = 5000;
  assert.equal(reliance.present(instant(0), REPLICA), 5000);
  reliance.limitMs = 1000;
  reliance.present(instant(100), REPLICA);
  assert.equal(reliance.until(REPLICA), 5100);
});

test("A16: records count for as long as was promised from the question on; what was decided at the owner's death stays", () => {
  const currency = new Currency();
  assert.equal(currency.isCurrent(instant(0), OWNER), false, "nothing was ever said");
  currency.began(OWNER);
  const { asked, owners } = currency.ask(instant(1000));
  assert.deepEqual(owners, [OWNER]);
  assert.equal(currency.isCurrent(instant(1001), OWNER), false);
  currency.relied(OWNER, asked, 1000);
  assert.equal(currency.isCurrent(instant(1940), OWNER), true);
  assert.equal(currency.isCurrent(instant(1960), OWNER), false, "clocks drift");
  currency.departed(instant(1900), OWNER);
  assert.equal(currency.isCurrent(instant(99_000), OWNER), true, "it was when the owner died");
});

test("A16: an old promise is void on a new stream, on one that this node has ended, and when a member returns", () => {
  for (const what of ["began", "ended here", "ended there", "returned", "too late"] as const) {
    const currency = new Currency();
    currency.began(OWNER);
    currency.relied(OWNER, currency.ask(instant(0)).asked, 1000);
    if (what === "began") currency.began(OWNER);
    if (what === "ended here") currency.ended(OWNER, true);
    if (what === "ended there") currency.ended(OWNER, false);
    if (what === "returned") {
      currency.departed(instant(100), OWNER);
      currency.returned(OWNER);
    }
    const at = what === "too late" ? 2000 : 200;
    currency.departed(instant(at), OWNER);
    assert.equal(currency.isCurrent(instant(at), OWNER), what === "ended there", what);
  }
});

test("A16: an answer to a question of another stream, or to none, says nothing", () => {
  const currency = new Currency();
  currency.began(OWNER);
  const { asked } = currency.ask(instant(0));
  currency.began(OWNER);
  currency.relied(OWNER, asked, 1000);
  currency.relied(OWNER, 77, 1000);
  assert.equal(currency.isCurrent(instant(1), OWNER), false);
  assert.equal(currency.hasSaid(OWNER), false);
});

test("A16: what was said before this node was away does not count as heard", () => {
  const currency = new Currency();
  currency.began(OWNER);
  const first = currency.ask(instant(0)).asked;
  const second = currency.ask(instant(100)).asked;
  currency.relied(OWNER, first, 1000);
  assert.equal(currency.hasSaid(OWNER), true);
  currency.hearAgain();
  currency.relied(OWNER, second, 1000);
  assert.equal(currency.hasSaid(OWNER), false, "it was asked before");
  currency.relied(OWNER, currency.ask(instant(200)).asked, 1000);
  assert.equal(currency.hasSaid(OWNER), true);
});

test("A16: whatever is delayed or lost, no owner leaves out a replica that takes its records for those that count", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const prng = new Prng(seed);
    const [reliance, currency] = [new Reliance(), new Currency()];
    const drift = 1 + (prng.below(60) - 30) / 1000;
    const questions: { readonly at: number; readonly asked: number }[] = [];
    const answers: { readonly at: number; readonly asked: number; readonly forMs: number }[] = [];
    const delay = (): number => (prng.chance(0.1) ? prng.below(3000) : prng.below(20));
    currency.began(OWNER);
    reliance.joined(instant(0), REPLICA);
    for (let ms = 0; ms < 20_000; ms += PRESENT_EVERY_MS) {
      const theirs = instant(ms * drift);
      const stands = prng.chance(0.02) ? 3000 : 0;
      const { asked } = currency.ask(theirs);
      questions.push({ at: ms + stands + delay(), asked });
      for (const each of questions.filter(({ at }) => at <= ms)) {
        questions.splice(questions.indexOf(each), 1);
        const forMs = reliance.present(instant(ms), REPLICA);
        answers.push({ at: ms + delay(), asked: each.asked, forMs });
      }
      for (const each of answers.filter(({ at }) => at <= ms)) {
        answers.splice(answers.indexOf(each), 1);
        currency.relied(OWNER, each.asked, each.forMs);
      }
      if (reliance.look(instant(ms)).length === 0) continue;
      assert.equal(currency.isCurrent(theirs, OWNER), false, `seed ${seed} at ${ms} ms`);
      break;
    }
  }
});
