// Reports about slots (A8, B4): golden bytes, there and back, bounds, and what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nodeId } from "#base/ids.ts";
import {
  boundedReport,
  decodeSlotReport,
  encodeSlotReport,
  MAX_REPORTED_RATES,
  MAX_REPORTED_UNUSED,
  MAX_SLOT_REPORT,
  type SlotReport,
} from "./slot-report.ts";

const plain = { noNullPrototype: true } as const;
const slots = fc
  .uniqueArray(fc.integer({ min: 0, max: 65_535 }), { maxLength: 30 })
  .map((list) => list.sort((a, b) => a - b));
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const reports: fc.Arbitrary<SlotReport> = fc.record(
  {
    tables: fc.record(
      { epoch: u32, counter: u32, master: fc.integer({ min: 0, max: 4095 }).map(nodeId) },
      plain,
    ),
    groups: fc.array(
      fc.record(
        {
          name: fc.string({ maxLength: 20 }),
          rates: slots.map((list) => list.map((slot) => ({ slot, rate: 1 + slot * 65_536 }))),
          unused: slots,
        },
        plain,
      ),
      { maxLength: 4 },
    ),
  },
  plain,
);

test("A8, B4: golden bytes of a report", () => {
  const bytes = encodeSlotReport({
    tables: { epoch: 3, counter: 0x0102, master: nodeId(2) },
    groups: [{ name: "web", rates: [{ slot: 7, rate: 1000 }], unused: [1, 0x0203] }],
  });
  assert.equal(
    Buffer.from(bytes).toString("hex"),
    "01" + // version of the report
      "03000000" + // epoch
      "02010000" + // counter
      "0200" + // master
      "0100" + // groups
      "03" + // length of the name
      "776562" + // "web"
      "01000000" + // rates
      "0700e8030000" + // slot 7, 1000 a second
      "02000000" + // unused slots
      "01000302",
  );
});

test("A8, B4: every report comes back", () => {
  fc.assert(
    fc.property(reports, (report) => {
      assert.deepEqual(decodeSlotReport(encodeSlotReport(report)), report);
    }),
  );
});

test("A8: what is cut short, longer, of another version or not ascending is refused", () => {
  const good = encodeSlotReport({
    tables: { epoch: 1, counter: 1, master: nodeId(1) },
    groups: [{ name: "web", rates: [{ slot: 7, rate: 1 }], unused: [1, 2] }],
  });
  for (let length = 0; length < good.byteLength; length++) {
    assert.equal(decodeSlotReport(good.subarray(0, length)), undefined, `${length} bytes`);
  }
  assert.equal(decodeSlotReport(Uint8Array.of(...good, 0)), undefined);
  const changed = (at: number, value: number): Uint8Array => good.with(at, value);
  assert.equal(decodeSlotReport(changed(0, 2)), undefined, "version");
  assert.equal(decodeSlotReport(changed(10, 0x10)), undefined, "master above 4095");
  assert.equal(
    decodeSlotReport(changed(good.length - 4, 3)),
    undefined,
    "3 does not come before 2",
  );
  assert.equal(decodeSlotReport(changed(23, 0)), undefined, "rate 0");
});

test("A8: a count without the bytes for it costs no memory", () => {
  const bytes = encodeSlotReport({
    tables: { epoch: 1, counter: 1, master: nodeId(1) },
    groups: [{ name: "", rates: [], unused: [] }],
  });
  bytes.set([0xff, 0xff, 0xff, 0xff], 14);
  assert.equal(decodeSlotReport(bytes), undefined);
});

test("A8, B4: a report that is bounded fits into its frame, and keeps the largest rates", () => {
  const slotsOf = Array.from({ length: 65_536 }, (_, slot) => slot);
  const group = (name: string, rate: number) => ({
    name,
    rates: slotsOf.map((slot) => ({ slot, rate: rate + (slot === 5 ? 0.4 : 0) })),
    unused: slotsOf,
  });
  const tables = { epoch: 1, counter: 1, master: nodeId(1) };
  const groups = [group("small", 2), group("large", 9e9), group("idle", 0.2)];
  const bounded = boundedReport({ tables, groups });
  assert.deepEqual(
    bounded.groups.map(({ rates }) => rates.length),
    [0, MAX_REPORTED_RATES, 0],
  );
  assert.equal(bounded.groups[1]?.rates[5]?.rate, 2 ** 32 - 1);
  const unused = bounded.groups.reduce((sum, each) => sum + each.unused.length, 0);
  assert.equal(unused, MAX_REPORTED_UNUSED);
  const bytes = encodeSlotReport(bounded);
  assert.ok(bytes.byteLength <= MAX_SLOT_REPORT);
  assert.deepEqual(decodeSlotReport(bytes), bounded);
});
