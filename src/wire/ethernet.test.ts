// Ethernet headers and the MAC that tells how far a frame has come. Golden bytes are written by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeEthernet, EthernetView } from "./ethernet.ts";
import { askedBit, hopMac, senderOf, wayOf } from "./ethernet-hop.ts";
import { hex, unhex } from "./testing/hex.ts";

// destination 02:50:00:00:00:01 | source 02:aa:00:00:00:fe | EtherType 0x0800 | payload
const FRAME = "02500000000102aa000000fe0800cafe";

test("B5: an Ethernet header is read and rewritten in place", () => {
  const frame = unhex(`ffff${FRAME}`).subarray(2);
  const view = new EthernetView(frame);
  assert.equal(hex(view.destination), "025000000001");
  assert.equal(hex(view.source), "02aa000000fe");
  assert.equal(view.etherType, 0x0800);
  view.destination = unhex("025000000002");
  view.source = unhex("06504e010001");
  assert.equal(hex(frame), "02500000000206504e0100010800cafe");
  assert.throws(() => new EthernetView(frame.subarray(0, 13)), /checked bytes/);
});

test("B5: encoding a frame gives the golden bytes", () => {
  const [destination, source] = [unhex("025000000001"), unhex("02aa000000fe")];
  const header = { destination, source, etherType: 0x0800 };
  assert.equal(hex(encodeEthernet(header, unhex("cafe"))), FRAME);
});

test("B5: the source MAC of a forwarded frame carries hop, who has been asked, and node", () => {
  assert.equal(hex(hopMac({ hop: 1, asked: 0 }, 7)), "06504e010007");
  assert.equal(hex(hopMac({ hop: 4, asked: 0 }, 4095)), "06504e040fff");
  assert.equal(hex(hopMac({ hop: 3, asked: askedBit(1) | askedBit(4) }, 4)), "06504e930004");
  assert.equal(hex(hopMac({ hop: 7, asked: 31 }, 2)), "06504eff0002");
  const macs: [mac: string, hop: number, asked: number][] = [
    ["06504e010007", 1, 0],
    ["06504e040fff", 4, 0],
    ["06504e930004", 3, 18],
    ["06504eff0002", 7, 31],
    ["06504e000007", 0, 0],
    ["06504ef80007", 0, 0],
    ["06504f010007", 0, 0],
    ["02504e010007", 0, 0],
  ];
  for (const [mac, hop, asked] of macs) assert.deepEqual(wayOf(unhex(mac)), { hop, asked }, mac);
  assert.equal(senderOf(unhex("06504e930fa4")), 4004);
});

test("B4: five nodes are told apart by who has been asked", () => {
  const bits = [1, 2, 3, 4, 5].map(askedBit);
  assert.deepEqual(bits, [2, 4, 8, 16, 1]);
  assert.equal(askedBit(4095), askedBit(5));
});
