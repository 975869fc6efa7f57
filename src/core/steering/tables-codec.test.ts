// Tables there and back, in full and as deltas, and what a receiver does with damage.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ip, mac } from "#base/address.ts";
import { MAX_NODE_ID, nodeId } from "#base/ids.ts";
import { applyDelta, decodeTables, encodeDelta, encodeTables, peekTables } from "./tables-codec.ts";
import { tablesChecksum } from "./tables-digest.ts";
import { DELIVERY_METHODS, HASH_KINDS } from "#base/delivery.ts";
import { keyOf, exceptionsOf } from "./testing/pinned.ts";
import {
  FORMER_OWNERS,
  NO_EXCEPTIONS,
  POLICIES,
  type Exceptions,
  type GroupTable,
  type Tables,
} from "./tables.ts";

const plain = { noNullPrototype: true } as const;
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const id = fc.integer({ min: 1, max: MAX_NODE_ID }).map(nodeId);
const address = fc.constantFrom(ip("192.0.2.1"), ip("2001:db8::1"), ip("10.0.0.200"), ip("::"));
const policy = fc.constantFrom(...POLICIES);
const portService = fc.record(
  {
    protocol: fc.constantFrom("tcp" as const, "udp" as const),
    vip: address,
    port: fc.oneof(fc.integer({ min: 1, max: 65_535 }), fc.constant("any" as const)),
  },
  plain,
);

const anyService = address.map((vip) => ({ protocol: "any", vip, port: "any" }) as const);
const service = fc.oneof(portService, anyService);

/** Few distinct values, so that both forms of a column occur. */
const column = (length: number): fc.Arbitrary<Uint16Array<ArrayBuffer>> =>
  fc
    .tuple(
      fc.array(fc.integer({ min: 0, max: MAX_NODE_ID }), { minLength: 1, maxLength: 6 }),
      fc.nat({ max: 9 }),
    )
    .map(([values, stretch]) =>
      Uint16Array.from(
        { length },
        (_, slot) => values[(stretch === 0 ? 0 : Math.floor(slot / stretch)) % values.length] ?? 0,
      ),
    );

/** Up to six flows, each once. */
const exceptionsIn = (slots: number): fc.Arbitrary<Exceptions> =>
  fc
    .uniqueArray(
      fc.record({
        from: fc.tuple(fc.constantFrom("192.0.2.7", "192.0.2.8"), fc.nat({ max: 65_535 })),
        to: fc.tuple(fc.constantFrom("10.0.0.200", "10.0.0.201"), fc.constantFrom(80, 443)),
        node: id,
        slot: fc.nat({ max: slots - 1 }),
      }),
      { maxLength: 6, selector: keyOf },
    )
    .map((flows) => exceptionsOf(flows.map((flow) => ({ ...flow, flow: keyOf(flow) }))));

const group: fc.Arbitrary<GroupTable> = fc.integer({ min: 1, max: 7 }).chain((exponent) => {
  const slots = 2 ** exponent;
  return fc
    .record(
      {
        name: fc.string({ unit: "grapheme", maxLength: 12 }),
        policy,
        holding: fc.constantFrom<Pick<GroupTable, "holds" | "answer">>(
          { holds: false },
          { holds: true },
          { holds: true, answer: "reset" },
          { holds: true, answer: "drop" },
        ),
        services: fc.array(service, { maxLength: 4 }),
        owners: column(slots),
        former: column(slots * FORMER_OWNERS),
        home: column(slots),
        atHome: fc.boolean(),
        exceptions: exceptionsIn(slots),
        udpIdleMs: u32,
        named: fc.uniqueArray(id, { maxLength: 6 }).map((ids) => ids.toSorted((a, b) => a - b)),
      },
      plain,
    )
    .map(({ atHome, holding, named, ...fields }) => {
      const home = atHome ? fields.owners.slice() : fields.home;
      return { ...fields, ...holding, home, ...(fields.policy === "quic" ? { named } : {}) };
    });
});

