// Golden bytes by hand from RFC 826, RFC 5227 and RFC 4861; checksums added up on paper.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { announcementFrames } from "./neighbour-announcement.ts";

const bytes = (...hex: readonly string[]): Uint8Array =>
  Uint8Array.from(hex.join(" ").trim().split(/\s+/), (byte) => Number.parseInt(byte, 16));

const NODE = mac("02:00:00:00:00:0a");
const ANOTHER = mac("02:00:00:00:00:01");

test("A3: an IPv4 VIP is announced by an ARP Announcement and a gratuitous reply", () => {
  assert.deepEqual(announcementFrames(ip("192.0.2.100"), NODE, NODE), [
    bytes(
      "ff ff ff ff ff ff  02 00 00 00 00 0a  08 06", // to everybody, from the new owner, ARP
      "00 01 08 00 06 04  00 01", // Ethernet, IPv4, request
      "02 00 00 00 00 0a  c0 00 02 64", // sender: the new owner at the VIP
      "00 00 00 00 00 00  c0 00 02 64", // target: the VIP (RFC 5227 section 2.3)
    ),
    bytes(
      "ff ff ff ff ff ff  02 00 00 00 00 0a  08 06",
      "00 01 08 00 06 04  00 02", // reply
      "02 00 00 00 00 0a  c0 00 02 64",
      "02 00 00 00 00 0a  c0 00 02 64", // target hardware address = sender's (RFC 5944 section 4.6)
    ),
  ]);
});

test("A3: an IPv6 VIP is announced by an unsolicited Neighbor Advertisement to all nodes", () => {
  assert.deepEqual(announcementFrames(ip("2001:db8::64"), ANOTHER, ANOTHER), [
    bytes(
      "33 33 00 00 00 01  02 00 00 00 00 01  86 dd", // group of ff02::1, from the new owner, IPv6
      "60 00 00 00  00 20  3a  ff", // 32 bytes of ICMPv6, hop limit 255
      "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 64", // from the VIP
      "ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 01", // to all nodes
      "88 00  f8 64", // 136 Neighbor Advertisement; ~(12d7a + 8800 + 2000 + 2e1d + 0402)
      "20 00 00 00", // override, neither router nor solicited
      "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 64", // target
      "02 01  02 00 00 00 00 01", // target link-layer address, 8 bytes
    ),
  ]);
});

test("A13: where members share a MAC, it is told, and the frame comes from the sender's own", () => {
  const shared = mac("03:bf:c0:00:02:64");
  const [request, reply] = announcementFrames(ip("192.0.2.100"), shared, NODE);
  assert.deepEqual(
    request,
    bytes(
      "ff ff ff ff ff ff  02 00 00 00 00 0a  08 06",
      "00 01 08 00 06 04  00 01",
      "03 bf c0 00 02 64  c0 00 02 64",
      "00 00 00 00 00 00  c0 00 02 64",
    ),
  );
  assert.deepEqual(reply?.subarray(32, 38), bytes("03 bf c0 00 02 64"));
  const [advertisement] = announcementFrames(ip("2001:db8::64"), shared, ANOTHER);
  assert.deepEqual(advertisement?.subarray(6, 12), bytes("02 00 00 00 00 01"));
  // ~(12d7a + 8800 + 2000 + 2e1d + c824): the option's words are 0201 + 03bf + c000 + 0264
  assert.deepEqual(advertisement?.subarray(56, 58), bytes("34 42"));
  assert.deepEqual(advertisement?.subarray(78), bytes("02 01  03 bf c0 00 02 64"));
});
