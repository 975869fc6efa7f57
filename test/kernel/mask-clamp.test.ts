// MSS clamping in the egress program (B11, docs/adr/0022), frame by frame: a server's SYN-ACK announces no longer segments than what fits
// into the tunnel, with a right checksum; everything else leaves as it is.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MASK_NAME } from "#driver/bpf/attachment.ts";
import { libbpf } from "#driver/bpf/libbpf.ts";
import { LoadedObject } from "#driver/bpf/program-loader.ts";
import { StateMap } from "#driver/bpf/shared-maps.ts";
import { testRun } from "#driver/bpf/test-run.ts";
import { transportChecksum } from "#wire/ipv4-checksum.ts";
import { hex, unhex } from "#wire/testing/hex.ts";

const skip = process.getuid?.() === 0 ? false : "loading programs needs root";
const LINK = "020000000099 020000000001";
/** From port 80 to 40000, header of 24 bytes: the MSS option (RFC 9293), here 1460. */
const segment = (flags: string, option = "020405b4"): string =>
  `0050 9c40 01020304 0a0b0c0d 60${flags} ffff 0000 0000 ${option}`;
const over4 = (tcp: string, source = "0a000064"): Uint8Array =>
  unhex(`${LINK} 0800 4500002c 00004000 4006 0000 ${source} 0a000007 ${tcp}`);
const over6 = (tcp: string): Uint8Array =>
  unhex(
    `${LINK} 86dd 60000000 0018 06 40 fd000000000000000000000000000100 fd000000000000000000000000000007 ${tcp}`,
  );

/** With the checksum that belongs to it. */
function complete(frame: Uint8Array): Uint8Array {
  const [from, header, size] = frame[12] === 8 ? [26, 34, 4] : [22, 54, 16];
  const copy = frame.slice();
  const ends = {
    source: copy.subarray(from, from + size),
    destination: copy.subarray(from + size, from + 2 * size),
  };
  const sum = transportChecksum(ends, 6, copy.subarray(header));
  copy.set([sum >> 8, sum & 255], header + 16);
  return copy;
}

let object: LoadedObject;
let state: StateMap;

before(() => {
  if (skip !== false) return;
  object = LoadedObject.load("mask.o", { capacities: { vips: 2 } });
  state = new StateMap(object.mapFd(".data.state"));
  for (const vip of ["00000000000000000000ffff0a000064", "fd000000000000000000000000000100"]) {
    libbpf().updateElem(object.mapFd("vips"), unhex(vip), new Uint8Array(2), 0);
  }
});
after(() => {
  state?.close();
  object?.close();
});

function leaves(frame: Uint8Array, longest: number): Uint8Array {
  state.longestPacket = longest;
  return testRun(object.programFd(MASK_NAME), frame).bytes;
}

for (const [what, frame, longest, expected] of [
  ["IPv4: 1480 less 40", over4(segment("12")), 1480, over4(segment("12", "020405a0"))],
  ["IPv6: 1456 less 60", over6(segment("12")), 1456, over6(segment("12", "02040574"))],
  ["less already", over4(segment("12", "02040200")), 1480, undefined],
  ["as much as fits", over4(segment("12", "020405a0")), 1480, undefined],
  ["not a SYN-ACK", over4(segment("10")), 1480, undefined],
  ["a SYN", over4(segment("02")), 1480, undefined],
  ["another option", over4(segment("12", "030405b4")), 1480, undefined],
  ["not from a VIP", over4(segment("12"), "0a000001"), 1480, undefined],
  ["not configured", over4(segment("12")), 0, undefined],
] as const) {
  test(`B11: MSS clamping, ${what}`, { skip }, () => {
    const sent = leaves(complete(frame), longest);
    assert.equal(hex(sent), hex(complete(expected ?? frame)));
  });
}
