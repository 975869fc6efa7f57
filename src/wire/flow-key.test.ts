// B4: a flow as a key, and the 51 bits by which the packet program knows it again.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "./byte-cursor.ts";
import { flowEnds, flowKey, flowPrint, readFlow, writeFlow, type FlowEnds } from "./flow-key.ts";
import { hex } from "./testing/hex.ts";

const WEB: FlowEnds = {
  protocol: 6,
  source: Uint8Array.of(192, 0, 2, 7),
  sourcePort: 40_000,
  destination: Uint8Array.of(10, 0, 0, 100),
  destinationPort: 80,
};

const bytesOf = (flow: FlowEnds): Uint8Array => {
  const writer = new ByteWriter();
  writeFlow(writer, flowKey(flow));
  return writer.written();
};

const flow = fc.constantFrom(4, 16).chain((length) => {
  const address = fc.uint8Array({ minLength: length, maxLength: length });
  const port = fc.nat({ max: 65_535 });
  return fc.record(
    {
      protocol: fc.constantFrom(6, 17),
      source: address,
      sourcePort: port,
      destination: address,
      destinationPort: port,
    },
    { noNullPrototype: true },
  );
});

test("B4: golden bytes of a flow", () => {
  assert.equal(hex(bytesOf(WEB)), "06c00002079c400a0000640050");
  const six = {
    ...WEB,
    source: new Uint8Array(16).fill(1),
    destination: new Uint8Array(16).fill(2),
  };
  assert.equal(hex(bytesOf(six)), `86${"01".repeat(16)}9c40${"02".repeat(16)}0050`);
});

test("B4: a flow comes back from its key and from its bytes", () => {
  fc.assert(
    fc.property(flow, (ends) => {
      const key = flowKey(ends);
      assert.deepEqual(flowEnds(key), ends);
      const reader = new ByteReader(bytesOf(ends));
      assert.equal(readFlow(reader), key);
      assert.equal(reader.remaining, 0);
    }),
  );
});

test("B4: what is neither TCP nor UDP, or ends early, is no flow", () => {
  const bytes = bytesOf(WEB).slice();
  assert.equal(readFlow(new ByteReader(bytes.subarray(0, -1))), undefined);
  bytes[0] = 1;
  assert.equal(readFlow(new ByteReader(bytes)), undefined);
});

test("B4: connections from one port of a client to many services lie in many places", () => {
  const places = Array.from({ length: 256 }, (_, index) => {
    const flow = { ...WEB, destinationPort: 8000 + index };
    return flowPrint([1, 2], flowKey(flow)).place;
  });
  for (const half of [
    places.map((place) => place & 0xff),
    places.map((place) => (place >>> 16) & 0xff),
  ]) {
    assert.ok(new Set(half).size > 100, `${new Set(half).size} of 256 places`);
  }
});

test("B4: prints have 51 bits, and differ with every part of a flow and with the key", () => {
  const print = (ends: FlowEnds, key: readonly [number, number] = [1, 2]): number =>
    flowPrint(key, flowKey(ends)).print;
  const six = { ...WEB, source: new Uint8Array(16), destination: new Uint8Array(16) };
  const other = (address: Uint8Array, at: number): Uint8Array =>
    address.map((byte, index) => (index === at ? byte ^ 1 : byte));
  for (const base of [WEB, six]) {
    const variants = [
      base,
      { ...base, protocol: 17 },
      { ...base, sourcePort: base.sourcePort + 1 },
      { ...base, destinationPort: base.destinationPort + 1 },
      ...[...base.source.keys()].map((at) => ({ ...base, source: other(base.source, at) })),
      // the words of a VIP of IPv6 go in by exclusive or: one of them is enough
      ...[0, 1, 2, 3].map((at) => ({ ...base, destination: other(base.destination, at) })),
    ];
    const prints = [
      ...variants.map((each) => print(each)),
      print(base, [1, 0x55667788]),
      print(base, [0x11223344, 2]),
    ];
    assert.equal(new Set(prints).size, prints.length);
    assert.ok(prints.every((each) => Number.isSafeInteger(each) && each < 2 ** 51));
  }
});
