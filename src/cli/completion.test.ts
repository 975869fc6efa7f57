// Completion: the candidates, and that bash really gets them through the printed script.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { completionScript } from "./completion.ts";
import { commandLine } from "./testing/command-line.ts";

const CASES: readonly [string, readonly string[]][] = [
  ["s", ["status", "service", "serve-files"]],
  ["delivery set ", ["forward", "unicast", "multicast", "igmp"]],
  ["service ", ["list", "add", "remove", "weight", "help"]],
  ["service add web ", ["tcp", "udp", "any"]],
  [
    "service add web tcp 1.2.3.4:80 --create ",
    ["weighted", "sticky", "wildcard-sticky", "failover", "quic"],
  ],
  ["service add --cr", ["--create"]],
  ["status --", ["--json", "--watch", "--socket", "--help"]],
  ["drain ", ["alpha", "beta", "gamma"]],
  ["drain b", ["beta"]],
  ["drain beta ", []],
  ["service weight ", ["web"]],
  ["service weight web ", ["alpha", "beta", "gamma"]],
  ["completion ", ["bash", "zsh", "fish"]],
  ["agent --log-level w", ["warn"]],
  ["agent --config ", []],
  ["--socket x drai", ["drain"]],
  ["nonsense ", []],
];
for (const [line, expected] of CASES) {
  test(`completion: "pan ${line}"`, async (t) => {
    const cli = await commandLine(t);
    const { status, out } = await cli.run("__complete", "--", ...line.split(" "));
    assert.equal(status, 0);
    assert.deepEqual(out.split("\n").filter(Boolean), expected);
  });
}

test("completion: without an agent there are no names, and no error", async (t) => {
  const cli = await commandLine(t);
  const outcome = await cli.run("--socket", "/nonexistent", "__complete", "--", "drain", "");
  assert.deepEqual(outcome, { status: 0, out: "", err: "" });
});

test("completion: bash offers what the program says", (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-completion-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = path.join(folder, "pan");
  writeFileSync(
    program,
    `#!/bin/sh\nexec "${process.execPath}" "${path.join(import.meta.dirname, "main.ts")}" "$@"\n`,
  );
  chmodSync(program, 0o755);
  const typed = `${completionScript("bash")}
COMP_WORDS=(pan service add web t) COMP_CWORD=4
_pan
printf '%s\\n' "\${COMPREPLY[@]}"
complete -p pan`;
  const env = { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}` };
  const bash = spawnSync("bash", ["--norc", "-c", typed], { env, encoding: "utf8" });
  assert.equal(bash.stdout, "tcp\ncomplete -o default -F _pan pan\n", bash.stderr);
});
