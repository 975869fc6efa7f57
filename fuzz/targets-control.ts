// The decoders behind mutual TLS: control frames and tables. Whoever reaches them has a certificate; a member that was
// taken over must still not be able to stop the master.
import assert from "node:assert/strict";
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import {
  applyDelta,
  decodeTables,
  encodeDelta,
  encodeTables,
  peekTables,
} from "#core/steering/tables-codec.ts";
import { FORMER_OWNERS, NO_EXCEPTIONS, type Tables } from "#core/steering/tables.ts";
import { controlDecoder, encodeControl } from "#wire/control/frame.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import { crc32 } from "#wire/crc32.ts";
import { decodeUtf8, encodeUtf8 } from "#wire/utf8.ts";
import { streamTarget } from "./stream-target.ts";
import type { Target } from "./target.ts";

const VERSION = { epoch: 3, counter: 9, master: nodeId(2) };
const CONFIG = { counter: 4, digest: "0011223344556677" };
const EXCEPTIONS = {
  flows: ["\u0006\u00c0\u0000\u0002\u0007\u009c\u0040\u00c0\u0000\u0002\u0001\u0001\u00bb"],
  nodes: Uint16Array.of(2),
  slots: Uint16Array.of(3),
};
const KEY = { keyId: 1, key: new Uint8Array(32).fill(0xaa) };

const MESSAGES: readonly ControlMessage[] = [
  { type: "hello", node: nodeId(7), bootId: "0a1b", config: CONFIG, tables: VERSION },
  { type: "group-key", ...KEY },
  { type: "group-key", ...KEY, previous: { keyId: 255, key: KEY.key } },
  { type: "config", version: CONFIG, yaml: "vips:\n  - 192.0.2.1 # größe € 😀\n" },
  { type: "config-ack", version: CONFIG },
  { type: "tables", bytes: new Uint8Array(40).fill(1) },
  { type: "tables-ack", version: VERSION },
  { type: "tables-wanted", held: VERSION },
  { type: "request", id: 1, method: "PUT /x", body: { a: [1, -2.5e3, null, true, "\u2028"] } },
  { type: "response", id: 1, status: 200, body: [] },
  {
    type: "slot-report",
    report: {
      tables: VERSION,
      groups: [{ name: "wéb", rates: [{ slot: 3, rate: 70 }], unused: [1, 2, 65_535] }],
    },
  },
  {
    type: "health-report",
    report: { groups: [{ name: "web", state: "down", part: 30, reason: "http: status 503 é" }] },
  },
  { type: "slots-wanted", slots: [{ group: "wéb", slot: 65_535 }] },
  {
    type: "flow-report",
    report: {
      tables: VERSION,
      established: [...EXCEPTIONS.flows],
      ended: [EXCEPTIONS.flows[0] ?? ""],
    },
  },
  { type: "ping", nonce: 5 },
  { type: "pong", nonce: 6 },
];

const control = streamTarget({
  name: "control-frames",
  messages: MESSAGES,
  encode: encodeControl,
  decoder: controlDecoder,
});

function tablesOf(slots: number, history: boolean): Tables {
  const owners = Uint16Array.from({ length: slots }, (_, slot) => 1 + (slot % 3));
  const former = new Uint16Array(slots * FORMER_OWNERS);
  if (history) former.fill(4, 0, slots);
  return {
    version: { epoch: 3, counter: slots, master: nodeId(2) },
    hashKey: [1, 0xffffffff],
    hash: "keyed",
    delivery: { method: "forward", primary: undefined },
    nodes: [1, 2, 3].map((id) => ({ id: nodeId(id), mac: mac(`02:00:00:00:00:0${id}`) })),
    vips: [ip("192.0.2.1"), ip("2001:db8::1")],
    groups: [
      {
        name: "wéb",
        policy: "sticky",
        holds: false,
        services: [
          { protocol: "tcp", vip: ip("192.0.2.1"), port: 443 },
          { protocol: "udp", vip: ip("2001:db8::1"), port: "any" },
        ],
        owners,
        former,
        home: history ? owners.map((owner) => owner + 1) : owners.slice(),
        udpIdleMs: 0,
        exceptions: history ? EXCEPTIONS : NO_EXCEPTIONS,
      },
      {
        name: "",
        policy: "weighted",
        holds: false,
        services: [],
        owners,
        former,
        home: owners.slice(),
        udpIdleMs: 0,
        exceptions: NO_EXCEPTIONS,
      },
    ],
  };
}

const BASE = tablesOf(16, false);
const FULL = [BASE, tablesOf(2, true), tablesOf(64, true), { ...BASE, groups: [] }];

function withChecksum(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 4) return bytes;
  const mended = bytes.slice();
  const end = mended.length - 4;
  new DataView(mended.buffer).setUint32(end, crc32(mended.subarray(0, end)), true);
  return mended;
}

const full: Target = {
  name: "tables-full",
  seeds: FULL.map(encodeTables),
  mend: withChecksum,
  run: (bytes) => {
    const decoded = decodeTables(bytes);
    if (!decoded.ok) return decoded.reason;
    assert.deepEqual(encodeTables(decoded.value), bytes, "tables have one encoding");
    const label = peekTables(bytes);
    assert.deepEqual(label.ok && label.value.version, decoded.value.version);
    return `ok ${decoded.value.groups.length} ${decoded.value.nodes.length}`;
  },
};

const delta: Target = {
  name: "tables-delta",
  seeds: [BASE, ...FULL, { ...BASE, groups: BASE.groups.toReversed() }].map((next) =>
    encodeDelta(BASE, next),
  ),
  run: (bytes) => {
    const before = encodeTables(BASE);
    const applied = applyDelta(BASE, bytes);
    assert.deepEqual(encodeTables(BASE), before, "the base stays as it is");
    if (!applied.ok) return applied.reason;
    const again = applyDelta(BASE, encodeDelta(BASE, applied.value));
    assert.deepEqual(again.ok && again.value, applied.value);
    return `ok ${applied.value.groups.length}`;
  },
};

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function platformText(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

const utf8: Target = {
  name: "utf8",
  seeds: ["plain", "größe", "€\u{1f600}\ufeff", "\u07ff\u0800\uffff\u{10ffff}"].map(encodeUtf8),
  run: (bytes) => {
    const text = decodeUtf8(bytes);
    assert.equal(text, platformText(bytes));
    if (text === undefined) return "refused";
    assert.deepEqual(encodeUtf8(text), bytes);
    return "ok";
  },
};

export const CONTROL_TARGETS: readonly Target[] = [control, full, delta, utf8];
