// A15: what the kernel wrote into a ring buffer, from a file that is laid out as the kernel does it.
import assert from "node:assert/strict";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { RingBuffer } from "./ring-buffer.ts";

const PAGE = 4096;
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;

interface Written {
  readonly ring: RingBuffer;
  /** Appends a record of eight bytes. */
  readonly write: (fill: number, flags?: number) => void;
}

function ringFile(t: TestContext): Written {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-ring-"));
  const fd = openSync(path.join(folder, "ring"), "w+");
  ftruncateSync(fd, 2 * PAGE + 2 * PAGE);
  const ring = new RingBuffer(fd, PAGE);
  t.after(() => {
    ring.close();
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  let produced = 0;
  return {
    ring,
    write: (fill, flags = 0) => {
      const record = Buffer.alloc(16, fill);
      record.writeUInt32LE((8 | flags) >>> 0, 0);
      writeSync(fd, record, 0, record.length, 2 * PAGE + produced);
      produced += record.length;
      const position = Buffer.alloc(8);
      position.writeBigUInt64LE(BigInt(produced));
      writeSync(fd, position, 0, position.length, PAGE);
    },
  };
}

const fills = (records: readonly Uint8Array[]): number[] => records.map(([fill]) => fill ?? -1);

test("A15: records come in order, at most so many at once, discarded ones left out", (t) => {
  const { ring, write } = ringFile(t);
  write(1);
  write(2, DISCARDED);
  write(3);
  write(4);
  assert.deepEqual(fills(ring.read(2)), [1, 3]);
  assert.deepEqual(fills(ring.read(2)), [4]);
  assert.deepEqual(ring.read(2), []);
});

test("A15: what was written before is passed over at once, what is written after is read", (t) => {
  const { ring, write } = ringFile(t);
  for (let fill = 1; fill <= 100; fill++) write(fill, fill % 3 === 0 ? DISCARDED : 0);
  ring.skip();
  write(101);
  assert.deepEqual(fills(ring.read(1000)), [101]);
});

test("A15: a record that is still being written is not passed over", (t) => {
  const { ring, write } = ringFile(t);
  write(1);
  write(2, BUSY);
  write(3);
  ring.skip();
  assert.deepEqual(ring.read(1000), [], "2 is not complete");
});
