// IPv4 headers, the Internet checksum, and the few fields of TCP, UDP and ICMP that steering reads.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hex, unhex } from "./testing/hex.ts";
import { isIcmpError } from "./icmp.ts";
import { internetChecksum, transportChecksum } from "./ipv4-checksum.ts";
import { Ipv4View } from "./ipv4.ts";
import { isOpening } from "./tcp.ts";
import { destinationPort, sourcePort } from "./udp.ts";

// version 4, IHL 5 | 115 bytes | identification 0x1234 | don't fragment | TTL 64, UDP | checksum | 192.168.0.1 → .199
const HEADER = "45000073123440004011a62dc0a80001c0a800c7";

test("B5: an IPv4 header is read in place", () => {
  const view = Ipv4View.over(unhex(HEADER));
  assert.ok(view instanceof Ipv4View);
  assert.equal(view.headerLength, 20);
  assert.equal(view.totalLength, 115);
  assert.equal(view.identification, 0x1234);
  assert.equal(view.moreFragments, false);
  assert.equal(view.fragmentOffset, 0);
  assert.equal(view.protocol, 17);
  assert.equal(hex(view.source), "c0a80001");
  assert.equal(hex(view.destination), "c0a800c7");
});

test("B5: fragments and options of IPv4", () => {
  const later = Ipv4View.over(unhex(HEADER.replace("12344000", "12342003")));
  assert.ok(later instanceof Ipv4View);
  assert.equal(later.moreFragments, true);
  assert.equal(later.fragmentOffset, 3);
  const optioned = Ipv4View.over(unhex(`46${HEADER.slice(2)}01010101`));
  assert.ok(optioned instanceof Ipv4View);
  assert.equal(optioned.headerLength, 24);
});

test("B5: what is no IPv4 header is refused with its reason", () => {
  assert.equal(Ipv4View.over(unhex(HEADER.slice(2))), "incomplete");
  assert.equal(Ipv4View.over(unhex(`46${HEADER.slice(2)}`)), "incomplete");
  assert.equal(Ipv4View.over(unhex(`44${HEADER.slice(2)}`)), "malformed");
  assert.equal(Ipv4View.over(unhex(`65${HEADER.slice(2)}`)), "malformed");
});

test("A3: checksum of RFC 1071's example, of a whole header, and over a pseudo-header", () => {
  assert.equal(internetChecksum(unhex("0001f203f4f5f6f7")), 0x220d);
  assert.equal(internetChecksum(unhex(HEADER)), 0);
  assert.equal(internetChecksum(unhex("ff")), 0x00ff);
  const addresses = { source: unhex("c0000207"), destination: unhex("0a000064") };
  assert.equal(transportChecksum(addresses, 17, unhex("9c400035000c000070696e67")), 0xb824);
});

test("B5: ports, opening segments and ICMP errors", () => {
  const segment = unhex("9c40005000000001000000005002ffff00000000");
  assert.equal(sourcePort(segment), 40_000);
  assert.equal(destinationPort(segment), 80);
  const flags: [byte: number, opening: boolean][] = [
    [0x02, true],
    [0xc2, true], // with ECN
    [0x12, false],
    [0x10, false],
    [0x04, false],
  ];
  for (const [byte, opening] of flags) {
    segment[13] = byte;
    assert.equal(isOpening(segment), opening, `flags ${byte}`);
  }
  const numbers = Array.from({ length: 256 }, (_, type) => type);
  assert.deepEqual(
    numbers.filter((type) => isIcmpError(4, type)),
    [3, 11, 12],
  );
  assert.deepEqual(
    numbers.filter((type) => isIcmpError(6, type)),
    [1, 2, 3, 4],
  );
});
