// RFC 4291 2.5.5.2: IPv4 addresses in 16 bytes, there and back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, ipBytes } from "./address.ts";
import { putMapped, unmapped } from "./mapped-address.ts";

test("RFC 4291 2.5.5.2: an IPv4 address lies behind ::ffff, an IPv6 address as it is", () => {
  const bytes = new Uint8Array(34).fill(9);
  putMapped(bytes, 1, ipBytes(ip("192.0.2.7")));
  putMapped(bytes, 17, ipBytes(ip("2001:db8::1")));
  assert.equal(
    Buffer.from(bytes).toString("hex"),
    "0900000000000000000000ffffc000020720010db800000000000000000000000109",
  );
});

test("RFC 4291 2.5.5.2: only what is mapped is four bytes again", () => {
  const back = (text: string): string => Buffer.from(unmapped(ipBytes(ip(text)))).toString("hex");
  assert.equal(back("::ffff:192.0.2.7"), "c0000207");
  assert.equal(back("192.0.2.7"), "c0000207");
  assert.equal(back("::fffe:c000:207"), "00000000000000000000fffec0000207");
  assert.equal(back("1::ffff:c000:207"), "00010000000000000000ffffc0000207");
});
