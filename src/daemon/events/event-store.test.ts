// What is kept of events, and for how long: over restarts, over a process that is killed while it writes, and never more than allowed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import type { NewEvent } from "#api/event-catalogue.ts";
import { EventStore, MAX_EVENT_BYTES, type TimedEvent } from "./event-store.ts";

const ALL = { after: 0, types: [], limit: 1000 } as const;

function fileIn(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-events-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, "events.db");
}

const joined = (member: string): NewEvent => ({
  type: "member-joined",
  member,
  address: "10.0.0.1",
});
const drained: NewEvent = { type: "role-changed", role: "member", before: "joining" };
const at = (atMs: number, event: NewEvent): TimedEvent => ({ atMs, event });

test("event store: events come back in their order, with number and time, also after a restart", (t) => {
  const file = fileIn(t);
  const { store } = EventStore.open(file);
  store.append([at(1000, joined("m1")), at(2000, drained)]);
  store.append([at(1500, joined("m2"))]); // the clock was set back
  store.close();
  const { store: again, putAside } = EventStore.open(file);
  t.after(() => again.close());
  again.append([at(3000, joined("m3"))]);
  assert.equal(putAside, undefined);
  assert.deepEqual(again.read(ALL), [
    { seq: 1, at: "1970-01-01T00:00:01.000Z", ...joined("m1") },
    { seq: 2, at: "1970-01-01T00:00:02.000Z", ...drained },
    { seq: 3, at: "1970-01-01T00:00:01.500Z", ...joined("m2") },
    { seq: 4, at: "1970-01-01T00:00:03.000Z", ...joined("m3") },
  ]);
});

test("event store: what is asked for: after a number, since a time, of some types, the newest", (t) => {
  const { store } = EventStore.open(fileIn(t));
  t.after(() => store.close());
  store.append([1, 2, 3, 4, 5].map((n) => at(n, n % 2 === 0 ? drained : joined(`m${n}`))));
  const seqs = (question: object): number[] =>
    store.read({ ...ALL, ...question }).map(({ seq }) => seq);
  assert.deepEqual(seqs({ after: 3 }), [4, 5]);
  assert.deepEqual(seqs({ sinceMs: 3 }), [3, 4, 5]);
  assert.deepEqual(seqs({ types: ["role-changed"] }), [2, 4]);
  assert.deepEqual(seqs({ limit: 2 }), [1, 2]);
  assert.deepEqual(seqs({ limit: 2, newest: true }), [4, 5]);
  assert.deepEqual(seqs({ limit: 1, newest: true, types: ["member-joined"], sinceMs: 2 }), [5]);
});

test("event store: too many rows: the oldest make room and are counted, numbers go on", (t) => {
  const file = fileIn(t);
  const { store } = EventStore.open(file, { rows: 128, bytes: 1 << 20 });
  for (let n = 1; n <= 300; n++) store.append([at(n, joined(`m${n}`))]);
  assert.ok(store.rows <= 128 && store.rows > 100, `${store.rows} rows`);
  assert.equal(store.dropped, 300 - store.rows);
  assert.equal(store.first, store.dropped + 1);
  assert.equal(store.last, 300);
  const [rows, dropped] = [store.rows, store.dropped];
  store.close();
  const { store: again } = EventStore.open(file, { rows: 128, bytes: 1 << 20 });
  t.after(() => again.close());
  assert.deepEqual(
    [again.rows, again.dropped, again.first, again.last],
    [rows, dropped, dropped + 1, 300],
  );
});

test("event store: too many bytes: the same; and one event that is too long is not kept", (t) => {
  const { store } = EventStore.open(fileIn(t), { rows: 1000, bytes: 50_000 });
  t.after(() => store.close());
  for (let n = 1; n <= 100; n++) store.append([at(n, joined("x".repeat(1000)))]);
  assert.ok(store.rows < 50 && store.rows > 40, `${store.rows} rows`);
  assert.equal(store.append([at(1, joined("x".repeat(MAX_EVENT_BYTES))), at(2, drained)]), 1);
  assert.equal(store.read(ALL).at(-1)?.type, "role-changed");
});

test("event store: an event that cannot be written changes nothing", (t) => {
  const { store } = EventStore.open(fileIn(t));
  t.after(() => store.close());
  store.append([at(1, drained)]);
  const unwritable = at(Number.NaN, drained); // NaN is stored as NULL, which the table refuses
  assert.throws(() => store.append([at(2, joined("m1")), unwritable]));
  assert.deepEqual([store.rows, store.first, store.last], [1, 1, 1]);
  store.append([at(3, drained)]);
  assert.deepEqual(
    store.read(ALL).map(({ seq }) => seq),
    [1, 2],
  );
});

for (const [what, content] of [
  [
    "is something else",
    Buffer.from("this is not a database, whatever it was before\n".repeat(100)),
  ],
  ["was cut short", undefined],
] as const) {
  test(`event store: a file that ${what} is put aside and a new one begun`, (t) => {
    const file = fileIn(t);
    if (content === undefined) {
      const { store } = EventStore.open(file);
      store.append(Array.from({ length: 2000 }, (_, n) => at(n, joined(`m${n}`))));
      store.close();
      writeFileSync(file, readFileSync(file).subarray(0, 20_000));
    } else writeFileSync(file, content);
    const damaged = readFileSync(file);
    const { store, putAside } = EventStore.open(file);
    t.after(() => store.close());
    assert.equal(putAside, `${file}.damaged`);
    assert.deepEqual(readFileSync(`${file}.damaged`), damaged);
    assert.deepEqual(store.read(ALL), []);
    store.append([at(1, drained)]);
    assert.equal(store.last, 1);
  });
}

/** Writes pairs of events, each pair in one transaction, and says the number of each after it is written. */
const WRITER = `
  import { EventStore } from ${JSON.stringify(path.join(import.meta.dirname, "event-store.ts"))};
  const { store } = EventStore.open(process.argv[1], { rows: 500, bytes: 1 << 20 });
  const event = { type: "member-joined", member: "m".repeat(200), address: "10.0.0.1" };
  for (;;) {
    store.append([{ atMs: 1, event }, { atMs: 2, event }]);
    process.stdout.write(store.last + "\\n");
    await new Promise(setImmediate);
  }
`;

test("event store: killed in the middle of a write, it holds every event that was written, and no half", async (t) => {
  const file = fileIn(t);
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", WRITER, file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
      if (said.length > 4000 + round * 777) child.kill("SIGKILL");
    });
    await once(child, "close");
    const told = Number(said.slice(0, said.lastIndexOf("\n")).split("\n").at(-1));
    const { store, putAside } = EventStore.open(file, { rows: 500, bytes: 1 << 20 });
    const kept = store.read({ ...ALL, after: store.first - 1 });
    assert.equal(putAside, undefined);
    assert.ok(store.last >= told, `${told} were told, ${store.last} are there`);
    assert.equal(store.last % 2, 0, "a transaction is there whole or not at all");
    assert.deepEqual(
      kept.map(({ seq }) => seq),
      kept.map((_, index) => store.first + index),
      "without gaps",
    );
    assert.equal(store.dropped + store.rows, store.last);
    store.close();
  }
  assert.equal(existsSync(`${file}.damaged`), false);
});
