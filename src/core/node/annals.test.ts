// Causes, as tables of (how things stood, what happened) → what is recorded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { NO_NODE, NO_TABLES, nodeId, type TableVersion } from "#base/ids.ts";
import type { Role, View } from "#core/membership/types.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { FORMER_OWNERS, type Tables } from "#core/steering/tables.ts";
import { desired } from "#core/steering/testing/desired.ts";
import { Annals, type Recorded } from "./annals.ts";
import type { ClusterSpec, GroupSpec } from "./cluster-spec.ts";

const SELF = nodeId(1);

const view = (role: Role, master: number, ids: readonly number[], epoch = 5): View => ({
  role,
  epoch,
  master: nodeId(master),
  secondary: NO_NODE,
  members: ids.map((id) => ({
    id: nodeId(id),
    address: ip(`10.0.0.${id}`),
    mac: mac(`02:00:00:00:00:0${id}`),
  })),
  keepaliveIntervalMs: 100,
  config: { counter: 1, digest: "00" },
  tables: NO_TABLES,
});

const group = (more: Partial<GroupSpec> = {}): GroupSpec => ({
  name: "web",
  policy: "weighted",
  slots: 8,
  services: [{ protocol: "tcp", vip: ip("10.0.0.100"), port: 80 }],
  nodes: [1, 2, 3].map((id) => ({ id: nodeId(id), weight: 1 })),
  assignment: "eager",
  balance: "weights",
  ...more,
});
const spec = (of: Partial<GroupSpec> = {}, more: Partial<ClusterSpec> = {}): ClusterSpec => ({
  method: "forward",
  hash: "keyed",
  vips: [ip("10.0.0.100")],
  drained: [],
  groups: [group(of)],
  ...more,
});

let counter = 0;
function tables(
  owners: readonly number[],
  former: readonly number[] = [],
  more: Partial<Tables> = {},
): Tables {
  counter += 1;
  const version: TableVersion = { epoch: 5, counter, master: SELF };
  const base = nextTables(undefined, desired(owners.length, [{ id: 1 }, { id: 2 }]), version);
  const [first] = base.groups;
  assert.ok(first);
  const history = new Uint16Array(owners.length * FORMER_OWNERS);
  former.forEach((id, slot) => {
    history[slot * FORMER_OWNERS] = id;
  });
  const groups = [{ ...first, owners: Uint16Array.from(owners), former: history }];
  return { ...base, groups, ...more };
}

const shown = (recorded: Recorded): string => {
  switch (recorded.type) {
    case "role-changed":
      return `role ${recorded.before ?? "none"} → ${recorded.role}`;
    case "master-deposed":
      return `deposed ${recorded.master} by ${recorded.by}: ${recorded.cause}`;
    case "master-elected":
      return `elected ${recorded.master} after ${recorded.before}: ${recorded.cause}`;
    case "member-joined":
      return `joined ${recorded.member.id}`;
    case "member-left":
      return `left ${recorded.member.id}: ${recorded.cause}`;
  }
};

function annals(of: ClusterSpec = spec(), first = view("master", 1, [1, 2, 3])): Annals {
  const made = new Annals(SELF, of);
  made.viewChanged(first);
  return made;
}

test("events: a founder, and a node that joins", () => {
  const founder = new Annals(SELF, spec());
  assert.deepEqual(founder.viewChanged(view("joining", 0, [])).map(shown), ["role none → joining"]);
  assert.deepEqual(founder.viewChanged(view("master", 1, [1])).map(shown), [
    "role joining → master",
    "elected 1 after 0: founded",
    "joined 1",
  ]);
  const member = new Annals(SELF, spec());
  assert.deepEqual(member.viewChanged(view("member", 2, [1, 2])).map(shown), [
    "role none → member",
    "elected 2 after 0: joined",
    "joined 1",
    "joined 2",
  ]);
});

test("events: the successor knows why its master is gone, another member does not", () => {
  for (const [role, master, cause] of [
    ["master", 1, "silent"],
    ["member", 3, "unknown"],
  ] as const) {
    const witness = annals(spec(), view("member", 2, [1, 2, 3]));
    if (role === "master") witness.departing(nodeId(2), "silent");
    assert.deepEqual(witness.viewChanged(view(role, master, [1, 3], 6)).map(shown), [
      ...(role === "master" ? ["role member → master"] : []),
      `deposed 2 by ${master}: ${cause}`,
      `elected ${master} after 2: succession`,
      `left 2: ${cause}`,
    ]);
  }
});

test("A5: two masters met: both sides and a member know that it was a contest", () => {
  const loser = annals();
  loser.lostMastership(nodeId(4));
  assert.deepEqual(loser.viewChanged(view("joining", 0, [])).map(shown), [
    "role master → joining",
    "deposed 1 by 4: contest",
  ]);
  assert.deepEqual(loser.viewChanged(view("member", 4, [1, 2, 3, 4], 7)).map(shown), [
    "role joining → member",
    "elected 4 after 0: contest",
    "joined 4",
  ]);
  const member = annals(spec(), view("member", 2, [1, 2]));
  assert.deepEqual(member.viewChanged(view("member", 4, [1, 2, 4], 7)).map(shown), [
    "deposed 2 by 4: contest",
    "elected 4 after 2: contest",
    "joined 4",
  ]);
});

