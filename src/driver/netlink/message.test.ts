// Golden bytes by hand from RFC 3549 and the kernel's headers; little-endian, as on every supported host.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeAcknowledgement,
  decodeAttributes,
  decodeMessages,
  encodeRequest,
  readText,
  readUint32,
  uint32,
} from "./message.ts";

const bytes = (...hex: readonly string[]): Uint8Array =>
  Uint8Array.from(hex.join(" ").trim().split(/\s+/), (byte) => Number.parseInt(byte, 16));

test("a request: header, fixed part, attributes padded to four bytes", () => {
  const request = encodeRequest({
    type: 20,
    flags: 0x605,
    sequence: 7,
    fixed: Uint8Array.of(2, 32, 0, 254, 3, 0, 0, 0),
    attributes: [
      { type: 2, value: Uint8Array.of(192, 0, 2, 1) },
      { type: 11, value: Uint8Array.of(80) },
      { type: 8, value: uint32(0x202) },
    ],
  });
  assert.deepEqual(
    request,
    bytes(
      "30 00 00 00  14 00  05 06  07 00 00 00  00 00 00 00", // 48 bytes, RTM_NEWADDR, flags, sequence
      "02 20 00 fe  03 00 00 00", // AF_INET, /32, scope host, link 3
      "08 00 02 00  c0 00 02 01", // IFA_LOCAL
      "05 00 0b 00  50 00 00 00", // IFA_PROTO, one byte and three of padding
      "08 00 08 00  02 02 00 00", // IFA_FLAGS
    ),
  );
});

const REFUSAL = bytes(
  "34 00 00 00  02 00  00 03  07 00 00 00  00 00 00 00", // NLMSG_ERROR, capped, with attributes
  "ed ff ff ff", // -ENODEV
  "30 00 00 00  14 00  05 06  07 00 00 00  00 00 00 00", // header of the request
  "0d 00 01 00  6e 6f 20 64 65 76 69 63 00", // "no devic"
  "00 00 00",
);

test("an acknowledgement carries the errno and the kernel's words", () => {
  const [message, ...rest] = decodeMessages(REFUSAL);
  assert.equal(rest.length, 0);
  assert.equal(message?.sequence, 7);
  assert.ok(message);
  assert.deepEqual(decodeAcknowledgement(message), { errno: 19, text: "no devic" });
});

test("several messages in one datagram are read up to the one that is cut short", () => {
  const two = Uint8Array.of(...REFUSAL, ...REFUSAL);
  assert.equal(decodeMessages(two).length, 2);
  assert.equal(decodeMessages(two.subarray(0, two.length - 1)).length, 1);
  assert.deepEqual(decodeMessages(bytes("0f 00 00 00  02 00  00 00  00 00 00 00 00 00 00 00")), []);
});

test("attributes are read by type without their flags, text without its end", () => {
  const attributes = decodeAttributes(
    bytes("08 00 04 80  00 05 00 00", "07 00 03 00  6c 6f 00 00"),
  );
  assert.equal(readUint32(attributes.get(4)), 1280);
  assert.equal(readText(attributes.get(3)), "lo");
  assert.equal(readUint32(attributes.get(9)), undefined);
});

test("no bytes make the decoders throw or run on", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
      for (const message of decodeMessages(input)) decodeAcknowledgement(message);
      return decodeAttributes(input).size <= input.length / 4;
    }),
  );
});
