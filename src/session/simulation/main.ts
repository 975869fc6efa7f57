// `node src/session/simulation/main.ts FIRST LAST [REPLICAS MEMBERS]`: more seeds than the test has time for. With one seed it says what
// happened. REPLICAS 0: all.
import { run } from "./run.ts";

const [first = 1, last = first, replicas = 0, members = replicas + 3] = process.argv
  .slice(2)
  .map(Number);
const FAULTS = 5;

for (let seed = first; seed <= last; seed++) {
  const say = first === last ? console.log : undefined;
  const { problem, nowMs } = await run(seed, FAULTS, { members, replicas: replicas || "all" }, say);
  if (problem === undefined) continue;
  console.log(`seed ${seed} at ${nowMs.toFixed(0)} ms: ${problem}`);
  process.exitCode = 1;
}
