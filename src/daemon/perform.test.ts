// What becomes of effects that fail: said once with their code, tried again, and never counted on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { type ErrorCode, PanError } from "#base/error-codes.ts";
import { nodeId } from "#base/ids.ts";
import type { Effect } from "#core/node/protocol.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { desired, version } from "#core/steering/testing/desired.ts";
import { Performer, type Surroundings } from "./perform.ts";
import { Trouble } from "./trouble.ts";

const VIP = ip("10.0.0.100");
const tables = nextTables(undefined, desired(16, [{ id: 1 }, { id: 2 }]), version(1));
const install: Effect = { type: "install-tables", tables };
const acknowledge: Effect = { type: "acknowledge-tables", version: tables.version };
const FORWARD = { method: "forward", primary: VIP } as const;
const place: Extract<Effect, { type: "place-vips" }> = {
  type: "place-vips",
  vips: [VIP],
  answered: [VIP],
  delivery: FORWARD,
};

/** A world that writes down what is asked of it, and refuses what it is told to refuse. */
function world(): {
  readonly refuse: Map<string, Error>;
  readonly done: string[];
  readonly said: string[];
  readonly performer: Performer;
  /** Counters of the versions on the disk. */
  readonly saved: number[];
} {
  const saved: number[] = [];
  const [refuse, done, said] = [new Map<string, Error>(), [] as string[], [] as string[]];
  const act = (name: string): void => {
    const failure = refuse.get(name);
    if (failure !== undefined) throw failure;
    done.push(name);
  };
  const surroundings: Surroundings = {
    address: ip("10.0.0.1"),
    datapath: {
      publish: () => {
        act("publish");
        return { nodes: 0, slots: 0, services: 0, vips: 0, exceptions: 0 };
      },
    },
    host: {
      apply: ({ answered, macs }) => {
        act(["apply", answered.length > 0, ...macs.listen].join(" "));
        return [{ type: "address-added", device: "lo", address: VIP }];
      },
    },
    segments: {
      announce: (_vips, told) => act(`announce ${told ?? "own"}`),
      report: (group, address) => act(`report ${group} of ${address}`),
      join: (group) => act(`join ${group}`),
    },
    followers: {
      sendTables: (_tables, isFor) => act(`send to ${[1, 2, 3].map(nodeId).filter(isFor).join()}`),
    },
    following: {
      send: ({ type }) => {
        act(type);
        return "sent";
      },
      follow: () => act("follow"),
      stop: () => act("stop"),
    },
    state: { saveTables: ({ version }) => saved.push(version.counter) },
    heart: ({ type }) => act(type),
    tablesInForce: ({ version }) => act(`in force ${version.counter}`),
  };
  const say = (fields: unknown, text?: string): void => {
    said.push(`${JSON.stringify(fields)} ${text}`);
  };
  const trouble = new Trouble({ error: say });
  return {
    refuse,
    done,
    said,
    saved,
    performer: new Performer(surroundings, { info: say, warn: say }, trouble),
  };
}

const failure = (code: ErrorCode): PanError => new PanError(code, `refused ${code}`);

test("Effects are done in their order, and tables are acknowledged once they are in force", () => {
  const { performer, done } = world();
  performer.perform([place, install, acknowledge, { type: "follow", master: undefined }]);
  assert.deepEqual(done, [
    "apply true",
    "publish",
    "tables-published",
    "in force 1",
    "tables-ack",
    "stop",
  ]);
});

test("A15: tables go to all but those that are to hear of them later, and then to those", () => {
  const { performer, done } = world();
  performer.perform([
    { type: "replicate-tables", tables, withheld: [nodeId(2)] },
    { type: "release-tables", tables, to: [nodeId(2)] },
  ]);
  assert.deepEqual(done, ["send to 1,3", "send to 2"]);
});

