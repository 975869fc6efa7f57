// Every decoder for a moment of the fuzzer, with a fixed seed, and everything that ever broke one: so that no decoder and no
// target rots between campaigns. `node fuzz/run.ts --seconds N` goes on from there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Campaign } from "./campaign.ts";
import { storedInputs } from "./corpus.ts";
import { TARGETS } from "./targets.ts";

const SEED = 1;
const INPUTS = 10_000;

for (const target of TARGETS) {
  test(`fuzz ${target.name}: what broke it once, and ${INPUTS} new inputs`, () => {
    for (const { file, input } of storedInputs(target)) {
      assert.doesNotThrow(() => target.run(input), file);
    }
    const campaign = new Campaign(target, SEED);
    for (let count = 0; count < INPUTS; count++) {
      const failure = campaign.step(() => {});
      if (failure === undefined) continue;
      const input = Buffer.from(failure.input).toString("hex");
      throw new Error(`input ${input}`, { cause: failure.error });
    }
    assert.ok(campaign.progress.outcomes.size > 1, "inputs reach more than one outcome");
  });
}
