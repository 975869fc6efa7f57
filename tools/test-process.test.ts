// Whatever a test file does to its process, the run goes on, says what happened, and leaves nothing behind.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { type Outcome, runTests, type TestProcess } from "./test-process.ts";
import { TestReport } from "./test-report.ts";

const GENEROUS_MS = 60_000;
const HOUR_MS = 3_600_000;

describe("test processes", () => {
  let folder: string;
  let tallyFile: string;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), "panoply-test-process-"));
    tallyFile = path.join(folder, "tally.jsonl");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function outcomeOf(source: string, more: Partial<TestProcess> = {}): Promise<Outcome> {
    const file = path.join(folder, "subject.test.mjs");
    writeFileSync(
      file,
      `import { describe, test } from "node:test";
      import { execFileSync, spawn } from "node:child_process";
      import { writeFileSync } from "node:fs";
      const note = (text) => writeFileSync(${JSON.stringify(folder)} + "/note", String(text));
      ${source}`,
    );
    const fixed = { files: [file], tallyFile, quiet: true };
    return runTests({ limitMs: GENEROUS_MS, endingMs: 200, ...fixed, ...more });
  }

  const noted = (): string => readFileSync(path.join(folder, "note"), "utf8");

  /** Interrupts the process once a file has this text. */
  async function interruptedAt(file: string, text: string, source: string): Promise<Outcome> {
    const abort = new AbortController();
    const poll = setInterval(() => {
      if (existsSync(file) && readFileSync(file, "utf8").includes(text)) abort.abort();
    }, 20);
    try {
      return await outcomeOf(source, { signal: abort.signal });
    } finally {
      clearInterval(poll);
    }
  }

  test("tests are counted, suites are not, failures have names", async () => {
    const { passed, skipped, failures, msByFile } = await outcomeOf(`
      describe("suite", () => { test("a", () => {}); test("b", () => { throw new Error("no"); }); });
      test("c", { skip: true }, () => {});
      test("d", () => {});`);
    assert.deepEqual({ passed, skipped, failures }, { passed: 2, skipped: 1, failures: ["b"] });
    assert.equal(msByFile.size, 1);
  });

  test("a process that ends in the middle, even well, has failed; what had passed counts", async () => {
    const ends = ["process.exit(0)", "process.kill(process.pid, 'SIGKILL')"];
    const hows = ["with status 0", "by SIGKILL"];
    for (const [index, end] of ends.entries()) {
      const { passed, failures } = await outcomeOf(`
        test("good", () => {});
        test("ends", async () => { await new Promise((resolve) => setTimeout(resolve, 100)); ${end}; });`);
      const text = `the process ended ${hows[index]} before its tests did, in "ends"`;
      assert.deepEqual({ passed, failures }, { passed: 1, failures: [text] });
    }
  });

  test("a file that cannot be loaded, or is empty, has failed", async () => {
    assert.deepEqual((await outcomeOf("")).failures, ["there are no tests in it"]);
    assert.equal((await outcomeOf("import 'panoply-no-such-thing';")).failures.length, 1);
  });

  test("what waits for ever is ended, and told by name", async () => {
    const { passed, failures } = await interruptedAt(
      tallyFile,
      "waits",
      `describe("suite", () => {
        test("good", () => {});
        test("waits", () => new Promise((resolve) => setTimeout(resolve, ${HOUR_MS})));
      });`,
    );
    assert.equal(passed, 1);
    assert.deepEqual(failures, [`interrupted, in "suite" > "waits"`]);
  });

  test("what never comes to rest is killed", async () => {
    const { failures } = await interruptedAt(
      path.join(folder, "note"),
      "busy",
      `test("good", () => {}); test("busy", () => { note("busy"); for (;;); });`,
    );
    assert.equal(failures.length, 1);
    assert.match(failures[0] ?? "", /^interrupted/);
  });

  test("a process has its time and no more", async () => {
    const { failures } = await outcomeOf(
      `test("waits", () => new Promise((resolve) => setTimeout(resolve, ${HOUR_MS})));`,
      { limitMs: 1 },
    );
    assert.equal(failures.length, 1);
    assert.match(failures[0] ?? "", /^not done within 0.001 s/);
  });

  test("a process that a test forgets is ended, in a session of its own too, and is a failure", async () => {
    const { passed, failures } = await outcomeOf(`
      test("forgets", () => {
        const child = spawn("sleep", ["3600"], { detached: true, stdio: "ignore" });
        note(child.pid);
        child.unref();
      });`);
    const pid = noted();
    assert.equal(passed, 1);
    assert.deepEqual(failures, [`left behind, and removed now: process ${pid} (sleep 3600)`]);
    const stat = `/proc/${pid}/stat`;
    assert.ok(!existsSync(stat) || /\) Z/.test(readFileSync(stat, "utf8")));
  });

  const skip = process.getuid?.() === 0 ? false : "namespaces need root";
  test("a namespace that a test forgets is removed, and is a failure", { skip }, async () => {
    const { failures } = await outcomeOf(`
      test("forgets", () => {
        note(process.pid);
        execFileSync("ip", ["netns", "add", "pt-forgotten-" + process.pid]);
      });`);
    const name = `pt-forgotten-${noted()}`;
    assert.deepEqual(failures, [`left behind, and removed now: namespace ${name}`]);
    assert.equal(existsSync(`/run/netns/${name}`), false);
  });

  test("the closing line comes last and counts every failure once", () => {
    const report = new TestReport();
    const outcome = { passed: 3, skipped: 0, failures: [], tookMs: 10, msByFile: new Map() };
    report.add("one.test.ts", outcome);
    assert.equal(report.isGreen, true);
    report.add("two.test.ts", { ...outcome, failures: ["x", "y"], tookMs: 2000 });
    const lines = report.lines(2010);
    assert.equal(report.isGreen, false);
    assert.equal(lines.at(-1), "\n6 passed, 2 failed");
    assert.deepEqual(lines.slice(1, 3), ["    2.0 s  two.test.ts", "    0.0 s  one.test.ts"]);
    assert.equal(new TestReport().isGreen, false, "nothing was tested");
  });
});
