// The controller as tables of (state, input) → effects. Slot arithmetic has its own tests.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { NO_TABLES, nodeId, type NodeId, type TableVersion } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import type { Role, View } from "#core/membership/types.ts";
import type { Tables } from "#core/steering/tables.ts";
import { REPORT_AGAIN_MS, REPORT_EVERY_MS } from "./announcements.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import { Controller } from "./controller.ts";
import type { Effect } from "./protocol.ts";
import { ACKNOWLEDGE_MS } from "./publication.ts";
import { groupOf, member, specOf, viewOf, VIP } from "./testing/cluster.ts";

const [N1, N2, N3] = [nodeId(1), nodeId(2), nodeId(3)] as const;

const spec = (change: Partial<ClusterSpec> = {}): ClusterSpec => specOf(groupOf([1, 1, 1]), change);

const view = (role: Role, epoch: number, ids: readonly NodeId[], master: NodeId): View =>
  viewOf(ids, { role, epoch, master });

const at = (ms: number) => instant(ms);
const fresh = (self: NodeId): Controller =>
  new Controller({ self, spec: spec(), tables: undefined, hashKey: [1, 2] });
const kinds = (effects: readonly Effect[]): string[] => effects.map(({ type }) => type);

function tablesOf(effects: readonly Effect[], type: "install-tables" | "replicate-tables"): Tables {
  const effect = effects.find((candidate) => candidate.type === type);
  assert.ok(effect?.type === type, `expected ${type} among ${kinds(effects).join()}`);
  return effect.tables;
}

const owners = (tables: Tables): number[] =>
  [...new Set(tables.groups[0]?.owners)].sort((a, b) => a - b);

/** A master whose members 2 and 3 have acknowledged its tables. */
function settledMaster(): { controller: Controller; tables: Tables } {
  const controller = fresh(N1);
  controller.step(at(0), { type: "view-changed", view: view("master", 1, [N1], N1) });
  controller.step(at(1), { type: "view-changed", view: view("master", 1, [N1, N2, N3], N1) });
  let version: TableVersion = controller.tables?.version ?? NO_TABLES;
  for (let round = 0; round < 3; round++) {
    for (const id of [N2, N3]) {
      controller.step(at(2), { type: "tables-acknowledged", id, version });
    }
    version = controller.tables?.version ?? NO_TABLES;
  }
  assert.ok(controller.tables);
  return { controller, tables: controller.tables };
}

test("B6: at start the VIPs are placed, and tables from before a restart forward again", () => {
  const { tables } = settledMaster();
  const restarted = new Controller({ self: N2, spec: spec(), tables, hashKey: [9, 9] });
  const effects = restarted.open(at(0));
  assert.deepEqual(effects[0], {
    type: "place-vips",
    vips: [VIP],
    answered: [],
    delivery: { method: "forward", primary: VIP },
  });
  assert.deepEqual(tablesOf(effects, "install-tables").version, tables.version);
});

test("A3: a lone master answers for the VIPs, announces them and serves everything itself", () => {
  const effects = fresh(N1).step(at(0), {
    type: "view-changed",
    view: view("master", 1, [N1], N1),
  });
  const delivery = { method: "forward", primary: undefined };
  const onHost = effects.slice(-2);
  assert.deepEqual(onHost, [
    { type: "announce-vips", vips: [VIP], delivery },
    { type: "place-vips", vips: [VIP], answered: [VIP], delivery },
  ]);
  const tables = tablesOf(effects, "install-tables");
  assert.deepEqual(owners(tables), [1]);
  assert.deepEqual(tables.version, { epoch: 1, counter: 1, master: N1 });
});

test("B7: a member gets slots only after it has acknowledged tables", () => {
  const controller = fresh(N1);
  controller.step(at(0), { type: "view-changed", view: view("master", 1, [N1], N1) });
  const joined = controller.step(at(1), {
    type: "view-changed",
    view: view("master", 1, [N1, N2], N1),
  });
  assert.deepEqual(owners(tablesOf(joined, "replicate-tables")), [1]);
  const version = controller.tables?.version ?? NO_TABLES;
  const ready = controller.step(at(2), { type: "tables-acknowledged", id: N2, version });
  assert.deepEqual(owners(tablesOf(ready, "replicate-tables")), [1, 2]);
});

