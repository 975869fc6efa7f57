// `pan lab` as an operator types it: exit statuses, refusals, and a lab that outlives each command.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Lab } from "#lab/lab.ts";
import type { LabStatus } from "#lab/status.ts";
import { root } from "#tools/steps.ts";

const skip = process.getuid?.() === 0 ? false : "namespaces need root";
const name = `t${process.pid}-cli`;

interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function pan(...words: readonly string[]): Outcome {
  const main = path.join(root, "src/cli/main.ts");
  const result = spawnSync(process.execPath, [main, "lab", ...words], { encoding: "utf8" });
  return { status: result.status, out: result.stdout, err: result.stderr };
}
const ours = (...words: readonly string[]): Outcome => pan(...words, "--name", name);
const exec = (...words: readonly string[]): Outcome => pan("exec", "--name", name, ...words);

describe("pan lab", { skip }, () => {
  before(() => {
    const { status, err } = ours("up", path.join(root, "examples/lab.yaml"));
    assert.deepEqual({ status, err }, { status: 0, err: "" });
  });
  after(() => {
    const down = ours("down");
    Lab.down(name);
    assert.deepEqual(down, { status: 0, out: `Lab ${name} is down.\n`, err: "" });
    assert.deepEqual(ours("down"), { status: 0, out: `No lab ${name} was up.\n`, err: "" });
    assert.match(ours("status").err, /^pan: No lab .* \[PAN_LAB_MISSING\]\n$/);
  });

  test("pan lab exec: the example's client gets through the router, by IPv4 and IPv6", () => {
    const answer = { status: 0, out: `This is server of lab ${name}\n`, err: "" };
    assert.deepEqual(exec("client", "--", "curl", "-s", "http://10.1.0.2/"), answer);
    assert.deepEqual(exec("client", "--", "curl", "-gs", "http://[fd01::2]/"), answer);
  });

  test("pan lab exec: the command's exit status is passed on", () => {
    assert.equal(exec("client", "--", "sh", "-c", "exit 5").status, 5);
    const { status, err } = exec("nobody", "--", "true");
    assert.equal(status, 1);
    assert.match(err, /no host "nobody". It has client, router, server \[PAN_NOT_FOUND\]/);
  });

  test("pan lab up: a second lab of the name is refused with a remedy", () => {
    const { status, err } = ours("up");
    assert.equal(status, 1);
    assert.match(err, /up already\. Take it down with "pan lab down .*\[PAN_LAB_EXISTS\]/);
  });

  test("pan lab fault: each is seen in the status, and undone", () => {
    const server = (): LabStatus["hosts"][number] | undefined =>
      (JSON.parse(ours("status", "--json").out) as LabStatus).hosts[2];
    assert.match(ours("fault", "partition", "client", "server").out, /server .*\(partition 1\)/);
    assert.equal(ours("fault", "heal").status, 0);
    assert.match(ours("fault", "loss", "server", "2.5%").out, /server .*\(loses 2\.5 %\)/);
    assert.equal(server()?.links[0]?.lossPercent, 2.5);
    assert.match(ours("fault", "link", "server", "down").out, /\(down, loses 2\.5 %\)/);
    assert.match(ours("fault", "freeze", "server").out, /server +frozen/);
    assert.match(ours("fault", "kill", "server").out, /server +dead .*nginx \(ended\)/);
    assert.match(exec("server", "--", "true").err, /pan lab fault revive server/);
    assert.match(ours("fault", "revive", "server").out, /server +running/);
    assert.equal(server()?.links[0]?.lossPercent, 0);
    assert.equal(exec("client", "--", "curl", "-s", "http://10.1.0.2/").status, 0);
  });

  test("pan lab fault: what the lab cannot do is said", () => {
    assert.match(ours("fault", "delay", "server", "5").err, /cannot delay .*\[PAN_LAB_FAULT\]/);
    assert.match(ours("fault", "loss", "server", "much").err, /use 0 to 100 \[PAN_LAB_FAULT\]/);
  });
});

test("pan lab check: every finding has file, line and remedy; no root is needed", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-lab-"));
  try {
    const file = path.join(folder, "lab.yaml");
    writeFileSync(
      file,
      "switches:\n  - name: sw\nhosts:\n  - name: m1\n    links: [{switch: sv}]\n",
    );
    const { status, err } = pan("check", file);
    assert.equal(status, 1);
    const expected = `pan: ${file}:5: there is no switch "sv"; use one of sw [PAN_LAB_TOPOLOGY]\n`;
    assert.equal(err, expected);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
