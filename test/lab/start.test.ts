// `npm start` as a user runs it: to its end, interrupted by Ctrl-C, and after a start that was killed.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";

const root = path.join(import.meta.dirname, "../..");
const skip = process.getuid?.() === 0 ? false : "needs root";
const LIMIT_MS = 120_000;

const namespaces = (): string[] =>
  existsSync("/run/netns")
    ? readdirSync("/run/netns").filter((name) => name.startsWith("pan-demo-"))
    : [];

/** The launcher and what it runs, in a process group of their own, as a terminal has it. */
function start(...options: string[]): ChildProcess {
  return spawn(process.execPath, ["tools/launch.mjs", "tools/start.ts", ...options], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
}

/** A terminal signals the whole group. */
const signalGroup = (child: ChildProcess, signal: NodeJS.Signals): boolean =>
  process.kill(-(child.pid ?? 0), signal);

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!condition()) {
    assert.ok(performance.now() < end, `waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function output(child: ChildProcess): Promise<{ text: string; status: unknown }> {
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const [status] = (await once(child, "close")) as [unknown];
  return { text, status };
}

test("npm start: Ctrl-C, while the lab is made, leaves nothing", { skip }, async () => {
  const child = start();
  await until("namespaces are made", () => namespaces().length > 1);
  signalGroup(child, "SIGINT");
  await once(child, "close");
  await until("nothing is left", () => namespaces().length === 0);
  assert.equal(existsSync("/run/panoply-lab/demo"), false);
});

test(
  "npm start: one that was killed is cleaned up by the next; every expectation holds",
  { skip },
  async () => {
    const killed = start();
    await until("namespaces are made", () => namespaces().length > 1);
    signalGroup(killed, "SIGKILL");
    await once(killed, "close");
    const { text, status } = await output(start("--once", "--json"));
    const summary = JSON.parse(text) as {
      ok: boolean;
      expectations: { name: string; ok: boolean }[];
    };
    const failed = summary.expectations.filter(({ ok }) => !ok).map(({ name }) => name);
    // how long an interruption lasted is for the benchmark to judge, on a machine that does nothing else
    assert.deepEqual(
      failed.filter((name) => !name.includes("interruption")),
      [],
    );
    assert.ok(summary.expectations.length > 8);
    assert.equal(status, summary.ok ? 0 : 1);
    assert.deepEqual(namespaces(), []);
  },
);