const tables: fc.Arbitrary<Tables> = fc
  .record(
    {
      version: fc.record({ epoch: u32, counter: u32, master: id }, plain),
      hashKey: fc.tuple(u32, u32),
      hash: fc.constantFrom(...HASH_KINDS),
      delivery: fc.record(
        {
          method: fc.constantFrom(...DELIVERY_METHODS),
          primary: fc.option(address, { nil: undefined }),
        },
        plain,
      ),
      nodes: fc
        .uniqueArray(id, { maxLength: 6 })
        .map((ids) => ids.map((node) => ({ id: node, mac: mac("02:00:00:00:00:01") }))),
      vips: fc.array(address, { maxLength: 3 }),
      holders: fc.option(fc.array(fc.tuple(id, id), { minLength: 3, maxLength: 3 }), {
        nil: undefined,
      }),
      groups: fc.array(group, { maxLength: 4 }),
    },
    plain,
  )
  .map(({ holders, groups, ...fields }) => {
    const placed = holders?.slice(0, fields.vips.length);
    if (placed === undefined) return { ...fields, groups };
    const vipHolders = {
      holders: placed.map(([holder]) => holder),
      homes: placed.map(([, home]) => home),
    };
    return { ...fields, vipHolders, groups };
  });

/** As `before`, with some slots given to others, and perhaps another list of groups. */
const successor = (before: Tables): fc.Arbitrary<Tables> =>
  fc
    .tuple(fc.array(fc.tuple(fc.nat(), fc.nat(), id), { maxLength: 8 }), fc.boolean(), tables)
    .map(([moves, reshape, other]) => {
      const groups = before.groups.map((group) => ({ ...group, owners: group.owners.slice() }));
      for (const [which, slot, owner] of moves) {
        const chosen = groups[which % Math.max(1, groups.length)];
        if (chosen !== undefined) chosen.owners[slot % chosen.owners.length] = owner;
      }
      return { ...other, groups: reshape ? [...other.groups, ...groups.slice(1)] : groups };
    });

const pair = tables.chain((before) => fc.tuple(fc.constant(before), successor(before)));

const TINY_FLOW = keyOf({ from: ["192.0.2.7", 40_000], to: ["192.0.2.9", 443] });

const TINY: Tables = {
  version: { epoch: 3, counter: 260, master: nodeId(2) },
  hashKey: [0x11223344, 0x55667788],
  hash: "xor",
  delivery: { method: "multicast", primary: ip("192.0.2.9") },
  nodes: [{ id: nodeId(2), mac: mac("02:00:00:00:00:0a") }],
  vips: [ip("192.0.2.9")],
  vipHolders: { holders: [nodeId(7)], homes: [nodeId(2)] },
  groups: [
    {
      name: "web",
      policy: "sticky",
      holds: true,
      services: [{ protocol: "tcp", vip: ip("192.0.2.9"), port: 443 }],
      owners: Uint16Array.of(2, 2, 2, 2),
      former: Uint16Array.of(0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0),
      home: Uint16Array.of(2, 2, 2, 5),
      exceptions: { flows: [TINY_FLOW], nodes: Uint16Array.of(7), slots: Uint16Array.of(3) },
      udpIdleMs: 258,
    },
  ],
};

const TINY_FULL = [
  "0600", // format 5, full
  "03000000040100000200", // epoch 3, counter 260, master 2
  "4433221188776655", // hash key
  "01", // by exclusive or
  "02",
  "04c0000209", // multicast, from the primary VIP 192.0.2.9
  "01000200",
  "02000000000a", // one node: 2
  "010004c0000209", // one VIP of four bytes
  "0107000200", // node 7 answers for it, its home is node 2
  "0100", // one group
  "03776562",
  "01",
  "01", // "web", sticky, holds
  "02010000", // UDP sessions stay for 258 ms
  "010000",
  "04c0000209",
  "bb01", // one service: TCP, 192.0.2.9, 443
  "02", // 2^2 slots
  "010100",
  "02000300", // owners as one run: 2 four times
  "00",
  "00",
  "0200020002000500", // home differs; raw
  "00",
  "0000050000000000", // youngest former owners: raw
  "010100",
  "00000300", // the older ones: a run of four zeros
  "010100",
  "00000300",
  "01000000", // one exception
  "06c00002079c40c000020901bb", // TCP from 192.0.2.7, 40 000 to 192.0.2.9, 443
  "07000300", // at node 7, slot 3
].join("");