test("B7: an acknowledgement that comes before the view with the member counts", () => {
  const controller = fresh(N1);
  controller.step(at(0), { type: "view-changed", view: view("master", 1, [N1], N1) });
  const version = controller.tables?.version ?? NO_TABLES;
  assert.deepEqual(controller.step(at(1), { type: "tables-acknowledged", id: N2, version }), []);
  const joined = controller.step(at(2), {
    type: "view-changed",
    view: view("master", 1, [N1, N2], N1),
  });
  assert.deepEqual(owners(tablesOf(joined, "replicate-tables")), [1, 2]);
});

test("B7: a restarted node that acknowledges before it is listed gets its slots when it is", () => {
  const controller = fresh(N1);
  controller.step(at(0), { type: "view-changed", view: view("master", 1, [N1], N1) });
  const version = controller.tables?.version ?? NO_TABLES;
  assert.deepEqual(controller.step(at(1), { type: "tables-acknowledged", id: N2, version }), []);
  const listed = controller.step(at(2), {
    type: "view-changed",
    view: view("master", 1, [N1, N2], N1),
  });
  assert.deepEqual(owners(tablesOf(listed, "replicate-tables")), [1, 2]);
});

test("B4: who comes back gets slots when it has the newest tables: by those from before it may own what others have had since", () => {
  const { controller, tables } = settledMaster();
  controller.step(at(10), { type: "view-changed", view: view("master", 1, [N1, N2], N1) });
  const { version } = controller.tables ?? tables;
  controller.step(at(11), { type: "tables-acknowledged", id: N2, version });
  controller.step(at(12), { type: "view-changed", view: view("master", 1, [N1, N2, N3], N1) });
  const stale = { type: "tables-acknowledged", id: N3, version: tables.version } as const;
  assert.deepEqual(controller.step(at(13), stale), []);
  const newest = { ...stale, version: controller.tables?.version ?? version };
  const ready = controller.step(at(14), newest);
  assert.deepEqual(owners(tablesOf(ready, "replicate-tables")), [1, 2, 3]);
});

test("B4: a planned change is installed at the interface node once every member has it", () => {
  const { controller } = settledMaster();
  const drained = controller.step(at(10), { type: "spec-changed", spec: spec({ drained: [N3] }) });
  const next = tablesOf(drained, "replicate-tables");
  assert.deepEqual(owners(next), [1, 2]);
  assert.ok(!kinds(drained).includes("install-tables"));
  const first = controller.step(at(11), {
    type: "tables-acknowledged",
    id: N2,
    version: next.version,
  });
  assert.deepEqual(first, []);
  const second = controller.step(at(12), {
    type: "tables-acknowledged",
    id: N3,
    version: next.version,
  });
  assert.deepEqual(tablesOf(second, "install-tables").version, next.version);
});

test("B4: a member that never acknowledges delays a planned change by a bounded time", () => {
  const { controller } = settledMaster();
  controller.step(at(10), { type: "spec-changed", spec: spec({ drained: [N3] }) });
  assert.deepEqual(controller.step(at(11), { type: "deadline-reached" }), []);
  const late = controller.step(at(10 + ACKNOWLEDGE_MS), { type: "deadline-reached" });
  assert.ok(kinds(late).includes("install-tables"));
});

test("B4: once nobody is waited for, no deadline is left behind that would be met again and again", () => {
  const { controller } = settledMaster();
  controller.step(at(10), { type: "spec-changed", spec: spec({ drained: [N3] }) });
  const { version } = controller.tables ?? { version: NO_TABLES };
  controller.step(at(11), { type: "tables-acknowledged", id: N2, version });
  const due = controller.deadline;
  assert.ok(due !== undefined && due > 11);
  const late = at(10 + ACKNOWLEDGE_MS);
  controller.step(late, { type: "deadline-reached" });
  assert.ok(controller.deadline === undefined || controller.deadline > late, "it never came");
});

test("A9: a dead member's slots move at once, and it stays a former owner until its death is certain", () => {
  const { controller } = settledMaster();
  const effects = controller.step(at(10), {
    type: "view-changed",
    view: view("master", 1, [N1, N2], N1),
  });
  const tables = controller.tables;
  assert.ok(tables);
  assert.deepEqual(owners(tables), [1, 2]);
  assert.deepEqual(tablesOf(effects, "install-tables").version, tables.version);
  assert.ok(tables.groups[0]?.former.includes(N3));
  controller.step(at(500), { type: "departure-confirmed", id: N3, reason: "silent" });
  assert.ok(!controller.tables?.groups[0]?.former.includes(N3));
});

