// A10: scripts that take part: which files are run, with what, for how long.
import assert from "node:assert/strict";
import fs, {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Event, JoinVote } from "#wire/applications/message.ts";
import { hookEnvironment } from "./hook-environment.ts";
import { listHooks, MAX_HOOKS } from "./hook-files.ts";
import { MAX_OUTPUT_BYTES, runHook } from "./hook-run.ts";
import { Hooks, type HooksHost } from "./hooks.ts";
import { Tally } from "./tally.ts";

/** Between two looks at what has no event of its own. */
const POLL_MS = 5;
const NODE = { id: 1, name: "m1", address: "10.77.0.11" };
const PLACE = { cluster: "demo", node: NODE, role: "master" };
const VOTE: JoinVote = {
  type: "join-vote",
  vote: 7,
  node: { id: 4, name: "m4", address: "10.77.0.14" },
  withinMs: 5000,
};
const joined = (sequence: number): Event => ({ type: "member-joined", sequence, member: NODE });

interface Bench {
  readonly folder: string;
  readonly hooks: Hooks;
  readonly tally: Tally;
  readonly said: { readonly fields: Record<string, unknown>; readonly text: string }[];
  readonly troubles: unknown[];
  write(name: string, script: string, mode?: number): string;
  read(name: string): string;
  /** Resolves when the hooks have written this file. */
  written(name: string): Promise<string>;
}

function bench(t: TestContext, more: Partial<HooksHost> = {}): Bench {
  const base = mkdtempSync(path.join(tmpdir(), "pan-hooks-"));
  const folder = path.join(base, "hooks.d");
  mkdirSync(folder, { mode: 0o755 });
  const [tally, said, troubles] = [new Tally(), [] as Bench["said"], [] as unknown[]];
  const say = (fields: unknown, text = ""): void => {
    said.push({ fields: fields as Record<string, unknown>, text });
  };
  const hooks = new Hooks({
    folder,
    tally,
    log: { info: say, warn: say },
    trouble: { report: (_action, error) => troubles.push(error) },
    place: () => PLACE,
    ...more,
  });
  t.after(async () => {
    await hooks.stop();
    rmSync(base, { recursive: true, force: true });
    assert.deepEqual(troubles, []);
  });
  const read = (name: string): string => readFileSync(path.join(base, name), "utf8");
  return {
    ...{ folder, hooks, tally, said, troubles, read },
    write: (name, script, mode = 0o755) => {
      const file = path.join(folder, name);
      writeFileSync(file, `#!/bin/sh\nOUT='${base}'\n${script}\n`);
      chmodSync(file, mode);
      return file;
    },
    written: async (name) => {
      while (!existsSync(path.join(base, name))) await pause(POLL_MS);
      return read(name);
    },
  };
}

test("A10: hooks run in the order of names, with the event in the environment and on standard input", async (t) => {
  const at = bench(t);
  at.write("20-second", 'echo "second $PANOPLY_SEQUENCE" >> "$OUT/log"; mv "$OUT/log" "$OUT/done"');
  at.write(
    "10-first",
    'env | grep ^PANOPLY_ | sort > "$OUT/log"; cat >> "$OUT/log"; pwd >> "$OUT/log"',
  );
  at.write("30-vote.vote", 'echo voted >> "$OUT/log"');
  at.hooks.tell({
    type: "work-sets-lost",
    sequence: 9,
    group: "web",
    slots: "0-3",
    count: 4,
    to: "m2",
  });
  const expected = `PANOPLY_CLUSTER=demo
PANOPLY_COUNT=4
PANOPLY_EVENT=work-sets-lost
PANOPLY_GROUP=web
PANOPLY_NODE=m1
PANOPLY_NODE_ID=1
PANOPLY_ROLE=master
PANOPLY_SEQUENCE=9
PANOPLY_SLOTS=0-3
PANOPLY_TO=m2
{"type":"work-sets-lost","sequence":9,"group":"web","slots":"0-3","count":4,"to":"m2"}
/
second 9
`;
  assert.equal(await at.written("done"), expected);
});

test("A10: events wait their turn; what is too much is dropped, counted, and told to the next hook", async (t) => {
  const at = bench(t, { maxWaiting: 2 });
  at.write(
    "hook",
    `echo "$PANOPLY_SEQUENCE missed=$PANOPLY_MISSED" >> "$OUT/log"
[ "$PANOPLY_SEQUENCE" = 9 ] && mv "$OUT/log" "$OUT/done" || true
while [ ! -e "$OUT/go" ]; do sleep 0.01; done`,
  );
  for (const sequence of [1, 2, 3, 4, 5]) at.hooks.tell(joined(sequence)); // 1 runs, 2 and 3 wait
  assert.equal(at.tally.of("hook-events-dropped"), 2);
  writeFileSync(path.join(at.folder, "../go"), "");
  while (at.hooks.waiting > 0) await pause(POLL_MS);
  at.hooks.tell(joined(6));
  at.hooks.tell(joined(9));
  assert.equal(
    await at.written("done"),
    "1 missed=\n2 missed=\n3 missed=\n6 missed=2\n9 missed=2\n",
  );
});

