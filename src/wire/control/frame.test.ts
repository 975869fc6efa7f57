// Frames of the control channel: golden bytes, every message there and back, every way to be wrong.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_NODE_ID, nodeId } from "#base/ids.ts";
import { controlDecoder, encodeControl, type ControlReceived } from "./frame.ts";
import { MAX_JSON_DEPTH, type JsonValue } from "./json.ts";
import type { ControlMessage } from "./message.ts";

const plain = { noNullPrototype: true } as const;
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const node = fc.integer({ min: 1, max: MAX_NODE_ID }).map(nodeId);
const config = fc.record({ counter: fc.nat(), digest: fc.stringMatching(/^[0-9a-f]{16}$/) }, plain);
const tables = fc.record({ epoch: u32, counter: u32, master: node }, plain);
const key = fc.record(
  { keyId: fc.integer({ min: 1, max: 255 }), key: fc.uint8Array({ minLength: 32, maxLength: 32 }) },
  plain,
);
// What JSON can say: −0 comes back as 0, and "__proto__" as an ordinary key only from JSON.parse.
const body = fc
  .jsonValue({ maxDepth: 4 })
  .map((value) => JSON.parse(JSON.stringify(value)) as JsonValue);

const message: fc.Arbitrary<ControlMessage> = fc.oneof(
  fc
    .record({ node, bootId: fc.stringMatching(/^[0-9a-f]{1,32}$/), config, tables })
    .map((fields) => ({ type: "hello" as const, ...fields })),
  key.map((fields) => ({ type: "group-key" as const, ...fields })),
  fc.tuple(key, key).map(([now, previous]) => ({ type: "group-key" as const, ...now, previous })),
  fc
    .record({ version: config, yaml: fc.string({ unit: "grapheme" }) })
    .map((fields) => ({ type: "config" as const, ...fields })),
  config.map((version) => ({ type: "config-ack" as const, version })),
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => ({ type: "tables" as const, bytes })),
  tables.map((version) => ({ type: "tables-ack" as const, version })),
  tables.map((held) => ({ type: "tables-wanted" as const, held })),
  fc
    .record({ id: u32, method: fc.stringMatching(/^[a-z]{1,20} [/a-z]{1,20}$/), body })
    .map((fields) => ({ type: "request" as const, ...fields })),
  fc
    .record({ id: u32, status: fc.integer({ min: 100, max: 599 }), body })
    .map((fields) => ({ type: "response" as const, ...fields })),
  fc
    .record({ tables, unused: fc.uniqueArray(fc.nat({ max: 65_535 }), { maxLength: 9 }) })
    .map(({ tables: version, unused }) => ({
      type: "slot-report" as const,
      report: {
        tables: version,
        groups: [{ name: "web", rates: [], unused: unused.sort((a, b) => a - b) }],
      },
    })),
  fc
    .record({
      state: fc.constantFrom("up", "down", "unknown"),
      part: fc.integer({ min: 1, max: 100 }),
      reason: fc.string({ unit: "grapheme", maxLength: 10 }),
    })
    .map((fields) => ({
      type: "health-report" as const,
      report: { groups: [{ name: "web", ...fields }] },
    })),
  fc
    .array(
      fc.record(
        {
          group: fc.string({ minLength: 1, maxLength: 20, unit: "grapheme-ascii" }),
          slot: fc.nat({ max: 65_535 }),
        },
        plain,
      ),
      { maxLength: 9 },
    )
    .map((slots) => ({ type: "slots-wanted" as const, slots })),
  u32.map((nonce) => ({ type: "ping" as const, nonce })),
  u32.map((nonce) => ({ type: "pong" as const, nonce })),
);

function frameOf(sent: ControlMessage): Uint8Array {
  const frame = encodeControl(sent);
  assert.ok(frame !== undefined);
  return frame;
}