test("B9: golden bytes of a tiny table", () => {
  const bytes = Buffer.from(encodeTables(TINY));
  assert.equal(bytes.subarray(0, -4).toString("hex"), TINY_FULL);
  // CRC-32 of the bytes above, computed apart from our own code.
  assert.equal(bytes.subarray(-4).toString("hex"), "0c451439");
});

test("B9: tables come back from their bytes, and have one encoding", () => {
  fc.assert(
    fc.property(tables, (before) => {
      const bytes = encodeTables(before);
      const decoded = decodeTables(bytes);
      assert.deepEqual(decoded, { ok: true, value: before, length: bytes.byteLength });
      const label = peekTables(bytes);
      assert.deepEqual(label.ok && label.value, { form: "full", version: before.version });
    }),
    { numRuns: 500 },
  );
});

test("B9: a delta turns the base into the next tables", () => {
  fc.assert(
    fc.property(pair, ([before, next]) => {
      const bytes = encodeDelta(before, next);
      const applied = applyDelta(before, bytes);
      assert.deepEqual(applied, { ok: true, value: next, length: bytes.byteLength });
      const label = peekTables(bytes);
      assert.deepEqual(label.ok && label.value, { form: "delta", version: next.version });
    }),
    { numRuns: 500 },
  );
});

test("B9: a delta does not change the tables it is applied to", () => {
  fc.assert(
    fc.property(pair, ([before, next]) => {
      const checksum = tablesChecksum(before);
      applyDelta(before, encodeDelta(before, next));
      assert.equal(tablesChecksum(before), checksum);
    }),
    { numRuns: 100 },
  );
});

const withOwner = (base: Tables, counter: number, slot: number, owner: number): Tables => ({
  ...base,
  version: { ...base.version, counter },
  groups: base.groups.map((group) => ({ ...group, owners: group.owners.with(slot, owner) })),
});

test("B9: a delta against tables that the receiver does not hold asks for the full form", () => {
  const next = withOwner(TINY, 261, 1, 5);
  const delta = encodeDelta(TINY, next);
  const older = { ...TINY, version: { ...TINY.version, counter: 259 } };
  assert.deepEqual(applyDelta(older, delta), { ok: false, reason: "needs-full" });
  const sameVersionOtherSlot = withOwner(TINY, 260, 2, 5);
  assert.deepEqual(applyDelta(sameVersionOtherSlot, delta), { ok: false, reason: "needs-full" });
});

test("B9: a delta whose result is not what the sender has asks for the full form", () => {
  const delta = encodeDelta(TINY, withOwner(TINY, 261, 1, 5));
  // The owner in the only change is in the two bytes after its slot: 12 bytes from the end.
  const at = delta.byteLength - 10;
  assert.deepEqual([delta[at], delta[at + 1]], [5, 0]);
  delta[at] = 6;
  assert.deepEqual(applyDelta(TINY, delta), { ok: false, reason: "needs-full" });
});

test("B9: each form says that it is not the other", () => {
  const delta = encodeDelta(TINY, TINY);
  assert.deepEqual(decodeTables(delta), { ok: false, reason: "unsupported" });
  assert.deepEqual(applyDelta(TINY, encodeTables(TINY)), { ok: false, reason: "unsupported" });
});

test("B9: bytes that end early are incomplete; a flipped bit, or more bytes, are malformed", () => {
  const full = encodeTables(TINY);
  for (let length = 0; length < full.length; length++) {
    const decoded = decodeTables(full.subarray(0, length));
    assert.deepEqual(decoded, { ok: false, reason: "incomplete" }, `${length} bytes`);
  }
  for (let bit = 16; bit < full.length * 8; bit++) {
    const flipped = full.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(decodeTables(flipped).ok, false, `bit ${bit}`);
  }
  const longer = Uint8Array.from([...full, 0]);
  assert.deepEqual(decodeTables(longer), { ok: false, reason: "malformed" });
  assert.deepEqual(decodeTables(Uint8Array.of(9, ...full.subarray(1))), {
    ok: false,
    reason: "unsupported",
  });
});