test("A10: vote hooks: status 0 accepts, any other refuses with the first line that was printed", async (t) => {
  const at = bench(t);
  const never = new AbortController().signal;
  assert.equal(await at.hooks.vote(VOTE, never), "accept", "nobody is asked");
  at.write(
    "10-yes.vote",
    'echo "$PANOPLY_MEMBER $PANOPLY_MEMBER_ADDRESS $PANOPLY_WITHIN_MS" > "$OUT/asked"',
  );
  assert.equal(await at.hooks.vote(VOTE, never), "accept");
  assert.equal(at.read("asked"), "m4 10.77.0.14 5000\n");
  at.write("20-no.vote", "echo no tunnel for it; echo more; exit 3");
  at.write("30-never.vote", 'touch "$OUT/third"');
  assert.deepEqual(await at.hooks.vote(VOTE, never), { refusal: "no tunnel for it" });
  assert.ok(!existsSync(path.join(at.folder, "../third")), "one refusal is enough");
  at.write("20-no.vote", "exit 3");
  assert.deepEqual(await at.hooks.vote(VOTE, never), { refusal: "exit status 3" });
  at.write("20-no.vote", "kill -9 $$");
  assert.equal(await at.hooks.vote(VOTE, never), "none", "killed: no answer");
  writeFileSync(path.join(at.folder, "20-no.vote"), "#!/nonexistent\n");
  assert.equal(await at.hooks.vote(VOTE, never), "none", "cannot be started: no answer");
  assert.equal(at.tally.of("hook-failures"), 1);
});

test("A10: a hook that hangs is killed with all that it has started, and the next one runs", async (t) => {
  const at = bench(t, { timeoutMs: 200 });
  at.write("10-hangs", 'trap "" TERM; sleep 1000 & echo $! > "$OUT/child"; wait; sleep 1000');
  at.write("20-next", 'touch "$OUT/next"');
  at.hooks.tell(joined(1));
  await at.written("next");
  assert.equal(at.tally.of("hook-timeouts"), 1);
  assert.ok(at.said.some(({ fields }) => fields["outcome"] === "timeout"));
  await gone(Number(at.read("child")));
});

/** Until the process has ended, or is only waiting to be reaped by this container's init. */
async function gone(pid: number): Promise<void> {
  const alive = (): boolean => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false;
    }
  };
  while (alive()) await pause(POLL_MS);
}

test("A10: a hook that leaves a child behind ends with it; its output is bounded and in the log", async (t) => {
  const at = bench(t);
  const file = at.write(
    "talks",
    'sleep 1000 & echo $! > "$OUT/child"; yes | head -c 100000; echo oops >&2; exit 4',
  );
  const signal = new AbortController().signal;
  const call = { file, environment: { PATH: "/usr/bin:/bin" }, input: "x".repeat(1 << 20), signal };
  const result = await runHook({ ...call, timeoutMs: 60_000 });
  assert.deepEqual([result.outcome, result.status, result.stderr], ["ended", 4, "oops"]);
  assert.ok(
    result.stdout.length <= MAX_OUTPUT_BYTES && result.stdout.length > MAX_OUTPUT_BYTES / 2,
  );
  await gone(Number(at.read("child")));
  at.hooks.tell(joined(1));
  while (at.tally.of("hook-failures") === 0) await pause(POLL_MS);
  const line = at.said.find(({ text }) => text === "hook failed");
  assert.equal(line?.fields["stderr"], "oops");
});

test("A10: when the agent stops, running hooks are killed and nothing waits", async (t) => {
  const at = bench(t);
  at.write("hangs", 'echo $$ > "$OUT/pid.new"; mv "$OUT/pid.new" "$OUT/pid"; sleep 1000');
  at.hooks.tell(joined(1));
  at.hooks.tell(joined(2));
  const pid = Number(await at.written("pid"));
  await at.hooks.stop();
  await gone(pid);
  assert.equal(at.hooks.waiting, 0);
});