function inPieces(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

test("A2, B9: every message comes back from any cutting of the stream", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), sizes, (sent, cut) => {
      const stream = Buffer.concat(sent.map(frameOf));
      const decoder = controlDecoder();
      const received = inPieces(stream, cut).flatMap((piece) => decoder.push(piece));
      assert.deepEqual(
        received,
        sent.map((entry) => ({ ok: true, message: entry })),
      );
      assert.equal(decoder.bufferedBytes, 0);
    }),
    { numRuns: 500 },
  );
});

test("A2: golden bytes of a group key with its predecessor", () => {
  const frame = frameOf({
    type: "group-key",
    keyId: 200,
    key: new Uint8Array(32).fill(0xaa),
    previous: { keyId: 7, key: new Uint8Array(32).fill(0xbb) },
  });
  assert.equal(
    Buffer.from(frame).toString("hex"),
    "000000440102" + // 68 bytes follow; version 1; type 2
      `c8${"aa".repeat(32)}` +
      `07${"bb".repeat(32)}`,
  );
});

test("B9: golden bytes of a ping and of an acknowledgement of tables", () => {
  assert.equal(
    Buffer.from(frameOf({ type: "ping", nonce: 0xdeadbeef })).toString("hex"),
    "00000006010adeadbeef",
  );
  const ack = frameOf({
    type: "tables-ack",
    version: { epoch: 3, counter: 9, master: nodeId(2) },
  });
  assert.equal(Buffer.from(ack.subarray(0, 6)).toString("hex"), "000000300106");
  assert.equal(
    Buffer.from(ack.subarray(6)).toString(),
    '{"version":{"epoch":3,"counter":9,"master":2}}',
  );
});

test("A15: golden bytes of a question for owners of slots, and what is none", () => {
  const slots = [{ group: "web", slot: 3 }];
  const asked = frameOf({ type: "slots-wanted", slots });
  assert.equal(Buffer.from(asked.subarray(0, 6)).toString("hex"), "00000017010e");
  assert.equal(Buffer.from(asked.subarray(6)).toString(), '{"slots":[["web",3]]}');
  const many = Array.from({ length: 1025 }, () => slots[0] ?? { group: "", slot: 0 });
  const wrong = [
    ...[65_536, -1, 0.5].map((slot) => [{ group: "web", slot }]),
    many,
    [{ group: "", slot: 1 }],
  ];
  for (const each of wrong) {
    const [received] = failureOf(frameOf({ type: "slots-wanted", slots: each }));
    assert.deepEqual(received, { ok: false, reason: "malformed" });
  }
});

const failureOf = (bytes: Uint8Array): ControlReceived[] => controlDecoder().push(bytes);
const json = (code: number, text: string): Uint8Array => {
  const payload = Buffer.from(text);
  const head = Buffer.from([0, 0, 0, 0, 1, code]);
  head.writeUInt32BE(payload.length + 2);
  return Buffer.concat([head, payload]);
};

test("a breach of the protocol has a name, and nothing is read after it", () => {
  const good = frameOf({ type: "ping", nonce: 1 });
  const cases: [string, string, number[]][] = [
    ["longer than any frame", "oversize", [0x01, 0x00, 0x00, 0x00, 1, 5]],
    ["longer than its type allows", "oversize", [0, 0, 0, 7, 1, 10]],
    ["another version", "unsupported-version", [0, 0, 0, 6, 2, 10]],
    ["an unknown type", "unsupported-type", [0, 0, 0, 6, 1, 99]],
    ["too short for version and type", "malformed", [0, 0, 0, 1, 1, 10]],
    ["a ping without its nonce", "malformed", [0, 0, 0, 2, 1, 10]],
    ["a group key cut short", "malformed", [0, 0, 0, 3, 1, 2, 0]],
    ["a group key with id 0", "malformed", [0, 0, 0, 35, 1, 2, ...Array<number>(33).fill(0)]],
    ["HTTP", "oversize", [...Buffer.from("GET / HTTP/1.1\r\n")]],
  ];
  for (const [what, reason, bytes] of cases) {
    const decoder = controlDecoder();
    assert.deepEqual(decoder.push(Uint8Array.from(bytes)), [{ ok: false, reason }], what);
    assert.deepEqual(decoder.push(good), [], `${what}: the stream is over`);
  }
});