test("B9: damaged deltas never throw, and never give other tables", () => {
  fc.assert(
    fc.property(pair, fc.nat(), fc.nat({ max: 255 }), ([before, next], at, byte) => {
      const delta = encodeDelta(before, next);
      delta[at % delta.length] = byte;
      const applied = applyDelta(before, delta);
      if (applied.ok) assert.deepEqual(applied.value, next);
    }),
    { numRuns: 1000 },
  );
});

test("B9: a few bytes cannot make the receiver allocate tables without end", () => {
  const slots = 65_536;
  const large = {
    name: "",
    policy: "weighted",
    holds: false,
    services: [],
    owners: new Uint16Array(slots),
    former: new Uint16Array(slots * FORMER_OWNERS),
    home: new Uint16Array(slots),
    udpIdleMs: 0,
    exceptions: NO_EXCEPTIONS,
  } as const;
  const most = { ...TINY, groups: Array.from({ length: 16 }, () => large) };
  const bytes = encodeTables(most);
  assert.equal(decodeTables(bytes).ok, true);
  assert.ok(bytes.length < 1000);
  const one = encodeTables({ ...TINY, groups: [large] });
  const start = encodeTables({ ...TINY, groups: [] }).length - 4;
  const repeated = Buffer.concat([
    bytes.subarray(0, start - 2),
    Buffer.from([17, 0]),
    ...Array.from({ length: 17 }, () => one.subarray(start, -4)),
    Buffer.alloc(4),
  ]);
  assert.deepEqual(decodeTables(repeated), { ok: false, reason: "malformed" });
  assert.throws(() => encodeTables({ ...TINY, groups: Array.from({ length: 17 }, () => large) }));
});

test("B9: one slot of 65 536 is a short delta", () => {
  const slots = 65_536;
  const base: Tables = {
    ...TINY,
    groups: [
      {
        name: "large",
        policy: "weighted",
        holds: false,
        services: [],
        owners: Uint16Array.from({ length: slots }, (_, slot) => 1 + (slot % 7)),
        former: new Uint16Array(slots * FORMER_OWNERS),
        home: Uint16Array.from({ length: slots }, (_, slot) => 1 + (slot % 7)),
        udpIdleMs: 0,
        exceptions: NO_EXCEPTIONS,
      },
    ],
  };
  const delta = encodeDelta(base, withOwner(base, 261, 60_000, 9));
  assert.ok(delta.length < 100, `${delta.length} bytes`);
  assert.equal(applyDelta(base, delta).ok, true);
});

test("B9: where many slots change, a delta has the columns that did, and shares the rest with the base", () => {
  const slots = 65_536;
  const zeros = new Uint16Array(slots).fill(1);
  const flow = keyOf({ from: ["192.0.2.1", 4000], to: ["192.0.2.9", 80], protocol: 6 });
  const group = {
    ...({ name: "large", policy: "weighted", holds: false, services: [], udpIdleMs: 0 } as const),
    owners: zeros,
    home: zeros,
    former: new Uint16Array(slots * FORMER_OWNERS),
    exceptions: { flows: [flow], nodes: Uint16Array.of(1), slots: Uint16Array.of(7) },
  };
  const base: Tables = { ...TINY, groups: [group] };
  const owners = group.owners.map((owner, slot) => (slot < slots / 2 ? 3 : owner));
  const next: Tables = {
    ...base,
    version: { ...base.version, counter: 261 },
    groups: [{ ...group, owners }],
  };
  const delta = encodeDelta(base, next);
  assert.ok(delta.length < 100, `${delta.length} bytes`);
  const applied = applyDelta(base, delta);
  assert.deepEqual(applied.ok && applied.value, next);
  const [patched] = applied.ok ? applied.value.groups : [];
  for (const part of ["home", "former", "exceptions"] as const) {
    assert.equal(patched?.[part], group[part], `${part} is not copied`);
  }
});
