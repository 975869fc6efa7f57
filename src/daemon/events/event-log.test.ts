// What the event log does when there is too much, when the disk refuses, and for those who follow.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { NewEvent } from "#api/event-catalogue.ts";
import { Trouble } from "../trouble.ts";
import { EventLog, MAX_WAITING } from "./event-log.ts";
import { EventStore } from "./event-store.ts";

const event: NewEvent = { type: "role-changed", role: "member" };

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-event-log-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function troubles(): { trouble: Trouble; said: unknown[] } {
  const said: unknown[] = [];
  return {
    said,
    trouble: new Trouble({ error: (_fields: unknown, text?: string) => said.push(text) }),
  };
}

test("event log: what is recorded is there in the next turn, and whoever follows is told once", async (t) => {
  const { trouble, said } = troubles();
  const log = EventLog.open(path.join(folderOf(t), "events.db"), trouble);
  t.after(() => log.close());
  let told = 0;
  const end = log.onNew(() => (told += 1));
  log.record(event);
  log.record(event);
  assert.equal(log.last, 0, "nobody waits for the disk");
  await turn();
  assert.deepEqual([log.last, told, log.status.followers], [2, 1, 1]);
  end();
  log.record(event);
  await turn();
  assert.deepEqual([told, log.status], [1, { kept: 3, dropped: 0, lost: 0, followers: 0 }]);
  assert.deepEqual(said, []);
});

test("event log: more at once than may wait, and events after the end, are counted as lost", async (t) => {
  const { trouble } = troubles();
  const file = path.join(folderOf(t), "events.db");
  const log = EventLog.open(file, trouble);
  for (let n = 0; n < MAX_WAITING + 3; n++) log.record(event);
  assert.equal(log.status.lost, 3);
  log.close(); // what waits is written
  log.record(event);
  const { store } = EventStore.open(file);
  t.after(() => store.close());
  assert.equal(store.rows, MAX_WAITING);
});

test("event log: events that the disk refuses are counted, and the next ones are kept", async (t) => {
  const { trouble, said } = troubles();
  const { store } = EventStore.open(":memory:");
  const append = store.append.bind(store);
  let full = true;
  store.append = (events) => {
    if (full) throw new Error("database or disk is full");
    return append(events);
  };
  const log = new EventLog({ store, trouble });
  t.after(() => log.close());
  log.record(event);
  await turn();
  full = false;
  log.record(event);
  await turn();
  assert.deepEqual([log.status.lost, log.status.kept], [1, 1]);
  assert.deepEqual(said, ["event log: database or disk is full"]);
});

test("event log: without a place on disk it works on in memory; a damaged file is put aside; both are said", async (t) => {
  const folder = folderOf(t);
  const { trouble, said } = troubles();
  const nowhere = EventLog.open(path.join(folder, "no-such-folder", "events.db"), trouble);
  t.after(() => nowhere.close());
  nowhere.record(event);
  await turn();
  assert.equal(nowhere.status.kept, 1);
  const file = path.join(folder, "events.db");
  writeFileSync(file, "no database, but long enough to be looked at by one\n".repeat(50));
  const anew = EventLog.open(file, trouble);
  t.after(() => anew.close());
  assert.equal(anew.last, 0);
  assert.ok(statSync(`${file}.damaged`).isFile());
  assert.match(String(said[0]), /^open the event log: /);
  assert.match(String(said[1]), /was damaged and is now .*events\.db\.damaged/);
});
