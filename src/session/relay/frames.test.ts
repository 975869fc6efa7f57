// A16: streams are cut into messages wherever the network cuts them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FRAMINGS, FrameCutter, type Framing } from "./frames.ts";

const cut = (framing: Framing, ...chunks: string[]): string[] => {
  const cutter = new FrameCutter(framing, 100);
  return chunks.flatMap(
    (chunk) =>
      cutter
        .push(Buffer.from(chunk, "latin1"))
        ?.map((each) => Buffer.from(each).toString("latin1")) ?? ["too long"],
  );
};

test("A16: lines and messages behind their length, in all byte orders", () => {
  assert.deepEqual(cut("line", "a", "b\n\nc\r\nd"), ["ab\n", "\n", "c\r\n"]);
  assert.deepEqual(cut("u8", "\x02ab\x00\x01", "x\x05"), ["\x02ab", "\x00", "\x01x"]);
  assert.deepEqual(cut("u16", "\x00", "\x02ab"), ["\x00\x02ab"]);
  assert.deepEqual(cut("u16le", "\x02\x00ab"), ["\x02\x00ab"]);
  assert.deepEqual(cut("u32", "\x00\x00\x00\x01a"), ["\x00\x00\x00\x01a"]);
  assert.deepEqual(cut("u32le", "\x01\x00\x00\x00a"), ["\x01\x00\x00\x00a"]);
});

test("A16: a message that is too long is refused as soon as that is known", () => {
  assert.deepEqual(cut("line", "x".repeat(100), "x"), ["too long"]);
  assert.deepEqual(cut("line", `${"x".repeat(99)}\n`), [`${"x".repeat(99)}\n`]);
  assert.deepEqual(cut("u32", "\xff\xff\xff\xff"), ["too long"]);
  assert.deepEqual(cut("u8", "\x64"), ["too long"]);
});

test("A16: nothing is lost, added or put elsewhere", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...FRAMINGS),
      fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 30 }),
      (framing, chunks) => {
        const cutter = new FrameCutter(framing, 1 << 30);
        const frames: Uint8Array[] = [];
        for (const chunk of chunks) {
          const more = cutter.push(chunk);
          if (more === undefined) return;
          frames.push(...more);
        }
        assert.deepEqual(Buffer.concat([...frames, cutter.rest]), Buffer.concat(chunks));
      },
    ),
  );
});
