// From what happens on a node to events of the catalogue: names, repetitions, order; and that the catalogue knows every cause.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { EVENTS, type NewEvent } from "#api/event-catalogue.ts";
import { ip, mac } from "#base/address.ts";
import { NO_TABLES, nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { configVersion } from "#config/config.ts";
import { requireConfig } from "#config/load.ts";
import type { View } from "#core/membership/types.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { desired } from "#core/steering/testing/desired.ts";
import { REFUSAL_REASONS } from "#wire/cluster/message.ts";
import type { ConfigInForce } from "../config-store.ts";
import { Trouble } from "../trouble.ts";
import { Recorder } from "./recorder.ts";

const yamlOf = (drained: boolean): string => `cluster: { name: small, interface: eth0 }
nodes: [{ name: a, id: 1, address: 10.0.0.1 }, { name: b, id: 2, address: 10.0.0.2, drained: ${drained} }]
groups: [{ name: web, services: ["tcp 10.0.0.100:80"] }]
`;
const inForce = (counter: number, drained: boolean): ConfigInForce => {
  const yaml = yamlOf(drained);
  const config = requireConfig(yaml, "test");
  return { version: configVersion(counter, config), yaml, config };
};

interface Scene {
  readonly recorder: Recorder;
  /** Events since it was last asked. */
  readonly told: () => Promise<NewEvent[]>;
  now: number;
}

function scene(): Scene {
  const events: NewEvent[] = [];
  const made: Scene = {
    now: 0,
    recorder: new Recorder({
      self: nodeId(1),
      config: inForce(1, false),
      tables: undefined,
      record: (event) => void events.push(event),
      trouble: new Trouble({ error: (fields: unknown) => assert.fail(JSON.stringify(fields)) }),
      clock: () => instant(made.now),
    }),
    told: async () => {
      await turn();
      return events.splice(0);
    },
  };
  return made;
}

const view = (ids: readonly number[]): View => ({
  role: "master",
  epoch: 3,
  master: nodeId(1),
  secondary: nodeId(2),
  members: ids.map((id) => ({
    id: nodeId(id),
    address: ip(`10.0.0.${id}`),
    mac: mac(`02:00:00:00:00:0${id}`),
  })),
  keepaliveIntervalMs: 100,
  config: { counter: 1, digest: "00" },
  tables: NO_TABLES,
});

test("events: nodes have names, and one that the configuration does not know has its number", async () => {
  const { recorder, told } = scene();
  recorder.viewChanged(view([1, 2, 9]));
  recorder.fromHeart({ type: "member-departed", id: nodeId(9), reason: "refused" });
  recorder.viewChanged(view([1, 2]));
  recorder.fromHeart({ type: "departure-confirmed", id: nodeId(9), reason: "refused" });
  assert.deepEqual(await told(), [
    { type: "role-changed", role: "master" },
    { type: "master-elected", master: "a", epoch: 3, cause: "founded" },
    { type: "member-joined", member: "a", address: "10.0.0.1" },
    { type: "member-joined", member: "b", address: "10.0.0.2" },
    { type: "member-joined", member: "node-9", address: "10.0.0.9" },
    { type: "member-left", member: "node-9", address: "10.0.0.9", cause: "refused" },
    { type: "departure-confirmed", member: "node-9", cause: "refused" },
  ]);
});

test("events: published and installed tables tell what moved; the same tables again tell nothing", async () => {
  const { recorder, told } = scene();
  recorder.viewChanged(view([1, 2]));
  await told();
  const at = (counter: number) => ({ epoch: 3, counter, master: nodeId(1) });
  const first = nextTables(undefined, desired(4, [{ id: 1 }]), at(1));
  const second = nextTables(first, desired(4, [{ id: 1 }, { id: 2 }]), at(2));
  recorder.performed([{ type: "replicate-tables", tables: first, withheld: [] }]);
  recorder.tablesInForce(first);
  recorder.tablesInForce(first);
  recorder.performed([{ type: "replicate-tables", tables: second, withheld: [] }]);
  recorder.tablesInForce(second);
  const moves = [{ group: "web", from: "a", to: "b", slots: 2, cause: "join" }];
  const fresh = [{ group: "web", to: "a", slots: 4, cause: "other" }];
  assert.deepEqual(await told(), [
    {
      type: "tables-published",
      version: "3.1@a",
      cause: "services",
      moved: 4,
      moves: fresh,
      members: 1,
    },
    { type: "tables-installed", version: "3.1@a", cause: "services", moved: 4, moves: fresh },
    { type: "tables-published", version: "3.2@a", cause: "join", moved: 2, moves, members: 1 },
    { type: "tables-installed", version: "3.2@a", cause: "join", moved: 2, moves },
  ]);
});

test("events: virtual addresses are taken, announced once however often it is repeated, and given up", async () => {
  const { recorder, told } = scene();
  const [v1, v2] = [ip("10.0.0.100"), ip("10.0.0.101")];
  const delivery = { method: "forward", primary: v1 } as const;
  const flooded = { method: "unicast", primary: v1 } as const;
  const place = (answer: boolean, vips: readonly (typeof v1)[]) =>
    recorder.performed([{ type: "place-vips", vips, answered: answer ? vips : [], delivery }]);
  const announce = (vips: readonly (typeof v1)[], by: typeof delivery | typeof flooded) =>
    recorder.performed([{ type: "announce-vips", vips, delivery: by }]);
  place(false, [v1]);
  place(true, [v1]);
  announce([v1], delivery);
  announce([v1], delivery);
  place(true, [v1, v2]);
  announce([v1, v2], delivery);
  announce([v1, v2], flooded);
  place(true, [v2]);
  place(false, [v2]);
  place(true, [v2]);
  announce([v2], delivery);
  assert.deepEqual(await told(), [
    { type: "vips-taken", vips: [v1] },
    { type: "vips-announced", vips: [v1] },
    { type: "vips-taken", vips: [v2] },
    { type: "vips-announced", vips: [v1, v2] },
    { type: "vips-announced", vips: [v1, v2], mac: "02:bf:0a:00:00:64" },
    { type: "vips-given-up", vips: [v1] },
    { type: "vips-given-up", vips: [v2] },
    { type: "vips-taken", vips: [v2] },
    { type: "vips-announced", vips: [v2] },
  ]);
});

test("events: who changed the configuration: an operator here, at a member, or the master", async () => {
  const { recorder, told } = scene();
  const [first, second, third] = [inForce(2, true), inForce(3, false), inForce(4, true)];
  recorder.asked({ change: "drain" }, () => recorder.configInForce(first));
  recorder.asked({ change: "undrain", via: nodeId(2) }, () => recorder.configInForce(second));
  assert.throws(() =>
    recorder.asked({ change: "refused" }, () => {
      throw new Error("no");
    }),
  );
  recorder.configInForce(third);
  recorder.configInForce(third);
  const summary = (await told()).map((event) => {
    assert.ok(event.type === "config-changed");
    const { cause, change, via, counter, differences } = event;
    return [cause, change, via, counter, ...differences];
  });
  assert.deepEqual(summary, [
    ["operator", "drain", undefined, 2, "nodes.b.drained: false → true"],
    ["member", "undrain", "b", 3, "nodes.b.drained: true → false"],
    ["master", undefined, undefined, 4, "nodes.b.drained: false → true"],
  ]);
});

test("A2: a stranger that tries again and again is recorded once a minute, with how often", async () => {
  const made = scene();
  const deny = (): void =>
    made.recorder.fromHeart({
      type: "join-denied",
      sender: nodeId(9),
      address: ip("10.0.0.9"),
      reason: "certificate",
    });
  for (; made.now < 60_000; made.now += 1000) deny();
  deny();
  const event = {
    type: "join-denied",
    member: "node-9",
    address: "10.0.0.9",
    cause: "certificate",
  };
  assert.deepEqual(await made.told(), [event, { ...event, unsaid: 59 }]);
});

test("B7: an instance that fails, and works again, is recorded once each, with what the check met", async () => {
  const { recorder, told } = scene();
  const report = (state: "up" | "down" | "unknown", reason: string): void =>
    recorder.healthReported(nodeId(2), { groups: [{ name: "web", state, part: 100, reason }] });
  report("up", "");
  report("down", "tcp: connection refused");
  report("down", "tcp: connection refused");
  report("up", "");
  const web = { type: "health-changed", member: "b", group: "web" };
  assert.deepEqual(await told(), [
    { ...web, state: "down", before: "up", cause: "failed", detail: "tcp: connection refused" },
    { ...web, state: "up", before: "down", cause: "passed" },
  ]);
});

test("events: the catalogue has every reason of the protocol", () => {
  assert.deepEqual(Object.keys(EVENTS["join-denied"].causes).sort(), [...REFUSAL_REASONS].sort());
  assert.deepEqual(Object.keys(EVENTS["join-refused"].causes).sort(), [...REFUSAL_REASONS].sort());
});
