// Golden bytes written by hand from RFC 4861; the checksums come from an independent implementation.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, ipBytes } from "#base/address.ts";
import { hex, unhex } from "./testing/hex.ts";
import { decodeSolicitation, encodeUnsolicitedAdvertisement } from "./ndp.ts";

const VIP = "20010db8000000000000000000000100";
// version 6 | 32 bytes of ICMPv6 | hop limit 255 | VIP → all nodes
const ADVERTISEMENT =
  `60000000 0020 3a ff ${VIP} ff020000000000000000000000000001` +
  // type 136, checksum, override | target | its MAC
  `88 00 f6dc 20000000 ${VIP} 02 01 025000000001`;
// fe80::fe → solicited-node group of the VIP | type 135 | target | the asker's MAC
const SOLICITATION =
  "60000000 0020 3a ff fe8000000000000000000000000000fe ff0200000000000000000001ff000100" +
  `87 00 46bf 00000000 ${VIP} 01 01 02aa000000fe`;
const plain = (text: string): string => text.replaceAll(" ", "");

test("A3: an unsolicited advertisement goes to all nodes and overrides", () => {
  const vip = ipBytes(ip("2001:db8::100"));
  const packet = encodeUnsolicitedAdvertisement(vip, unhex("025000000001"));
  assert.equal(hex(packet), plain(ADVERTISEMENT));
});

test("A3: a solicitation tells whom it asks for", () => {
  const message = unhex(SOLICITATION).subarray(40);
  const decoded = decodeSolicitation(message);
  assert.ok(decoded.ok);
  assert.equal(hex(decoded.value.target), VIP);
  assert.equal(decodeSolicitation(message.subarray(0, 24)).ok, true);
  assert.deepEqual(decodeSolicitation(message.subarray(0, 23)), {
    ok: false,
    reason: "incomplete",
  });
  const advertisement = unhex(ADVERTISEMENT).subarray(40);
  assert.deepEqual(decodeSolicitation(advertisement), { ok: false, reason: "unsupported" });
});