test("A9: a death ends the wait for acknowledgements, also when what waits is right already", () => {
  const { controller } = settledMaster();
  controller.step(at(10), { type: "spec-changed", spec: spec({ drained: [N3] }) });
  const waiting = controller.tables;
  const effects = controller.step(at(11), {
    type: "view-changed",
    view: view("master", 1, [N1, N2], N1),
  });
  assert.deepEqual(
    tablesOf(effects, "install-tables").groups[0]?.owners,
    waiting?.groups[0]?.owners,
  );
  const late = controller.step(at(10 + ACKNOWLEDGE_MS), { type: "deadline-reached" });
  assert.ok(!kinds(late).includes("install-tables"));
});

test("A9: who dies while a planned change waits for it is not waited for", () => {
  const { controller } = settledMaster();
  controller.step(at(10), { type: "spec-changed", spec: spec({ vips: [VIP, ip("10.0.0.101")] }) });
  const effects = controller.step(at(11), {
    type: "view-changed",
    view: view("master", 1, [N1, N2], N1),
  });
  assert.deepEqual(owners(tablesOf(effects, "install-tables")), [1, 2]);
});

test("B4: connections on a machine whose agent is down are still found", () => {
  const { controller } = settledMaster();
  controller.step(at(10), { type: "view-changed", view: view("master", 1, [N1, N2], N1) });
  controller.step(at(90), { type: "departure-confirmed", id: N3, reason: "agent-down" });
  assert.ok(controller.tables?.groups[0]?.former.includes(N3));
  assert.ok(controller.tables?.nodes.some(({ id }) => id === N3));
  controller.step(at(60_000), { type: "departure-confirmed", id: N3, reason: "silent" });
  assert.ok(!controller.tables?.groups[0]?.former.includes(N3), "the machine died later");
});

test("A18: a new master gives the dead master's slots to survivors without waiting for anyone", () => {
  const { tables } = settledMaster();
  const controller = fresh(N2);
  controller.step(at(0), { type: "view-changed", view: view("member", 1, [N1, N2, N3], N1) });
  controller.step(at(1), { type: "tables-received", tables });
  const effects = controller.step(at(300), {
    type: "view-changed",
    view: view("master", 2, [N2, N3], N2),
  });
  const served = ["install-tables", "replicate-tables", "announce-vips", "place-vips"];
  assert.deepEqual(kinds(effects).slice(0, 4), served, "what clients wait for comes first");
  const next = tablesOf(effects, "install-tables");
  assert.deepEqual(owners(next), [2, 3]);
  assert.equal(next.version.epoch, 2);
  assert.deepEqual(next.hashKey, tables.hashKey);
});

test("B9: a member follows its master, installs what it sends and acknowledges", () => {
  const { tables } = settledMaster();
  const controller = fresh(N2);
  const following = controller.step(at(0), {
    type: "view-changed",
    view: view("member", 1, [N1, N2, N3], N1),
  });
  assert.deepEqual(following, [{ type: "follow", master: member(N1) }]);
  const received = controller.step(at(1), { type: "tables-received", tables });
  assert.deepEqual(kinds(received), ["install-tables", "acknowledge-tables"]);
});

test("B9: older tables than the ones in force are ignored", () => {
  const { tables } = settledMaster();
  const controller = fresh(N2);
  controller.step(at(0), { type: "tables-received", tables });
  const older = { ...tables, version: { ...tables.version, counter: 0 } };
  assert.deepEqual(controller.step(at(1), { type: "tables-received", tables: older }), []);
});

test("A5: a master that stands down stops answering for the VIPs and follows the winner", () => {
  const { controller } = settledMaster();
  const effects = controller.step(at(20), {
    type: "view-changed",
    view: view("member", 3, [N1, N2], N2),
  });
  const delivery = { method: "forward", primary: VIP };
  assert.deepEqual(effects[0], { type: "place-vips", vips: [VIP], answered: [], delivery });
  assert.deepEqual(effects[1], { type: "follow", master: member(N2) });
  assert.equal(controller.deadline, undefined);
});

