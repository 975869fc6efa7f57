// The agent's main thread runs ahead of ordinary processes, and nothing that it starts does. In a process of its own: priorities stay.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const PROGRAM = `
  import { execFileSync } from "node:child_process";
  import { readFileSync } from "node:fs";
  import { Worker } from "node:worker_threads";
  import { raiseMainPriority } from "#driver/cluster/thread-priority.ts";
  const niceIn = (stat) => Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  const granted = raiseMainPriority();
  const child = niceIn(execFileSync("cat", ["/proc/self/stat"], { encoding: "utf8" }));
  const thread = await new Promise((resolve, reject) => {
    const read = 'import { parentPort } from "node:worker_threads"; import { readFileSync } from "node:fs"; parentPort.postMessage(readFileSync("/proc/thread-self/stat", "utf8"));';
    new Worker(read, { eval: true }).once("message", resolve).once("error", reject);
  });
  const own = niceIn(readFileSync("/proc/thread-self/stat", "utf8"));
  console.log(JSON.stringify({ granted, own, child, thread: niceIn(thread) }));
`;

test("the main thread is preferred, and what it starts is not", (t) => {
  const argv = ["--input-type=module", "--eval", PROGRAM];
  const output = execFileSync(process.execPath, argv, {
    encoding: "utf8",
    cwd: import.meta.dirname,
  });
  const seen = JSON.parse(output) as { granted: string };
  if (seen.granted === "ordinary") return t.skip("no CAP_SYS_NICE here");
  assert.deepEqual(seen, { granted: "raised", own: -10, child: 0, thread: 0 });
});
