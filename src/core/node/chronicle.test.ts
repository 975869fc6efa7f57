// A10: what applications are told, as tables of (what happened) → news.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { NO_NODE, NO_TABLES, nodeId, type TableVersion } from "#base/ids.ts";
import type { Role, View } from "#core/membership/types.ts";
import { FORMER_OWNERS, type Tables } from "#core/steering/tables.ts";
import { desired } from "#core/steering/testing/desired.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { formatSlots } from "#wire/applications/slot-ranges.ts";
import { Chronicle, type News } from "./chronicle.ts";

const SELF = nodeId(2);
const version = (epoch: number, counter: number, master = 1): TableVersion => ({
  epoch,
  counter,
  master: nodeId(master),
});

const view = (role: Role, ids: readonly number[], more: Partial<View> = {}): View => ({
  role,
  epoch: 5,
  master: ids.length === 0 ? NO_NODE : nodeId(role === "master" ? SELF : (ids[0] ?? 0)),
  secondary: NO_NODE,
  members: ids.map((id) => ({
    id: nodeId(id),
    address: ip(`10.0.0.${id}`),
    mac: mac(`02:00:00:00:00:0${id}`),
  })),
  keepaliveIntervalMs: 100,
  config: { counter: 1, digest: "00" },
  tables: NO_TABLES,
  ...more,
});

/** Owners of the group "web", and who had its slots before. */
function tables(
  at: TableVersion,
  owners: readonly number[],
  former: readonly number[] = [],
): Tables {
  const [base] = [nextTables(undefined, desired(owners.length, [{ id: 1 }, { id: 2 }]), at)];
  const [group] = base.groups;
  assert.ok(group);
  const history = new Uint16Array(owners.length * FORMER_OWNERS);
  former.forEach((id, slot) => {
    history[slot * FORMER_OWNERS] = id;
  });
  return { ...base, groups: [{ ...group, owners: Uint16Array.from(owners), former: history }] };
}

function shown(news: News): string {
  switch (news.type) {
    case "role-changed":
      return `${news.role} under ${news.master}`;
    case "member-joined":
      return `joined ${news.member.id}`;
    case "member-left":
      return `left ${news.member.id}: ${news.reason}`;
    case "work-sets-gained":
      return `gained ${news.group} ${formatSlots(news.slots)} from ${news.from}`;
    case "work-sets-passed-on":
      return `passed on ${news.group} ${formatSlots(news.slots)} to ${news.to}`;
    case "work-sets-lost":
      return `lost ${news.group} ${formatSlots(news.slots)} to ${news.to}`;
  }
}
const list = (news: readonly News[]): string[] => news.map(shown);

/** Member under node 1, with the master's tables: this node has slots 0 and 1. */
function member(): Chronicle {
  const chronicle = new Chronicle(SELF);
  chronicle.viewChanged(view("member", [1, 2]));
  chronicle.tablesInForce(tables(version(5, 1), [2, 2, 1, 1]));
  return chronicle;
}

test("A10: a node that joins is told its role, the members, and what it gains once that is in force", () => {
  const chronicle = new Chronicle(SELF);
  assert.deepEqual(list(chronicle.viewChanged(view("joining", []))), ["joining under 0"]);
  assert.deepEqual(list(chronicle.viewChanged(view("member", [1, 2]))), [
    "member under 1",
    "joined 1",
    "joined 2",
  ]);
  const gained = chronicle.tablesInForce(tables(version(5, 1), [2, 1, 2, 2], [3, 0, 2]));
  assert.deepEqual(list(gained), ["gained web 2-3 from 0", "gained web 0 from 3"]);
  assert.deepEqual(chronicle.standing.groups, [
    {
      group: "web",
      total: 4,
      slots: [
        { first: 0, last: 0 },
        { first: 2, last: 3 },
      ],
    },
  ]);
});

