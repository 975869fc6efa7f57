// `node src/session/simulation/main.ts FIRST LAST`: more seeds than the test has time for. With one seed it says what happened.
import { run } from "./run.ts";

const [first = 1, last = first] = process.argv.slice(2).map(Number);
const FAULTS = 5;

for (let seed = first; seed <= last; seed++) {
  const say = first === last ? console.log : undefined;
  const { problem, nowMs } = await run(seed, FAULTS, say);
  if (problem === undefined) continue;
  console.log(`seed ${seed} at ${nowMs.toFixed(0)} ms: ${problem}`);
  process.exitCode = 1;
}