test("B3: a returning node gets its slots back", () => {
  const { controller, tables } = settledMaster();
  controller.step(at(10), { type: "view-changed", view: view("master", 1, [N1, N2], N1) });
  controller.step(at(900), { type: "view-changed", view: view("master", 1, [N1, N2, N3], N1) });
  const version = controller.tables?.version ?? NO_TABLES;
  controller.step(at(901), { type: "tables-acknowledged", id: N3, version });
  assert.deepEqual(controller.tables?.groups[0]?.owners, tables.groups[0]?.owners);
});

test("A13: a new method is announced once every member goes by it, and never before", () => {
  const { controller } = settledMaster();
  const told = (effects: readonly Effect[]) =>
    effects.flatMap((effect) => (effect.type === "announce-vips" ? [effect.delivery.method] : []));
  const changed = controller.step(at(100), {
    type: "spec-changed",
    spec: spec({ method: "unicast" }),
  });
  assert.deepEqual(told(changed), ["forward"]);
  const { version, delivery } = tablesOf(changed, "replicate-tables");
  assert.deepEqual(delivery, { method: "unicast", primary: VIP });
  const first = controller.step(at(101), { type: "tables-acknowledged", id: N2, version });
  assert.deepEqual(first, []);
  const last = controller.step(at(102), { type: "tables-acknowledged", id: N3, version });
  assert.deepEqual(kinds(last), ["place-vips", "install-tables", "announce-vips"]);
  assert.deepEqual(last[0], { type: "place-vips", vips: [VIP], answered: [VIP], delivery });
  assert.deepEqual(told(last), ["unicast"]);
  const again = controller.step(at(102 + 50), { type: "deadline-reached" });
  assert.deepEqual(told(again), ["unicast"], "single frames get lost");
  const back = controller.step(at(200), { type: "spec-changed", spec: spec() });
  assert.deepEqual(told(back), ["unicast"]);
});

test("A13: a member listens to the new MAC before it acknowledges, and answers for nothing", () => {
  const { controller: master } = settledMaster();
  const { tables } = settledMaster();
  const changed = master.step(at(100), {
    type: "spec-changed",
    spec: spec({ method: "multicast" }),
  });
  const next = tablesOf(changed, "replicate-tables");
  const controller = fresh(N2);
  controller.step(at(0), { type: "view-changed", view: view("member", 1, [N1, N2, N3], N1) });
  controller.step(at(1), { type: "tables-received", tables });
  const effects = controller.step(at(2), { type: "tables-received", tables: next });
  assert.deepEqual(kinds(effects), ["place-vips", "install-tables", "acknowledge-tables"]);
  const { delivery } = next;
  assert.deepEqual(effects[0], { type: "place-vips", vips: [VIP], answered: [], delivery });
});

test("A13: with igmp every member reports the group at once, again, and then for ever", () => {
  const { controller: master } = settledMaster();
  const changed = master.step(at(100), { type: "spec-changed", spec: spec({ method: "igmp" }) });
  const tables = tablesOf(changed, "replicate-tables");
  const controller = fresh(N2);
  controller.step(at(0), { type: "view-changed", view: view("member", 1, [N1, N2, N3], N1) });
  const effects = controller.step(at(1), { type: "tables-received", tables });
  const report: Effect = { type: "report-group", group: ip("239.255.0.100") };
  assert.deepEqual(effects[2], report);
  for (const due of [1 + REPORT_AGAIN_MS, 1 + REPORT_AGAIN_MS + REPORT_EVERY_MS]) {
    assert.equal(controller.deadline, due);
    assert.deepEqual(controller.step(at(due), { type: "deadline-reached" }), [report]);
  }
  const version = { ...tables.version, counter: tables.version.counter + 1 };
  const forward = { ...tables, version, delivery: { method: "forward", primary: VIP } } as const;
  const back = controller.step(at(70_000), { type: "tables-received", tables: forward });
  assert.ok(kinds(back).includes("report-group"), "neighbours may remember the group's MAC");
});

test("A5: whoever is told that another announced the VIPs announces them again, if it is master", () => {
  const { controller } = settledMaster();
  assert.deepEqual(kinds(controller.step(at(10), { type: "announce-wanted" })), ["announce-vips"]);
  assert.deepEqual(fresh(N2).step(at(10), { type: "announce-wanted" }), []);
});