test("A10: files that others could change are not run, and it is said what to do, once", (t) => {
  const at = bench(t);
  at.write("10-good", "");
  at.write("20-open", "", 0o777);
  at.write("30-foreign", "");
  if (process.getuid?.() === 0) chownSync(path.join(at.folder, "30-foreign"), 12_345, 0);
  at.write("40-plain", "", 0o644);
  at.write("50-old.bak", "");
  at.write(".hidden", "");
  mkdirSync(path.join(at.folder, "60-folder"));
  const shared = path.join(at.folder, "../shared");
  mkdirSync(shared);
  chmodSync(shared, 0o777);
  writeFileSync(path.join(shared, "tool"), "");
  chmodSync(path.join(shared, "tool"), 0o755);
  symlinkSync(path.join(shared, "tool"), path.join(at.folder, "70-link"));
  symlinkSync("/nonexistent", path.join(at.folder, "80-dangling"));
  const names = (files: readonly string[]): string[] => files.map((file) => path.basename(file));
  const files = at.hooks.files();
  const refused = files.refused.map(({ file, problem }) => `${path.basename(file)}: ${problem}`);
  if (process.getuid?.() === 0) {
    assert.deepEqual(names(files.events), ["10-good"]);
    assert.match(refused.join("\n"), /30-foreign: .* belongs to user 12345.*chown root/);
  }
  assert.match(refused.join("\n"), /20-open: .*chmod go-w/);
  assert.match(refused.join("\n"), /70-link: .*shared .*chmod go-w/);
  at.hooks.files();
  assert.equal(at.said.length, files.refused.length);
  chmodSync(at.folder, 0o777);
  assert.match(at.hooks.files().refused[0]?.problem ?? "", /hooks\.d .*chmod go-w/);
  assert.deepEqual(at.hooks.files().events, []);
  assert.deepEqual(listHooks("/nonexistent"), { events: [], votes: [], refused: [] });
});

test("A10: a link that leads in a circle is refused, and the others are run", (t) => {
  const at = bench(t);
  symlinkSync("20-b", path.join(at.folder, "10-a"));
  symlinkSync("10-a", path.join(at.folder, "20-b"));
  const good = at.write("30-good", "");
  const { events, refused } = at.hooks.files();
  assert.deepEqual(events, [good]);
  assert.deepEqual(
    refused.map(({ file }) => path.basename(file)),
    ["10-a", "20-b"],
  );
  assert.match(refused[0]?.problem ?? "", /circle: remove it/);
  const folder = path.join(at.folder, "../self");
  symlinkSync("self", folder);
  const circle = listHooks(folder);
  assert.match(circle.refused[0]?.problem ?? "", /circle/);
  assert.equal(circle.refused[0]?.file, folder);
});

test("A10: a file that is removed while it is looked at is refused, and the others are run", (t) => {
  const at = bench(t);
  const going = at.write("10-going", "");
  const good = at.write("20-good", "");
  const real = fs.realpathSync;
  const removing = t.mock.method(fs, "realpathSync", (file: string) => {
    if (file === going) rmSync(file);
    return real(file);
  });
  syncBuiltinESMExports();
  try {
    const { events, refused } = at.hooks.files();
    assert.deepEqual(events, [good]);
    assert.equal(refused[0]?.file, going);
    assert.match(refused[0]?.problem ?? "", /removed while it was looked at/);
  } finally {
    removing.mock.restore();
    syncBuiltinESMExports();
  }
  assert.deepEqual(at.hooks.files().refused, []);
});

test("A10: an event that cannot be told is counted and reported; the next ones go on", async (t) => {
  let places = 0;
  const at = bench(t, {
    place: () => {
      places += 1;
      if (places === 2) throw new Error("no place");
      return PLACE;
    },
  });
  at.write(
    "hook",
    `echo "$PANOPLY_SEQUENCE missed=$PANOPLY_MISSED" >> "$OUT/log"
[ "$PANOPLY_SEQUENCE" = 4 ] && mv "$OUT/log" "$OUT/done" || true`,
  );
  for (const sequence of [1, 2, 3, 4]) at.hooks.tell(joined(sequence));
  assert.equal(await at.written("done"), "1 missed=\n3 missed=1\n4 missed=\n");
  assert.equal(at.tally.of("hook-events-lost"), 1);
  assert.deepEqual(at.troubles.splice(0), [new Error("no place")]);
});

test("A10: more hooks than are run are refused", (t) => {
  const at = bench(t);
  for (let index = 0; index <= MAX_HOOKS; index++) at.write(`h${100 + index}`, "");
  const { events, refused } = at.hooks.files();
  assert.equal(events.length, MAX_HOOKS);
  assert.match(refused[0]?.problem ?? "", /more than 64/);
});

test("A10: a set of slots that no variable can hold is on standard input only", () => {
  const slots = "1,".repeat(40_000);
  const event = { type: "work-sets-gained", sequence: 1, group: "web", slots, count: 9 } as const;
  const environment = hookEnvironment(event, PLACE);
  assert.equal(environment["PANOPLY_SLOTS"], undefined);
  assert.equal(environment["PANOPLY_COUNT"], "9");
});
