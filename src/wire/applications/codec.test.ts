// A10: lines of the applications' protocol. Golden lines are written out by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeUtf8 } from "../utf8.ts";
import { encodeLine, fromApplication, type Line, LineDecoder } from "./codec.ts";
import { addSlot, countSlots, formatSlots, parseSlots, type SlotRange } from "./slot-ranges.ts";

const read = (text: string): ReturnType<typeof fromApplication> =>
  fromApplication(encodeUtf8(text));
const texts = (lines: readonly Line[]): string[] =>
  lines.map((line) => (line.ok ? Buffer.from(line.bytes).toString() : line.reason));

test("A10: hello and answer, as applications write them", () => {
  assert.deepEqual(read('{"type":"hello","protocol":1,"name":"ipsec","votes":true,"later":[1]}'), {
    ok: true,
    message: { type: "hello", protocol: 1, name: "ipsec", votes: true },
  });
  assert.deepEqual(read(' {"vote":7,"accept":true,"type":"answer","reason":"ignored"} '), {
    ok: true,
    message: { type: "answer", vote: 7, accept: true },
  });
  assert.deepEqual(read('{"type":"answer","vote":7,"accept":false,"reason":" no\\nkey "}'), {
    ok: true,
    message: { type: "answer", vote: 7, accept: false, reason: "no key" },
  });
});

const FIGURES =
  '{"served":3,"withoutReplica":1,"beyondLimit":0,"untold":0,"held":2,"replicas":1,"others":2,' +
  '"waitingBytes":0,"lagMs":1.5,"takenOver":0,"lost":0,"abandoned":0,"commitMedianMs":0.25';

test("A16: a report of a server of sessions; what was not measured is left out", () => {
  const understood = read(`{"type":"session-report","figures":${FIGURES},"later":1}}`);
  assert.ok(understood.ok && understood.message.type === "session-report");
  const { figures } = understood.message;
  assert.deepEqual([figures.served, figures.lagMs, figures.commitMedianMs], [3, 1.5, 0.25]);
  assert.equal(figures.pauseMedianMs, undefined);
  assert.equal("later" in figures, false);
  assert.equal("wanted" in figures, false);
});

test("A10: what is no message is refused with what to write", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /JSON object/],
    ["[]", /JSON object/],
    ['{"type":"hello"', /JSON object/],
    ['{"type":"bye"}', /"type" is/],
    ['{"type":"hello","protocol":"1","name":"a","votes":true}', /"protocol"/],
    ['{"type":"hello","protocol":1,"name":"a b","votes":true}', /"name"/],
    [`{"type":"hello","protocol":1,"name":"${"a".repeat(64)}","votes":true}`, /"name"/],
    ['{"type":"hello","protocol":1,"name":"a","votes":1}', /"votes"/],
    ['{"type":"answer","vote":-1,"accept":true}', /"vote"/],
    ['{"type":"answer","vote":1}', /"accept"/],
    ['{"type":"answer","vote":1,"accept":false,"reason":5}', /"reason"/],
    ['{"type":"session-report"}', /"figures"/],
    ['{"type":"session-report","figures":{"served":1}}', /"withoutReplica"/],
    [`{"type":"session-report","figures":${FIGURES},"pauseWorstMs":-1}}`, /"pauseWorstMs"/],
    [`{"type":"session-report","figures":${FIGURES},"wanted":"2"}}`, /"wanted"/],
  ];
  for (const [text, expected] of cases) {
    const understood = read(text);
    assert.ok(!understood.ok, text);
    assert.match(understood.problem, expected);
  }
  assert.equal(fromApplication(Uint8Array.of(0x22, 0xff, 0x22)).ok, false);
});

test("A10: lines to applications have the documented text", () => {
  const line = encodeLine({
    ...{ type: "work-sets-lost", sequence: 12, group: "web", slots: "0-3,9", count: 5, to: "m2" },
  });
  assert.equal(
    Buffer.from(line).toString(),
    '{"type":"work-sets-lost","sequence":12,"group":"web","slots":"0-3,9","count":5,"to":"m2"}\n',
  );
});

test("A10: a stream is cut into lines, however it comes, and no longer line is held than allowed", () => {
  const bytes = encodeUtf8("one\r\n\ntwo\nthree");
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 6 }), (cuts) => {
      const decoder = new LineDecoder(5);
      const ends = [...cuts, bytes.length].sort((a, b) => a - b);
      let start = 0;
      const lines = ends.flatMap((end) => {
        const piece = bytes.slice(start, end);
        start = end;
        const found = texts(decoder.push(piece));
        piece.fill(0); // the reader's buffer is used again
        return found;
      });
      assert.deepEqual(lines, ["one", "", "two"]);
    }),
  );
  const decoder = new LineDecoder(5);
  assert.deepEqual(texts(decoder.push(encodeUtf8("ok\nabcdef"))), ["ok", "too-long"]);
  assert.deepEqual(decoder.push(encodeUtf8("x\n")), [], "nothing is read after it");
});

test("A10: sets of slots as text", () => {
  const ranges: { first: number; last: number }[] = [];
  for (const slot of [0, 1, 2, 7, 9, 10]) addSlot(ranges, slot);
  assert.equal(formatSlots(ranges), "0-2,7,9-10");
  assert.equal(countSlots(ranges), 6);
  assert.deepEqual(parseSlots("0-2,7,9-10"), ranges);
  assert.deepEqual(parseSlots(""), []);
  const wrong = ["a", "1-", "-1", "3-3", "3-2", "1,1", "1-2,3", "1,0", "01", "65536", "1,,2", "1 "];
  for (const text of wrong) assert.equal(parseSlots(text), undefined, text);
  const sets = fc.uniqueArray(fc.nat(65_535), { maxLength: 50 });
  fc.assert(
    fc.property(sets, (slots) => {
      const set: { first: number; last: number }[] = [];
      for (const slot of slots.toSorted((a, b) => a - b)) addSlot(set, slot);
      const again: readonly SlotRange[] | undefined = parseSlots(formatSlots(set));
      assert.deepEqual(again, set);
      assert.equal(countSlots(set), slots.length);
    }),
  );
});
