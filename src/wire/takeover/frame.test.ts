// Frames of the replication stream: golden bytes written out by hand, every message there and back, and what is no message.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { encodeReplication, MAX_PIECE, replicationDecoder } from "./frame.ts";
import type { CopyMessage, ReplicationMessage } from "./message.ts";
import type { ConnectionFlags } from "./record.ts";

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ""), "hex");
const read = (bytes: Uint8Array): unknown => replicationDecoder().push(bytes);

const OPENED: ReplicationMessage = {
  type: "opened",
  connection: 0x01020304,
  generation: 0x0201,
  initial: {
    key: { vip: ip("10.0.0.100"), port: 80, peer: ip("192.0.2.7"), peerPort: 40_000 },
    mss: 1448,
    mssWithOptions: 1460,
  },
  essential: {
    flags: {
      noDelay: true,
      noOptions: false,
      windowScalingRequested: true,
      windowScalingReceived: true,
      timestampsRequested: false,
      timestampsReceived: true,
      sackPermitted: true,
    },
    sendNext: 0x11223344,
    wl1: 0x21222324,
    wl2: 0x31323334,
    sendWindow: 0x0000fa00,
    receiveNext: 0x41424344,
    receiveAdvertised: 0x51525354,
    sendScale: 7,
    receiveScale: 14,
    recentTimestamp: 0x61626364,
  },
  clock: { value: 0x71727374, readAtMs: 0x1_0000_0002 },
};

// length, version 1, type 1 | connection | family, VIP, peer, ports, MSS, MSS and options
// generation last
// | flags 0b1101101, send next, wl1, wl2, send window, receive next, advertised, scales, recent timestamp | value, read at
const OPENED_BYTES = bytesOf(`
  0000 0045 01 01   04030201
  04 0a000064 c0000207 5000 409c a805 b405
  6d00 44332211 24232221 34333231 00fa0000 44434241 54535251 07 0e 64636261
  74737271 0200000001000000   0102
`);

test("A16: initial and essential part have the bytes of the specification's table, field by field", () => {
  assert.deepEqual(Buffer.from(encodeReplication(OPENED) ?? []), OPENED_BYTES);
  assert.deepEqual(read(OPENED_BYTES), [{ ok: true, message: OPENED }]);
});

test("A16: input, its end, acknowledgement and refusal, byte by byte", () => {
  const cases: readonly (readonly [ReplicationMessage, string])[] = [
    [
      { type: "input", connection: 5, offset: 0x1_0000_0001, bytes: Buffer.from("hi") },
      "00000010 01 03 05000000 0100000001000000 6869",
    ],
    [
      { type: "input-ended", connection: 5, offset: 258 },
      "0000000e 01 05 05000000 0201000000000000",
    ],
    [{ type: "handed", connection: 6 }, "00000006 01 09 06000000"],
    [{ type: "acknowledged", messages: 3 }, "0000000a 01 0a 0300000000000000"],
    [{ type: "refused", connection: 7, reason: "bytes" }, "00000007 01 0b 07000000 01"],
    [{ type: "whole", connection: 8 }, "00000006 01 0d 08000000"],
    [{ type: "wanted", connection: 9, owner: nodeId(258) }, "00000008 01 0e 09000000 0201"],
    [
      {
        type: "passed",
        owner: nodeId(258),
        message: { type: "input", connection: 5, offset: 1, bytes: Buffer.from("hi") },
      },
      "00000013 01 0f 0201 03 05000000 0100000000000000 6869",
    ],
    [{ type: "lacking", connection: 9, owner: nodeId(258) }, "00000008 01 10 09000000 0201"],
    [{ type: "present", asked: 258 }, "00000006 01 11 02010000"],
    [{ type: "relied", asked: 258, forMs: 1400 }, "0000000a 01 12 02010000 78050000"],
  ];
  for (const [message, hex] of cases) {
    assert.deepEqual(Buffer.from(encodeReplication(message) ?? []), bytesOf(hex));
  }
});

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u16 = fc.integer({ min: 1, max: 65_535 });
const offset = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const plain = { noNullPrototype: true } as const;
const piece = fc.uint8Array({ minLength: 1, maxLength: 300 });
const boolean = fc.boolean();
const flags: fc.Arbitrary<ConnectionFlags> = fc.record(
  {
    noDelay: boolean,
    noOptions: boolean,
    windowScalingRequested: boolean,
    windowScalingReceived: boolean,
    timestampsRequested: boolean,
    timestampsReceived: boolean,
    sackPermitted: boolean,
  },
  plain,
);
const scale = fc.integer({ min: 0, max: 14 });
const essential = fc.record(
  {
    flags,
    sendNext: u32,
    wl1: u32,
    wl2: u32,
    sendWindow: u32,
    receiveNext: u32,
    receiveAdvertised: u32,
    sendScale: scale,
    receiveScale: scale,
    recentTimestamp: u32,
  },
  plain,
);
const clock = fc.record({ value: u32, readAtMs: offset }, plain);
const addresses = fc.constantFrom(
  { vip: ip("10.0.0.100"), peer: ip("192.0.2.7") },
  { vip: ip("2001:db8::100"), peer: ip("2001:db8:1::7") },
);
const initial = fc.tuple(addresses, u16, u16, u16).map(([ends, port, peerPort, mss]) => ({
  key: { ...ends, port, peerPort },
  mss,
  mssWithOptions: 65_535,
}));