test("fields are checked: what a type promises is there, and within its bounds", () => {
  const version = '{"epoch":1,"counter":1,"master":1}';
  const hello = (node: string): string =>
    `{"node":${node},"bootId":"0a","config":{"counter":1,"digest":"00"},"tables":${version}}`;
  assert.equal(failureOf(json(1, hello("4095")))[0]?.ok, true);
  const wrong: [number, string][] = [
    [1, hello("0")],
    [1, hello("4096")],
    [1, hello("1.5")],
    [1, hello('"1"')],
    [1, hello("1").replace("0a", "XY")],
    [1, "[]"],
    [1, "null"],
    [1, "{"],
    [3, '{"version":{"counter":1,"digest":"00"}}'],
    [4, '{"version":{"counter":-1,"digest":"00"}}'],
    [4, '{"version":{"counter":1,"digest":"0123456789abcdef0"}}'],
    [6, '{"version":{"epoch":1,"counter":4294967296,"master":1}}'],
    [7, `{"version":${version}}`],
    [8, '{"id":1,"method":"","body":null}'],
    [8, '{"id":1,"method":"a\\nb","body":null}'],
    [8, '{"id":1,"method":"get"}'],
    [8, '{"id":1,"method":"get","body":[{"a":1e999}]}'],
    [9, '{"id":1,"status":99,"body":null}'],
    [9, '{"id":1,"status":"200","body":null}'],
  ];
  for (const [code, text] of wrong) {
    assert.deepEqual(failureOf(json(code, text)), [{ ok: false, reason: "malformed" }], text);
  }
});

test("JSON nested too deeply is refused before it is parsed; brackets in texts do not count", () => {
  const nested = (depth: number): Uint8Array =>
    json(8, `{"id":1,"method":"x","body":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`);
  assert.equal(failureOf(nested(MAX_JSON_DEPTH))[0]?.ok, true);
  assert.deepEqual(failureOf(nested(MAX_JSON_DEPTH + 1)), [{ ok: false, reason: "malformed" }]);
  const text = json(8, `{"id":1,"method":"x","body":"\\"${"[".repeat(500)}"}`);
  assert.equal(failureOf(text)[0]?.ok, true);
});

test("a message longer than its type may be is not sent", () => {
  const limit = 1024 * 1024;
  assert.equal(
    encodeControl({ type: "request", id: 1, method: "x", body: "y".repeat(limit) }),
    undefined,
  );
  assert.equal(
    encodeControl({ type: "tables", bytes: new Uint8Array(16 * 1024 * 1024) }),
    undefined,
  );
});

test("the promise of a long frame costs no memory until its bytes come", () => {
  const decoder = controlDecoder();
  assert.deepEqual(decoder.push(Uint8Array.of(0x00, 0xff, 0xff, 0xfc, 1, 5)), []);
  assert.equal(decoder.bufferedBytes, 6);
  const rest = new Uint8Array(0x00fffffc - 2);
  const received = decoder.push(rest);
  assert.equal(received.length, 1);
  assert.equal(decoder.bufferedBytes, 0);
});

test("arbitrary and damaged streams never throw, and fail at most once, last", () => {
  const damaged = fc
    .tuple(fc.array(message, { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat({ max: 255 }))
    .map(([sent, at, byte]) => {
      const stream = Uint8Array.from(Buffer.concat(sent.map(frameOf)));
      stream[at % stream.length] = byte;
      return stream;
    });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (stream) => {
      const received = failureOf(stream);
      const failed = received.findIndex((entry) => !entry.ok);
      assert.ok(failed === -1 || failed === received.length - 1);
    }),
    { numRuns: 3000 },
  );
});
