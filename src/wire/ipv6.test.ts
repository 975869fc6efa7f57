// IPv6 headers and the walk over extension headers (RFC 8200). Golden bytes are written by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hex, unhex } from "./testing/hex.ts";
import { Ipv6View, walkExtensionHeaders } from "./ipv6.ts";

const SOURCE = "20010db8000100000000000000000007";
const DESTINATION = "20010db8000000000000000000000100";
/** Version 6, 16 bytes of payload, the given next header, hop limit 64. */
const packet = (nextHeader: string, payload = ""): Uint8Array =>
  unhex(`60000000 0010 ${nextHeader} 40 ${SOURCE} ${DESTINATION} ${payload}`);
const unfragmented = { fragmentOffset: 0, moreFragments: false, identification: 0 };

test("B5: an IPv6 header is read in place", () => {
  const view = Ipv6View.over(packet("06"));
  assert.ok(view instanceof Ipv6View);
  assert.equal(view.payloadLength, 16);
  assert.equal(view.nextHeader, 6);
  assert.equal(hex(view.source), SOURCE);
  assert.equal(hex(view.destination), DESTINATION);
  assert.equal(Ipv6View.over(packet("06").subarray(0, 39)), "incomplete");
  assert.equal(Ipv6View.over(unhex("45".repeat(40))), "malformed");
});

const PAD = "01 04 00000000"; // PadN with 4 bytes of data

test("B5: the transport header is found behind extension headers", () => {
  assert.deepEqual(walkExtensionHeaders(packet("06")), {
    protocol: 6,
    offset: 40,
    ...unfragmented,
  });
  const hopByHop = packet("00", `11 00 ${PAD}`);
  assert.deepEqual(walkExtensionHeaders(hopByHop), { protocol: 17, offset: 48, ...unfragmented });
  const two = packet("2b", `3c 00 ${PAD} 06 01 ${PAD} 0000000000000000`);
  assert.deepEqual(walkExtensionHeaders(two), { protocol: 6, offset: 64, ...unfragmented });
});

test("B5: the Fragment header tells offset, more and identification", () => {
  const expected = { protocol: 6, offset: 48, identification: 0xdeadbeef };
  assert.deepEqual(walkExtensionHeaders(packet("2c", "06 00 0019 deadbeef")), {
    ...expected,
    fragmentOffset: 3,
    moreFragments: true,
  });
  assert.deepEqual(walkExtensionHeaders(packet("2c", "06 00 0000 deadbeef")), {
    ...expected,
    fragmentOffset: 0,
    moreFragments: false,
  });
});

test("B5: more headers than are read, and cut ones, are refused", () => {
  const three = packet("00", `2b 00 ${PAD} 3c 00 ${PAD} 06 00 ${PAD}`);
  const cases: [bytes: Uint8Array, answer: string][] = [
    [three, "unsupported"],
    [packet("2c", "2c 00 0001 deadbeef"), "unsupported"],
    [packet("2c", "3c 00 0001 deadbeef"), "unsupported"],
    [packet("00", "06 00 01 04 000000"), "incomplete"],
    [packet("00", `06 01 ${PAD}`), "incomplete"],
    [packet("2c", "06 00 0001 deadbe"), "incomplete"],
  ];
  for (const [bytes, answer] of cases) assert.equal(walkExtensionHeaders(bytes), answer);
  const later = walkExtensionHeaders(packet("2c", "3c 00 0008 deadbeef"));
  assert.ok(typeof later !== "string" && later.fragmentOffset === 1, "a later one is not read on");
});
