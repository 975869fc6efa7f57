// Golden bytes written by hand from RFC 826.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hex, unhex } from "./testing/hex.ts";
import { decodeArp, encodeArp } from "./arp.ts";

// Ethernet | IPv4 | 6, 4 | request | 02:aa:00:00:00:fe 10.0.0.254 | no MAC yet, 10.0.0.100
const REQUEST = "000108000604000102aa000000fe0a0000fe0000000000000a000064";

test("A3: an ARP request is decoded, and encoded to the same bytes", () => {
  const decoded = decodeArp(unhex(`${REQUEST}0000`));
  assert.ok(decoded.ok);
  const { value } = decoded;
  assert.equal(decoded.length, 28);
  assert.equal(value.operation, "request");
  assert.equal(hex(value.senderMac), "02aa000000fe");
  assert.equal(hex(value.senderIp), "0a0000fe");
  assert.equal(hex(value.targetMac), "000000000000");
  assert.equal(hex(value.targetIp), "0a000064");
  assert.equal(hex(encodeArp(value)), REQUEST);
  assert.equal(
    hex(encodeArp({ ...value, operation: "reply" })),
    REQUEST.replace("040001", "040002"),
  );
});

test("A3: what is no ARP for Ethernet and IPv4 is refused with its reason", () => {
  const cases: [bytes: string, reason: string][] = [
    [REQUEST.slice(0, -2), "incomplete"],
    ["", "incomplete"],
    [REQUEST.replace("00010800", "00060800"), "malformed"],
    [REQUEST.replace("0800", "86dd"), "malformed"],
    [REQUEST.replace("0604", "0610"), "malformed"],
    [REQUEST.replace("040001", "040008"), "unsupported"],
  ];
  for (const [bytes, reason] of cases) {
    assert.deepEqual(decodeArp(unhex(bytes)), { ok: false, reason });
  }
});
