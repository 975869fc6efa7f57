// Golden bytes written by hand from RFC 2236 and RFC 2113.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeMembershipReport,
  encodeMembershipReport,
  groupMacBytes,
  membershipReportFrame,
} from "./igmp.ts";
import { hex, unhex } from "./testing/hex.ts";

// version 4, IHL 6, TOS c0 | 32 bytes | id 0 | don't fragment | TTL 1, IGMP | checksum | 10.77.0.11 → 239.255.0.100 | router alert
const HEADER = "46c00020 00004000 0102e95c 0a4d000b efff0064 94040000";
// version 2 report, no delay | checksum | 239.255.0.100
const REPORT = "1600f99b efff0064";
const PACKET = (HEADER + REPORT).replaceAll(" ", "");

const value = { source: unhex("0a4d000b"), group: unhex("efff0064") };

test("A13: a membership report is encoded, and decoded to the same values", () => {
  assert.equal(hex(encodeMembershipReport(value)), PACKET);
  const decoded = decodeMembershipReport(unhex(`${PACKET}000000`));
  assert.ok(decoded.ok);
  assert.equal(decoded.length, 32);
  assert.equal(hex(decoded.value.source), "0a4d000b");
  assert.equal(hex(decoded.value.group), "efff0064");
});

test("A13: the report goes to the group's own Ethernet address", () => {
  const frame = membershipReportFrame(value, unhex("0277000000 0b"));
  assert.equal(hex(frame), `01005e7f006402770000000b0800${PACKET}`);
  assert.equal(hex(groupMacBytes(unhex("e0000116"))), "01005e000116");
});

test("A13: what is no version 2 report is refused with its reason", () => {
  const cases: [bytes: string, reason: string][] = [
    [PACKET.slice(0, -2), "incomplete"],
    [PACKET.slice(0, 46), "incomplete"],
    ["", "incomplete"],
    [PACKET.replace("46c0", "66c0"), "malformed"],
    [PACKET.replace("c00020", "c0001c"), "malformed"],
    [PACKET.replace("f99b", "f99c"), "malformed"],
    [PACKET.replace("0102e95c", "0106e958"), "unsupported"],
    [PACKET.replace("1600f99b", "22000000"), "unsupported"],
  ];
  for (const [bytes, reason] of cases) {
    assert.deepEqual(decodeMembershipReport(unhex(bytes)), { ok: false, reason }, bytes);
  }
});
