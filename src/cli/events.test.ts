// `pan events` from its words to what it prints.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NewEvent } from "#api/event-catalogue.ts";
import { run } from "./program.ts";
import { recordingTerminal } from "./recording-terminal.ts";
import { commandLine } from "./testing/command-line.ts";

const left: NewEvent = {
  type: "member-left",
  member: "m3",
  address: "10.0.0.3",
  cause: "silent",
};
const moved: NewEvent = {
  type: "tables-published",
  version: "3.7@m1",
  members: 1,
  moved: 341,
  moves: [
    { group: "web", from: "m3", to: "m1", slots: 171, cause: "death" },
    { group: "web", from: "m3", slots: 170, cause: "death" },
  ],
  cause: "death",
};
const refused: NewEvent = {
  type: "join-refused",
  by: "m1",
  cause: "application",
  text: "\u001b[2Jno key",
};

test("pan events: a line for each, its cause last, and nothing that steers a terminal", async (t) => {
  const { agent, run: pan } = await commandLine(t);
  agent.events.add(1, left, moved, refused);
  assert.deepEqual(await pan("events"), {
    status: 0,
    err: "",
    out: `1970-01-01 00:00:01.000  member-left          member=m3 address=10.0.0.3 (silent)
1970-01-01 00:00:01.000  tables-published     version=3.7@m1 members=1 moved=341 [web:171 m3→m1 death, web:170 m3→nobody death] (death)
1970-01-01 00:00:01.000  join-refused         by=m1 text=·[2Jno key (application)
`,
  });
});

test("pan events: --last, --type, --since and --json choose and show", async (t) => {
  const { agent, run: pan } = await commandLine(t);
  for (let second = 1; second <= 1500; second++) agent.events.add(second, left, moved);
  const seqs = async (...words: string[]): Promise<number[]> => {
    const { status, out } = await pan("events", "--json", ...words);
    assert.equal(status, 0);
    const lines = out.split("\n").filter((line) => line !== "");
    return lines.map((line) => (JSON.parse(line) as { seq: number }).seq);
  };
  const all = Array.from({ length: 3000 }, (_, index) => index + 1);
  assert.deepEqual(await seqs(), all.slice(-50));
  assert.deepEqual(await seqs("--last", "3"), [2998, 2999, 3000]);
  assert.deepEqual(await seqs("--last", "0"), []);
  assert.deepEqual(await seqs("--last", "2", "--type", "member-left"), [2997, 2999]);
  assert.deepEqual(await seqs("--last", "2000"), all.slice(-2000));
  assert.deepEqual(await seqs("--since", "1970-01-01T00:00:03Z"), all.slice(4));
  assert.deepEqual(await seqs("--since", "10m"), [], "all of them are of 1970");
  assert.deepEqual(await seqs("--since", "1970-01-01T00:00:03Z", "--last", "1"), [3000]);
});

test("pan events: what is not understood is refused with what is possible", async (t) => {
  const { run: pan } = await commandLine(t);
  for (const [words, message] of [
    [["--since", "yesterday"], /give a time as 2026-11-26T01:00:00Z, or 90s, 10m, 2h, 3d/],
    [["--since", "10"], /give a time/],
    [["--last", "-1"], /give a number/],
    [["--type", "member-left,nonsense"], /there is no type nonsense; there are agent-started, /],
  ] as const) {
    const { status, err } = await pan("events", ...words);
    assert.equal(status, 2);
    assert.match(err, message);
  }
});

test("pan events --follow: after what was, what happens, until Ctrl-C", async (t) => {
  const { agent, socketPath } = await commandLine(t);
  agent.events.add(1, left);
  const stop = new AbortController();
  const terminal = recordingTerminal({ interrupted: () => stop.signal });
  const ended = run(["--socket", socketPath, "events", "--follow", "--json"], terminal);
  const lines = (): string[] => terminal.written.out.split("\n").filter((line) => line !== "");
  const until = async (holds: () => boolean): Promise<void> => {
    const limit = performance.now() + 20_000;
    while (!holds()) {
      assert.ok(performance.now() < limit, terminal.written.out);
      await new Promise(setImmediate);
    }
  };
  await until(() => agent.events.status.followers === 1);
  agent.events.add(2, moved);
  await until(() => lines().length === 2);
  stop.abort();
  assert.equal(await ended, 0);
  assert.deepEqual(
    lines().map((line) => (JSON.parse(line) as { type: string }).type),
    ["member-left", "tables-published"],
  );
});