test("B9: tables that the packet program refuses are not acknowledged; when it takes them, they are", () => {
  const { performer, done, said, refuse } = world();
  refuse.set("publish", failure("PAN_TABLES_CAPACITY"));
  performer.perform([place, install, acknowledge]);
  assert.deepEqual(done, ["apply true"]);
  assert.deepEqual(said, [
    '{"code":"PAN_TABLES_CAPACITY"} install-tables: refused PAN_TABLES_CAPACITY',
  ]);
  performer.repair();
  assert.equal(said.filter((line) => line.includes("install-tables")).length, 1, "said once");
  refuse.clear();
  done.length = 0;
  performer.repair();
  assert.deepEqual(done, ["apply true", "publish", "tables-published", "in force 1", "tables-ack"]);
  done.length = 0;
  performer.repair();
  assert.deepEqual(done, ["apply true"], "what is in force is not published again");
});

test("One effect that fails does not keep back the others; a fault of our own is said with its stack", () => {
  const { performer, done, said, refuse } = world();
  refuse.set("apply true", new TypeError("no such thing"));
  performer.perform([place, { type: "announce-vips", vips: [VIP], delivery: FORWARD }, install]);
  assert.deepEqual(done, ["announce own", "publish", "tables-published", "in force 1"]);
  assert.match(said[0] ?? "", /^{"code":"PAN_INTERNAL","stack":"TypeError.*} place-vips: no such/);
});

test("What others have changed on the host is put back and said", () => {
  const { performer, said } = world();
  performer.repair();
  assert.deepEqual(said, [], "nothing is placed before the controller said where");
  performer.perform([place]);
  performer.repair();
  assert.deepEqual(said, [`{"changes":["added ${VIP} to lo"]} repaired`]);
});

test("A2: a node that is out answers for no VIP, whatever is decided afterwards; its connections live on", () => {
  const { performer, done } = world();
  performer.perform([place]);
  performer.withdraw();
  performer.perform([place]);
  performer.repair();
  assert.deepEqual(done, ["apply true", "apply false"]);
});

test("At the start only newer tables in the kernel are tolerated", () => {
  const kept = world();
  kept.refuse.set("publish", failure("PAN_TABLES_OLD"));
  kept.performer.open([place, install]);
  assert.match(kept.said.join(), /keeps its newer tables/);
  kept.done.length = 0;
  kept.performer.repair();
  assert.deepEqual(kept.done, ["apply true"]);
  for (const [action, code] of [
    ["publish", "PAN_TABLES_CAPACITY"],
    ["apply true", "PAN_NETLINK"],
  ] as const) {
    const refusing = world();
    refusing.refuse.set(action, failure(code));
    assert.throws(() => refusing.performer.open([place, install]), { code });
  }
});

test("A13: a cluster MAC is listened to before tables are acknowledged, and is what clients are told", () => {
  const { performer, done, refuse } = world();
  const delivery = { method: "unicast", primary: VIP } as const;
  const flooded: Effect = { ...place, delivery };
  const listened = "apply true 02:bf:0a:00:00:64";
  refuse.set(listened, failure("PAN_NETLINK"));
  performer.perform([flooded, install, acknowledge]);
  assert.deepEqual(
    done,
    ["publish", "tables-published", "in force 1"],
    "the master must not count on it",
  );
  refuse.clear();
  done.length = 0;
  performer.repair();
  assert.deepEqual(done, [listened, "tables-ack"]);
  done.length = 0;
  performer.perform([{ type: "announce-vips", vips: [VIP], delivery }]);
  assert.deepEqual(done, ["announce 02:bf:0a:00:00:64"]);
});

test("A13: with igmp the group is joined, and reported in the node's own name", () => {
  const { performer, done } = world();
  const group = ip("239.255.0.100");
  performer.perform([
    { ...place, delivery: { method: "igmp", primary: VIP } },
    { type: "report-group", group },
  ]);
  assert.deepEqual(done, [
    "apply true 01:00:5e:7f:00:64",
    "join 239.255.0.100",
    "report 239.255.0.100 of 10.0.0.1",
  ]);
});

test("B9: the newest tables go to the disk a moment after they are in force, and at the end at once", async () => {
  const { performer, saved } = world();
  const next = { ...tables, version: { ...tables.version, counter: tables.version.counter + 1 } };
  performer.perform([install, { type: "install-tables", tables: next }]);
  assert.deepEqual(saved, [], "others want the processor first");
  while (saved.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(saved, [next.version.counter]);
  performer.perform([install]);
  performer.save();
  performer.save();
  assert.deepEqual(saved, [next.version.counter, tables.version.counter]);
});