const copied: fc.Arbitrary<CopyMessage> = fc.oneof(
  fc
    .tuple(u32, initial, essential, clock, u16)
    .map(([connection, first, state, time, generation]) => ({
      type: "opened" as const,
      connection,
      generation,
      initial: first,
      essential: state,
      clock: time,
    })),
  fc
    .tuple(u32, offset, offset, essential, clock)
    .map(([connection, inputOffset, outputOffset, state, time]) => ({
      type: "progress" as const,
      connection,
      inputOffset,
      outputOffset,
      essential: state,
      clock: time,
    })),
  fc
    .tuple(fc.constantFrom("input" as const, "output" as const), u32, offset, piece)
    .map(([type, connection, at, bytes]) => ({ type, connection, offset: at, bytes })),
  fc
    .tuple(fc.constantFrom("input-ended" as const, "output-ended" as const), u32, offset)
    .map(([type, connection, at]) => ({ type, connection, offset: at })),
  fc.tuple(u32, offset, offset, piece).map(([connection, inputOffset, outputOffset, bytes]) => ({
    type: "snapshot" as const,
    connection,
    snapshot: { inputOffset, outputOffset, bytes },
  })),
  u32.map((connection) => ({ type: "whole" as const, connection })),
);
const node = fc.integer({ min: 1, max: 4095 }).map(nodeId);

const message: fc.Arbitrary<ReplicationMessage> = fc.oneof(
  copied,
  copied.map((each) => (each.type === "opened" ? { ...each, type: "noted" as const } : each)),
  fc
    .tuple(node, copied)
    .map(([owner, each]) => ({ type: "passed" as const, owner, message: each })),
  fc
    .tuple(fc.constantFrom("wanted" as const, "lacking" as const), u32, node)
    .map(([type, connection, owner]) => ({ type, connection, owner })),
  fc
    .tuple(fc.constantFrom("closed" as const, "handed" as const), u32)
    .map(([type, connection]) => ({ type, connection })),
  offset.map((messages) => ({ type: "acknowledged" as const, messages })),
  fc
    .tuple(u32, fc.constantFrom("connections" as const, "bytes" as const, "contradiction" as const))
    .map(([connection, reason]) => ({ type: "refused" as const, connection, reason })),
);

test("A16: every message comes back, in both families, from any cutting of the stream", () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.integer({ min: 1, max: 90 }),
      (sent, cut) => {
        const stream = Buffer.concat(
          sent.map((each) => encodeReplication(each) ?? Buffer.alloc(0)),
        );
        const decoder = replicationDecoder();
        const received = [];
        for (let at = 0; at < stream.length; at += cut) {
          received.push(...decoder.push(stream.subarray(at, at + cut)));
        }
        assert.deepEqual(
          received,
          sent.map((each) => ({ ok: true, message: each })),
        );
      },
    ),
  );
});

test("A16: what is no message ends the stream, with a reason", () => {
  const wrong: readonly (readonly [string, string, string])[] = [
    ["another version", "00000006 02 08 06000000", "unsupported-version"],
    ["another type", "00000006 01 63 06000000", "unsupported-type"],
    ["longer than its type may be", "00000011 01 08 0600000000000000000000000000", "oversize"],
    ["input without a byte", "0000000e 01 03 05000000 0100000000000000", "malformed"],
    ["an offset of 54 bits", "0000000e 01 05 05000000 0000000000002000", "malformed"],
    ["a reason that is none", "00000007 01 0b 07000000 03", "malformed"],
    ["short", "00000005 01 08 060000", "malformed"],
    ["no node", "00000008 01 0e 09000000 0000", "malformed"],
    ["a node too high", "00000008 01 10 09000000 0010", "malformed"],
    ["what is not passed on", "00000009 01 0f 0201 08 06000000", "malformed"],
  ];
  for (const [what, hex, reason] of wrong) {
    assert.deepEqual(read(bytesOf(hex)), [{ ok: false, reason }], what);
  }
  const scaleOf15 = Buffer.from(OPENED_BYTES);
  scaleOf15[OPENED_BYTES.indexOf(0x0e, 50)] = 15;
  assert.deepEqual(read(scaleOf15), [{ ok: false, reason: "malformed" }]);
});

test("A16: a piece that is too long is not sent", () => {
  const tooLong = new Uint8Array(MAX_PIECE + 100);
  assert.equal(
    encodeReplication({ type: "input", connection: 1, offset: 0, bytes: tooLong }),
    undefined,
  );
});
