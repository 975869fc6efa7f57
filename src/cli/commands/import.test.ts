// `pan import` from its words to configuration, messages and exit status.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { requireConfig } from "#config/load.ts";
import { run } from "../program.ts";
import { recordingTerminal } from "../recording-terminal.ts";

function folderOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-import-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return folder;
}

async function pan(...words: string[]): Promise<{ status: number; out: string; err: string }> {
  const terminal = recordingTerminal();
  const status = await run(words, terminal);
  return { status, ...terminal.written };
}

const RULES = `-A -t 10.0.0.100:80 -s rr
-a -t 10.0.0.100:80 -r 10.0.0.11:80 -g -w 1
-a -t 10.0.0.100:80 -r [fd00::12]:80 -g -w 1
`;

test("pan import: the configuration on standard output, what does not map on standard error", async (t) => {
  const file = path.join(folderOf(t, { rules: RULES }), "rules");
  const node = ["--node", "web2=10.0.0.12,fd00::12"];
  const { status, out, err } = await pan("import", "ipvs", file, "--name", "shop", ...node);
  assert.equal(status, 0);
  const config = requireConfig(out, "imported");
  assert.equal(config.cluster.name, "shop");
  assert.deepEqual(
    config.nodes.map(({ name, address }) => `${name} ${address}`),
    ["web2 10.0.0.12", "n1 10.0.0.11"],
  );
  assert.match(err, new RegExp(`^${file}:1: differs: scheduler rr: `));
  assert.equal(err.trimEnd().split("\n").length, 1);
});

test("pan import: --strict fails when anything does not map, and prints no configuration", async (t) => {
  const file = path.join(folderOf(t, { rules: RULES }), "rules");
  const { status, out, err } = await pan("import", "ipvs", file, "--strict");
  assert.deepEqual([status, out], [1, ""]);
  assert.match(err, /:3: dropped: real server fd00::12: [^]*\[PAN_IMPORT_INVALID\]\n$/);
});

test("pan import: a line that cannot be read: nothing is imported, and the line is named", async (t) => {
  const file = path.join(folderOf(t, { rules: `${RULES}-A -t nowhere\n` }), "rules");
  const { status, out, err } = await pan("import", "ipvs", file);
  assert.deepEqual([status, out], [1, ""]);
  assert.match(err, /:4: wrong: "nowhere" is no address [^]*a line that cannot be read is listed/);
});

test("pan import keepalived: files are included relative to the one that says so", async (t) => {
  const server =
    "virtual_server 10.0.0.100 80 {\nlb_algo sh\nlb_kind DR\nreal_server 10.0.0.11 80 {\n}\n}\n";
  const folder = folderOf(t, {
    "k.conf": "include *.part\n",
    "a.part": server,
    "b.part": server.replaceAll(" 80 ", " 81 "),
  });
  const { status, out, err } = await pan("import", "keepalived", path.join(folder, "k.conf"));
  assert.deepEqual([status, err], [0, ""]);
  assert.deepEqual(
    requireConfig(out, "imported").groups.map(({ services }) => services.map(({ port }) => port)),
    [[80, 81]],
  );
});

test("pan import: what is not understood is refused with what is possible", async (t) => {
  const file = path.join(folderOf(t, { rules: RULES }), "rules");
  for (const [words, status, message] of [
    [["--node", "web1"], 2, /give NAME=IPV4/],
    [["--node", "web1=fd00::1"], 2, /give NAME=IPV4/],
    [["--node", "a=10.0.0.1", "--node", "b=10.0.0.1"], 2, /was given before/],
    [["--name", "Shop!"], 2, /lower-case letters/],
    [["--interface", "much-too-long-a-name"], 1, /no valid configuration[^]*interface/],
  ] as const) {
    const said = await pan("import", "ipvs", file, ...words);
    assert.equal(said.status, status);
    assert.match(said.err, message);
  }
  const missing = await pan("import", "keepalived", path.join(path.dirname(file), "nothing"));
  assert.equal(missing.status, 1);
  assert.match(missing.err, /PAN_CONFIG_UNREADABLE/);
});