const lazySpec = (): ClusterSpec => {
  const { groups, ...rest } = spec();
  return { ...rest, groups: groups.map((group) => ({ ...group, assignment: "lazy" })) };
};

/** A master of a lazy group whose members hold its tables; no slot has an owner. */
function lazyMaster(): Controller {
  const controller = new Controller({
    self: N1,
    spec: lazySpec(),
    tables: undefined,
    hashKey: [1, 2],
  });
  controller.step(at(0), { type: "view-changed", view: view("master", 1, [N1, N2, N3], N1) });
  for (let round = 0; round < 3; round++) {
    const version = controller.tables?.version ?? NO_TABLES;
    for (const id of [N2, N3]) controller.step(at(1), { type: "tables-acknowledged", id, version });
  }
  return controller;
}

test("A9, A15: lazy: no slot has an owner until a packet wants it, and packets are held", () => {
  const controller = lazyMaster();
  const [group] = controller.tables?.groups ?? [];
  assert.deepEqual([...new Set(group?.owners)], [0]);
  assert.equal(group?.holds, true);
});

test("A15: a wanted slot is used once its new owner has acknowledged it, whatever the others do", () => {
  const controller = lazyMaster();
  const home = controller.tables?.groups[0]?.home ?? [];
  const slot = [...home].indexOf(N2);
  const wanted = controller.step(at(10), {
    type: "slots-wanted",
    slots: [{ group: "web", slot }],
  });
  const next = tablesOf(wanted, "replicate-tables");
  assert.equal(next.groups[0]?.owners[slot], N2);
  assert.ok(!kinds(wanted).includes("install-tables"));
  const { version } = next;
  assert.deepEqual(controller.step(at(11), { type: "tables-acknowledged", id: N3, version }), []);
  const owner = controller.step(at(12), { type: "tables-acknowledged", id: N2, version });
  assert.deepEqual(tablesOf(owner, "install-tables").version, version);
});

test("A15: a slot that is wanted twice, has an owner or does not exist changes nothing", () => {
  const controller = lazyMaster();
  const want = { type: "slots-wanted", slots: [{ group: "web", slot: 3 }] } as const;
  assert.ok(kinds(controller.step(at(10), want)).includes("replicate-tables"));
  assert.deepEqual(controller.step(at(11), want), []);
  const none = [
    { group: "web", slot: 99 },
    { group: "none", slot: 0 },
  ];
  assert.deepEqual(controller.step(at(12), { type: "slots-wanted", slots: none }), []);
});

test("A9: lazy: a dead member's slots have no owner until a packet wants them, then one that lives", () => {
  const controller = lazyMaster();
  const slots = Array.from({ length: 16 }, (_, slot) => ({ group: "web", slot }));
  controller.step(at(10), { type: "slots-wanted", slots });
  const before = controller.tables?.groups[0]?.owners.slice() ?? new Uint16Array();
  controller.step(at(20), { type: "view-changed", view: view("master", 1, [N1, N2], N1) });
  const group = controller.tables?.groups[0];
  assert.deepEqual(
    [...(group?.owners ?? [])],
    [...before].map((id) => (id === N3 ? 0 : id)),
  );
  const slot = before.indexOf(N3);
  controller.step(at(30), { type: "slots-wanted", slots: [{ group: "web", slot }] });
  assert.ok([N1, N2].includes((controller.tables?.groups[0]?.owners[slot] ?? 0) as NodeId));
});

test("A15: only a master assigns slots", () => {
  const controller = fresh(N2);
  controller.step(at(0), { type: "view-changed", view: view("member", 1, [N1, N2], N1) });
  const want = { type: "slots-wanted", slots: [{ group: "web", slot: 3 }] } as const;
  assert.deepEqual(controller.step(at(1), want), []);
});

test("A5: a master that did not run for a while announces nothing before it can have heard of its successor", () => {
  const { controller } = settledMaster();
  const due = controller.deadline;
  assert.ok(due !== undefined);
  const frozen = at(60_000);
  const told = (ms: number): string[] =>
    kinds(controller.step(at(ms), { type: "deadline-reached" })).filter(
      (kind) => kind === "announce-vips",
    );
  assert.deepEqual(told(frozen), []);
  assert.deepEqual(told(frozen + 1000), ["announce-vips"], "it is master after all");
});
