// What `pan status` says, out of one moment's values.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { requireConfig } from "#config/load.ts";
import { Refusals } from "#core/steering/refusal.ts";
import { TooBig } from "#core/steering/too-big.ts";
import { Holding } from "#core/steering/holding.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { desired, version } from "#core/steering/testing/desired.ts";
import { REASON_NAMES } from "#driver/bpf/abi.gen.ts";
import type { Counters } from "#driver/bpf/types.ts";
import { FailoverLog } from "./failover-log.ts";
import { buildStatus, type StatusSources } from "./status.ts";
import { Traffic } from "./traffic.ts";

const config = requireConfig(
  `cluster: { name: small, interface: eth0 }
nodes: [{ name: a, id: 1, address: 10.0.0.1 }, { name: b, id: 2, address: 10.0.0.2 }]
groups: [{ name: web, slots: 16, services: ["tcp 10.0.0.100:80"] }]
`,
  "test",
);
const NOT_COUNTED = {
  sent: {},
  received: {},
  dropped: {},
  bytesSent: 0,
  bytesReceived: 0,
  worstDelayMs: 0,
  together: [nodeId(1), nodeId(2)],
  maySpeak: true,
};
const [self] = config.nodes;
assert.ok(self);
const sources: StatusSources = {
  self,
  config,
  configVersion: { counter: 1, digest: "00" },
  view: undefined,
  tables: undefined,
  delivery: { method: "forward", primary: undefined },
  traffic: new Traffic(),
  heart: undefined,
  connections: 7,
  control: { connected: 1, counts: new Map([["refused-not-admitted", 3]]) },
  failovers: new FailoverLog(),
  events: { kept: 0, dropped: 0, lost: 0, followers: 0 },
  instanceOf: () => undefined,
  checks: [],
  sessions: [],
  drain: { endsInMs: undefined, closed: 0 },
  assignment: {
    movesWaiting: 4,
    exceptions: { count: 7, refused: 2 },
    held: { ...new Holding(self.id).counts, ...new Refusals().counts, ...new TooBig().counts },
  },
  datapath: { hook: "tc", interface: "eth0", arms: [], leaseValid: false, version: version(1) },
  uptimeMs: 5,
};

test("B8: shares tell how many slots each node owns now, and at home", () => {
  const both = nextTables(undefined, desired(16, [{ id: 1 }, { id: 2 }]), version(1));
  const one = nextTables(both, desired(16, [{ id: 1 }, { id: 2, serves: false }]), version(2));
  const shares = (tables: StatusSources["tables"]): unknown[] =>
    buildStatus({ ...sources, tables }).groups[0]?.shares.map((s) => [s.node, s.slots, s.home]) ??
    [];
  assert.deepEqual(shares(undefined), [
    ["a", 0, 0],
    ["b", 0, 0],
  ]);
  const name = both.groups[0]?.name;
  assert.equal(name, "web", "the tables are of the configured group");
  assert.deepEqual(shares(both), [
    ["a", 8, 8],
    ["b", 8, 8],
  ]);
  assert.deepEqual(shares(one), [
    ["a", 16, 8],
    ["b", 0, 8],
  ]);
});

test("A13: of itself a node says what it took, of others what it sent there and how it hears them", () => {
  const traffic = new Traffic();
  const none = { packets: 0, bytes: 0 };
  const reasons = Object.fromEntries(REASON_NAMES.map((name) => [name, none]));
  const at = (packets: number): Counters => ({
    reasons: {
      ...reasons,
      "pass-local": { packets, bytes: packets * 100 },
      "pass-no-owner": { packets: 1, bytes: 60 },
    } as Counters["reasons"],
    nodes: new Map([[nodeId(2), { packets: 3, bytes: 300 }]]),
    groups: new Map(),
  });
  traffic.sample(instant(0), at(0));
  traffic.sample(instant(2000), at(10));
  const heard = [{ id: nodeId(2), lossEstimate: 0.25, lastHeardMs: 31.4 }];
  const heart = { ...NOT_COUNTED, heard };
  const [own, other] = buildStatus({ ...sources, traffic, heart }).members;
  assert.deepEqual(
    [own?.packets, own?.bytes, own?.packetsPerSecond, own?.bytesPerSecond, own?.connections],
    [11, 1060, 5, 500, 7],
  );
  assert.deepEqual([own?.lossEstimate, own?.lastHeardMs], [undefined, undefined]);
  assert.deepEqual([other?.packets, other?.bytes, other?.connections], [3, 300, undefined]);
  assert.deepEqual([other?.lossEstimate, other?.lastHeardMs], [0.25, 31]);
});

test("A2: who was refused at the control channel is shown, by reason", () => {
  assert.deepEqual(buildStatus(sources).control, {
    connected: 1,
    counts: [{ reason: "refused-not-admitted", count: 3 }],
  });
});

test("A16: who were together last is said by name, and whether sessions may speak; nothing before the heart has told", () => {
  const membership = (heart: StatusSources["heart"]): unknown => {
    const { together, sessionsMaySpeak } = buildStatus({ ...sources, heart }).membership;
    return { together, sessionsMaySpeak };
  };
  assert.deepEqual(membership(undefined), { together: [], sessionsMaySpeak: false });
  const heart = { ...NOT_COUNTED, heard: [] };
  assert.deepEqual(membership(heart), { together: ["a", "b"], sessionsMaySpeak: true });
});

test("A15: slots without an owner and frames that wait are shown", () => {
  const holding = new Holding(self.id);
  const frames = [{ frame: new Uint8Array(60), slot: { group: "web", slot: 1 } }];
  holding.hold(instant(0), frames);
  const lazy = desired(16, [{ id: 1 }]);
  const wish = { ...lazy, groups: lazy.groups.map((g) => ({ ...g, assignment: "lazy" as const })) };
  const tables = nextTables(undefined, wish, version(1));
  const refusals = new Refusals();
  refusals.answer(instant(0), "drop", new Uint8Array(60));
  const held = { ...holding.counts, ...refusals.counts, ...new TooBig().counts };
  const exceptions = { count: 7, refused: 2 };
  const assignment = { movesWaiting: 4, exceptions, held };
  const status = buildStatus({ ...sources, tables, assignment });
  assert.equal(status.groups[0]?.unassigned, 16);
  assert.deepEqual(status.assignment, {
    movesWaiting: 4,
    exceptions: 7,
    exceptionsRefused: 2,
    heldNow: 1,
    heldBytes: 60,
    held: [
      { reason: "held", count: 1 },
      { reason: "released", count: 0 },
      { reason: "refused", count: 0 },
      { reason: "expired", count: 0 },
      { reason: "unsent", count: 0 },
      { reason: "reset", count: 0 },
      { reason: "unreachable", count: 0 },
      { reason: "unanswered", count: 1 },
      { reason: "limited", count: 0 },
      { reason: "tooBigTold", count: 0 },
      { reason: "tooBigUntold", count: 0 },
      { reason: "tooBigLimited", count: 0 },
    ],
  });
});
