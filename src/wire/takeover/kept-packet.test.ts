// A16: a packet that was kept is given to the stack with the checksum that it should have had.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { bareSegment } from "./bare-segment.ts";
import { completeChecksum } from "./kept-packet.ts";

for (const [family, vip, peer, header] of [
  ["IPv4", "10.0.0.100", "192.0.2.7", 20],
  ["IPv6", "fd00::100", "fd00::7", 40],
] as const) {
  test(`A16: ${family}: a checksum that was left to a network card is made, and nothing else changes`, () => {
    const packet = bareSegment({
      key: { vip: ip(vip), port: 80, peer: ip(peer), peerPort: 40_000 },
      ...{ sequence: 1, acknowledgement: 2, window: 3, garbage: true },
      timestamps: { value: 4, echo: 5 },
    });
    const left = packet.slice();
    left.set([0x12, 0x34], header + 16);
    assert.equal(completeChecksum(left), true);
    assert.deepEqual(left, packet);
  });
}

test("A16: what is no TCP segment is refused", () => {
  assert.equal(completeChecksum(new Uint8Array()), false);
  assert.equal(completeChecksum(Uint8Array.of(0x45, 0, 0, 20)), false);
  const datagram = new Uint8Array(60);
  datagram.set([0x45]);
  datagram[9] = 17;
  assert.equal(completeChecksum(datagram), false);
});
