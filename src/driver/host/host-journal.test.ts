// The journal by which a later agent undoes what an earlier one has changed: whose it is, and what is not one.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import {
  decodeJournal,
  EMPTY_JOURNAL,
  encodeJournal,
  hostIdentity,
  JournalFile,
  type Journal,
} from "./host-journal.ts";

const HERE = { bootId: "0f1e", netns: "net:[4026531840]" };
const JOURNAL: Journal = {
  addresses: [
    { device: "lo", address: ip("192.0.2.100") },
    { device: "eth0", address: ip("2001:db8::64") },
  ],
  sysctls: [{ device: "eth0", name: "arp_ignore", before: 0, after: 1 }],
  macs: [{ device: "eth0", mac: mac("03:bf:c0:00:02:64") }],
  links: [{ device: "eth0", before: mac("02:00:5e:00:00:01"), after: mac("02:bf:c0:00:02:64") }],
};

function withFolder(run: (folder: string) => void): void {
  const folder = mkdtempSync(path.join(tmpdir(), "pt-journal-"));
  try {
    run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the journal of a killed agent is read again as it was written", () => {
  withFolder((folder) => {
    const state = path.join(folder, "state");
    new JournalFile(state, HERE).write(JOURNAL);
    assert.deepEqual(new JournalFile(state, HERE).read(), JOURNAL);
    assert.deepEqual(readdirSync(state), ["host-changes.json"], "nothing half-written stays");
    assert.equal(statSync(path.join(state, "host-changes.json")).mode & 0o777, 0o600);
  });
});

test("after a reboot, or in another network namespace, there is nothing to undo", () => {
  withFolder((folder) => {
    new JournalFile(folder, HERE).write(JOURNAL);
    assert.deepEqual(new JournalFile(folder, { ...HERE, bootId: "0f1f" }).read(), EMPTY_JOURNAL);
    const elsewhere = { ...HERE, netns: "net:[4026532000]" };
    assert.deepEqual(new JournalFile(folder, elsewhere).read(), EMPTY_JOURNAL);
  });
});

test("a removed journal is an empty one, and removing is repeatable", () => {
  withFolder((folder) => {
    const file = new JournalFile(folder, HERE);
    file.write(JOURNAL);
    file.remove();
    file.remove();
    assert.deepEqual(file.read(), EMPTY_JOURNAL);
    assert.deepEqual(readdirSync(folder), []);
  });
});

test("a journal that is not ours is refused, not overwritten", () => {
  withFolder((folder) => {
    writeFileSync(path.join(folder, "host-changes.json"), "{}");
    assert.throws(
      () => new JournalFile(folder, HERE).read(),
      (error) => error instanceof PanError && error.code === "PAN_STATE_UNREADABLE",
    );
  });
});

test("whatever is not a whole journal is none", () => {
  const text = encodeJournal(HERE, JOURNAL);
  assert.deepEqual(decodeJournal(text), { identity: HERE, journal: JOURNAL });
  const earlier = text.replace(/,\s*"macs": \[[^]*\]/, "");
  assert.deepEqual(decodeJournal(earlier)?.journal, { ...JOURNAL, macs: [], links: [] });
  for (const wrong of [
    "",
    "null",
    text.slice(0, -3),
    text.replace('"format": 1', '"format": 2'),
    text.replace("192.0.2.100", "192.0.2.300"),
    text.replace("arp_ignore", "ip_forward"),
    text.replace("03:bf:", "03-bf-"),
    text.replace("02:bf:", "02-bf-"),
    text.replace(/"links": \[[^]*\]/, '"links": 1'),
    text.replace(/"macs": \[[^]*\]/, '"macs": {}'),
    text.replace('"before": 0', '"before": "0"'),
    text.replace('"device": "lo"', '"device": 1'),
  ]) {
    assert.equal(decodeJournal(wrong), undefined, wrong);
  }
});

test("a host is known by its boot and its network namespace", () => {
  const identity = hostIdentity();
  assert.match(identity.bootId, /^[0-9a-f-]{36}$/);
  assert.match(identity.netns, /^net:\[\d+\]$/);
});