const EVEN = [1, 1, 1, 2, 2, 2, 3, 3];
const WITHOUT_3 = [1, 1, 1, 2, 2, 2, 1, 2];

/** What happened before node 3's slots went elsewhere. */
const LOSSES: readonly [string, (annals: Annals) => void, string][] = [
  [
    "it fell silent",
    (made) => {
      made.departing(nodeId(3), "silent");
      made.viewChanged(view("master", 1, [1, 2]));
    },
    "death",
  ],
  [
    "it said goodbye",
    (made) => {
      made.departing(nodeId(3), "left");
      made.viewChanged(view("master", 1, [1, 2]));
    },
    "departure",
  ],
  ["it is drained", (made) => made.specChanged(spec({}, { drained: [nodeId(3)] })), "drain"],
  ["its checks fail", (made) => made.healthChanged("web", nodeId(3), false), "health"],
  [
    "its weight is 0",
    (made) =>
      made.specChanged(
        spec({ nodes: [1, 2, 3].map((id) => ({ id: nodeId(id), weight: id === 3 ? 0 : 1 })) }),
      ),
    "weight",
  ],
];

for (const [what, happened, cause] of LOSSES) {
  test(`events: slots that move away because ${what}: ${cause}`, () => {
    const made = annals();
    happened(made);
    assert.deepEqual(made.tablesChanged(tables(EVEN), tables(WITHOUT_3)), {
      cause,
      moved: 2,
      moves: [
        { group: "web", from: 3, to: 1, slots: 1, cause },
        { group: "web", from: 3, to: 2, slots: 1, cause },
      ],
    });
  });
}

/** What happened before node 3 got slots. */
const GAINS: readonly [string, (annals: Annals) => void, string][] = [
  ["it joined", (made) => made.viewChanged(view("master", 1, [1, 2, 3])), "join"],
  [
    "it is drained no more",
    (made) => {
      made.viewChanged(view("master", 1, [1, 2, 3]));
      made.specChanged(spec({}, { drained: [nodeId(3)] }));
      made.specChanged(spec());
    },
    "undrain",
  ],
  [
    "its checks pass again",
    (made) => {
      made.viewChanged(view("master", 1, [1, 2, 3]));
      made.healthChanged("web", nodeId(3), false);
      made.healthChanged("web", nodeId(3), true);
    },
    "health",
  ],
];

for (const [what, happened, cause] of GAINS) {
  test(`events: slots that come because ${what}: ${cause}, also in a second step`, () => {
    const made = annals(spec(), view("master", 1, [1, 2]));
    happened(made);
    const half = tables([1, 1, 1, 2, 2, 2, 1, 3]);
    assert.equal(made.tablesChanged(tables(WITHOUT_3), half).cause, cause);
    assert.equal(made.tablesChanged(half, tables(EVEN)).cause, cause);
  });
}

test("events: weights between nodes that all serve, and measured load", () => {
  const weighed = annals();
  weighed.specChanged(
    spec({ nodes: [1, 2, 3].map((id) => ({ id: nodeId(id), weight: id === 1 ? 2 : 1 })) }),
  );
  const moved = tables([1, 1, 1, 1, 2, 2, 3, 3]);
  assert.equal(weighed.tablesChanged(tables(EVEN), moved).cause, "weight");
  const measured = annals(spec({ balance: "packets" }));
  assert.equal(measured.tablesChanged(tables(EVEN), moved).cause, "balancing");
});

test("events: a slot that was let go is given for the reason for which its last owner lost it", () => {
  const made = annals(spec({}, { method: "unicast" }));
  made.specChanged(spec({}, { method: "unicast", drained: [nodeId(3)] }));
  const letGo = tables([1, 1, 1, 2, 2, 2, 0, 0], [0, 0, 0, 0, 0, 0, 3, 3]);
  const given = tables(WITHOUT_3, [0, 0, 0, 0, 0, 0, 3, 3]);
  assert.deepEqual(made.tablesChanged(tables(EVEN), letGo).moves, [
    { group: "web", from: 3, to: 0, slots: 2, cause: "drain" },
  ]);
  assert.deepEqual(
    made.tablesChanged(letGo, given).moves.map(({ from, cause }) => [from, cause]),
    [
      [0, "drain"],
      [0, "drain"],
    ],
  );
});

test("A15: a packet wanted a slot that nobody owned", () => {
  const made = annals(spec({ assignment: "lazy" }));
  const before = tables([1, 1, 1, 2, 2, 2, 0, 0]);
  assert.equal(made.tablesChanged(before, tables(WITHOUT_3)).cause, "demand");
});

test("events: tables in which no slot moved", () => {
  const made = annals();
  const before = tables(EVEN);
  const cases: readonly [Partial<Tables>, string][] = [
    [{ vips: [ip("10.0.0.101")] }, "services"],
    [{ delivery: { method: "unicast", primary: ip("10.0.0.100") } }, "delivery"],
    [{ version: { epoch: 6, counter: 1, master: SELF } }, "succession"],
    [{ nodes: before.nodes.slice(1) }, "members"],
    [{}, "other"],
  ];
  for (const [more, cause] of cases) {
    assert.deepEqual(made.tablesChanged(before, { ...tables(EVEN), ...more }), {
      cause,
      moved: 0,
      moves: [],
    });
  }
});