test("A10: work sets that move: from whom, to whom, or to nobody yet", () => {
  const chronicle = member();
  const swap = chronicle.tablesInForce(tables(version(5, 2), [1, 2, 2, 1]));
  assert.deepEqual(list(swap), ["lost web 0 to 1", "gained web 2 from 1"]);
  const letGo = chronicle.tablesInForce(tables(version(5, 3), [1, 0, 2, 1]));
  assert.deepEqual(list(letGo), ["lost web 1 to 0"]);
  const given = chronicle.tablesInForce(tables(version(5, 4), [1, 2, 2, 1], [0, 1]));
  assert.deepEqual(list(given), ["gained web 1 from 1"]);
  assert.deepEqual(chronicle.tablesInForce(tables(version(5, 5), [1, 2, 2, 1])), []);
});

test("A10: what was let go is told again when somebody has it, and only to who let it go", () => {
  const chronicle = member();
  const letGo = chronicle.tablesInForce(tables(version(5, 2), [0, 0, 0, 1], [2, 2, 1]));
  assert.deepEqual(list(letGo), ["lost web 0-1 to 0"]);
  const given = chronicle.tablesInForce(tables(version(5, 3), [3, 2, 3, 1], [2, 2, 1]));
  assert.deepEqual(list(given), ["passed on web 0 to 3", "gained web 1 from 0"]);
});

test("A10: a group that goes, comes, or changes its size: every slot of it", () => {
  const chronicle = member();
  const larger = chronicle.tablesInForce(tables(version(5, 2), [2, 2, 1, 1, 1, 1, 1, 1]));
  assert.deepEqual(list(larger), ["lost web 0-1 to 0", "gained web 0-1 from 0"]);
  const none: Tables = { ...tables(version(5, 3), [1, 1]), groups: [] };
  assert.deepEqual(list(chronicle.tablesInForce(none)), ["lost web 0-1 to 0"]);
});

test("A10: the master tells why a member left; the others do not know", () => {
  const master = new Chronicle(SELF);
  master.viewChanged(view("master", [2, 3, 4]));
  master.departing(nodeId(3), "silent");
  assert.deepEqual(list(master.viewChanged(view("master", [2, 4]))), ["left 3: silent"]);
  master.viewChanged(view("master", [2, 3, 4]));
  assert.deepEqual(list(master.viewChanged(view("master", [2, 4]))), ["left 3: unknown"]);
  assert.deepEqual(list(member().viewChanged(view("member", [2]))), [
    "member under 2",
    "left 1: unknown",
  ]);
});

test("A10: a node that is out serves nothing, and hears of the others only when it is back", () => {
  const chronicle = member();
  assert.deepEqual(list(chronicle.viewChanged(view("joining", []))), [
    "joining under 0",
    "lost web 0-1 to 0",
  ]);
  assert.deepEqual(
    chronicle.standing.members.map(({ id }) => id),
    [1, 2],
  );
  const back = chronicle.viewChanged(
    view("member", [2, 3], { master: nodeId(3), epoch: 6, tables: version(6, 2, 3) }),
  );
  assert.deepEqual(list(back), ["member under 3", "left 1: unknown", "joined 3"]);
});

test("A10: tables from before give nothing: only those that the master has announced, or later ones", () => {
  const chronicle = new Chronicle(SELF);
  chronicle.tablesInForce(tables(version(4, 9), [2, 2]));
  const joined = view("member", [1, 2], { tables: version(5, 3) });
  assert.deepEqual(list(chronicle.viewChanged(joined)).slice(-1), ["joined 2"]);
  assert.deepEqual(
    chronicle.tablesInForce(tables(version(5, 2), [2, 2])),
    [],
    "older than announced",
  );
  assert.deepEqual(list(chronicle.tablesInForce(tables(version(5, 3), [1, 2]))), [
    "gained web 1 from 0",
  ]);
});

test("A10: a survivor that becomes master keeps what it has", () => {
  const chronicle = member();
  const news = chronicle.viewChanged(view("master", [2], { epoch: 6, tables: version(5, 1) }));
  assert.deepEqual(list(news), ["master under 2", "left 1: unknown"]);
  assert.deepEqual(list(chronicle.tablesInForce(tables(version(6, 1, 2), [2, 2, 2, 2]))), [
    "gained web 2-3 from 1",
  ]);
});

test("A10: what does not change is not told again", () => {
  const chronicle = member();
  assert.deepEqual(chronicle.viewChanged(view("member", [1, 2], { keepaliveIntervalMs: 20 })), []);
});
