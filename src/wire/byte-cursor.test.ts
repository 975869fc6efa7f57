// Little-endian fields, room that grows, and what a reader says when the bytes have run out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteReader, ByteWriter } from "./byte-cursor.ts";

test("byte cursor: fields are little-endian and come back", () => {
  const writer = new ByteWriter();
  writer.u8(0x01);
  writer.u16(0x0203);
  writer.u32(0xfffefdfc);
  writer.put(Uint8Array.of(9, 8));
  assert.deepEqual(writer.written(), Uint8Array.of(0x01, 0x03, 0x02, 0xfc, 0xfd, 0xfe, 0xff, 9, 8));
  const reader = new ByteReader(writer.written());
  assert.deepEqual([reader.u8(), reader.u16(), reader.u32()], [0x01, 0x0203, 0xfffefdfc]);
  assert.deepEqual(reader.take(2), Uint8Array.of(9, 8));
  assert.deepEqual([reader.short, reader.remaining, reader.position], [false, 0, 9]);
});

test("byte cursor: characters are a byte each, of every value", () => {
  const text = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");
  const writer = new ByteWriter();
  writer.u8(5);
  writer.characters(text);
  assert.deepEqual([...writer.written().subarray(1)], [...new Uint8Array(256).keys()]);
  const reader = new ByteReader(writer.written().subarray(1));
  assert.equal(reader.characters(200) + reader.characters(56), text);
  assert.equal(reader.characters(1), "");
  assert.ok(reader.short);
});

test("byte cursor: a writer grows and keeps what it has", () => {
  const writer = new ByteWriter();
  for (let value = 0; value < 3000; value++) writer.u16(value);
  writer.claim(5000).fill(7);
  const reader = new ByteReader(writer.written());
  for (let value = 0; value < 3000; value++) assert.equal(reader.u16(), value);
  assert.ok(reader.take(5000).every((byte) => byte === 7));
});

test("byte cursor: once short, always short; what is read then is zero and nothing is consumed", () => {
  const reader = new ByteReader(Uint8Array.of(1, 2, 3));
  assert.equal(reader.u8(), 1);
  assert.equal(reader.u32(), 0);
  assert.deepEqual([reader.short, reader.u8(), reader.u16(), reader.position], [true, 0, 0, 1]);
  assert.equal(reader.take(1).byteLength, 0);
});

test("byte cursor: reads a part of a larger buffer", () => {
  const reader = new ByteReader(Uint8Array.of(9, 9, 1, 0, 9).subarray(2, 4));
  assert.deepEqual([reader.u16(), reader.remaining], [1, 0]);
});
