// Rows 600 … 640 of the sources' table as bytes written out by hand, and what each choice changes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, ipBytes, macBytes, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { derivedMac, peerMac } from "#base/peering.ts";
import { internetChecksum, transportChecksum } from "#wire/ipv4-checksum.ts";
import { hex, unhex } from "#wire/testing/hex.ts";
import { arrive, depart, type PeeringContext } from "./rules.ts";
import { CM, contextOf, HOSTS } from "./testing/vector.ts";

const [ONE, TWO] = HOSTS;

/** Ethernet destination and source, ARP operation, sender MAC and IP, target MAC and IP. */
const arp = (to: string, from: string, fields: string): Uint8Array =>
  unhex(`${to} ${from} 0806 0001 0800 06 04 ${fields}`);
const BROADCAST = "ffffffffffff";
const SHARED = "02bfaabbccdd";
const D1 = "03bf0c0c0465";
const D2 = "03bf0c0c0466";
const IP1 = "0c0c0465";
const IP2 = "0c0c0466";
const NONE = "000000000000";
const ROW = {
  600: arp(BROADCAST, SHARED, `0001 ${SHARED} ${IP1} ${NONE} ${IP2}`),
  610: arp(BROADCAST, SHARED, `0001 ${D1} ${IP1} ${NONE} ${IP2}`),
  620: arp(D1, SHARED, `0002 ${SHARED} ${IP2} ${D1} ${IP1}`),
  630: arp(D1, SHARED, `0002 ${D2} ${IP2} ${SHARED} ${IP1}`),
  640: arp(SHARED, SHARED, `0002 ${D2} ${IP2} ${SHARED} ${IP1}`),
} as const;

function arrived(frame: Uint8Array, context: PeeringContext) {
  const copy = frame.slice();
  const verdict = arrive(copy, context);
  return { ...verdict, bytes: hex(copy) };
}

function departed(frame: Uint8Array, context: PeeringContext) {
  const copy = frame.slice();
  const verdict = depart(copy, context);
  return { ...verdict, bytes: hex(copy) };
}

test("C3: the dedicated MAC is 03-bf and the four bytes of the address", () => {
  assert.equal(derivedMac(ip("12.12.4.101")), "03:bf:0c:0c:04:65");
});

test("C14: an IPv6 address has a dedicated MAC of all its words", () => {
  assert.equal(derivedMac(ip("fd12::101")), "03:bf:fd:12:01:01");
  assert.notEqual(derivedMac(ip("fd12::1:101")), derivedMac(ip("fd12::101")));
});

test("C4: row 600 leaves Host 1 unaltered", () => {
  const out = departed(ROW[600], contextOf(ONE));
  assert.equal(out.bytes, hex(ROW[600]));
  assert.equal(out.action, "pass");
});

test("C4: row 610: Host 2's stack learns Host 1's dedicated MAC", () => {
  const into = arrived(ROW[600], contextOf(TWO));
  assert.equal(into.bytes, hex(ROW[610]));
  assert.equal(into.reason, "learn-request");
});

test("C5: row 630: Host 2's reply tells its dedicated MAC", () => {
  const out = departed(ROW[620], contextOf(TWO));
  assert.equal(out.bytes, hex(ROW[630]));
  assert.equal(out.reason, "tell-reply");
});

test("C6: row 640: Host 1's stack gets the reply as if it had come to the cluster MAC", () => {
  const into = arrived(ROW[630], contextOf(ONE));
  assert.equal(into.bytes, hex(ROW[640]));
  assert.equal(into.toHost, true);
});

test("C7: the rewrites of row 630 may be done on the initiator's side", () => {
  const out = departed(ROW[620], contextOf(TWO, { rewrite: "initiator" }));
  assert.equal(out.bytes, hex(ROW[620]), "on the wire as the stack made it");
  const into = arrived(ROW[620], contextOf(ONE, { rewrite: "initiator" }));
  assert.equal(into.bytes, hex(ROW[640]));
  assert.equal(into.reason, "learn-reply");
});

test("C8: a request counts as a peer's only by source IP and cluster MAC together", () => {
  const outsider = arp(BROADCAST, "0200000000aa", `0001 0200000000aa 0c0c0409 ${NONE} ${IP2}`);
  const wrongMac = arp(BROADCAST, "0200000000aa", `0001 0200000000aa ${IP1} ${NONE} ${IP2}`);
  const wrongIp = arp(BROADCAST, SHARED, `0001 ${SHARED} 0c0c0409 ${NONE} ${IP2}`);
  for (const frame of [outsider, wrongMac, wrongIp]) {
    const { action, reason, toHost, bytes } = arrived(frame, contextOf(TWO));
    assert.deepEqual([action, reason, toHost, bytes], ["pass", "pass-other", false, hex(frame)]);
  }
});

test("C8: an outsider is answered with the cluster MAC, from a source that tells nothing", () => {
  const outsider = "0200000000aa";
  const reply = arp(outsider, SHARED, `0002 ${SHARED} ${IP2} ${outsider} 0c0c0409`);
  const masked = macBytes(mac("02:00:02:bb:cc:dd"));
  const out = departed(reply, contextOf(TWO, {}, { outsiderSource: masked }));
  assert.equal(out.bytes, hex(arp(outsider, "020002bbccdd", hex(reply.subarray(20)))));
  assert.equal(out.reason, "mask-source");
});

const data = (to: string, from = SHARED, source = IP1): Uint8Array =>
  unhex(`${to} ${from} 0800 4500 0014 0000 0000 4011 0000 ${source} ${IP2}`);

test("C9: a frame to our dedicated MAC comes into the stack as one to the cluster MAC", () => {
  const into = arrived(data(D2), contextOf(TWO));
  assert.equal(into.bytes, hex(data(SHARED)));
  assert.deepEqual([into.reason, into.toHost], ["take-peer", true]);
  assert.equal(arrived(data(D1), contextOf(TWO)).reason, "pass-other", "of somebody else");
  assert.equal(departed(data(D2), contextOf(ONE)).bytes, hex(data(D2)), "out: unaltered");
});

test("C9: a peer's frame may be known by its source address instead", () => {
  const strange = "03bf00000001";
  const context = contextOf(TWO, { recognise: "source" });
  assert.equal(arrived(data(strange), context).bytes, hex(data(SHARED)));
  assert.equal(arrived(data(strange, SHARED, "0c0c0409"), context).reason, "pass-other");
  assert.equal(arrived(data(strange), contextOf(TWO)).reason, "pass-other");
});

test("C9: with a unicast dedicated MAC, peers see it as the source and outsiders do not", () => {
  const own = macBytes(peerMac(nodeId(1), ip("170.187.204.221")));
  const masks = { outsiderSource: macBytes(mac("02:00:01:bb:cc:dd")), peerSource: own };
  const context = contextOf(ONE, {}, { ...masks, dedicated: [own] });
  assert.equal(departed(data(D2), context).bytes, hex(data(D2, hex(own))));
  const outside = departed(data("0200000000aa", hex(own)), context);
  assert.equal(outside.bytes, hex(data("0200000000aa", "020001bbccdd")));
});

test("C10: a stack that is not to learn never hears the question; the program answers as row 620, 630", () => {
  const context = contextOf(TWO, { learnFromRequests: false });
  const answer = arrived(ROW[600], context);
  assert.equal(answer.action, "turn");
  assert.equal(answer.bytes, hex(ROW[620]));
  assert.equal(departed(unhex(answer.bytes), context).bytes, hex(ROW[630]));
  const forAnother = arp(BROADCAST, SHARED, `0001 ${SHARED} ${IP1} ${NONE} 0c0c0409`);
  assert.equal(arrived(forAnother, context).reason, "learn-request", "known ones stay known");
});

test("C11: what came to the shared MAC is taken by whom its address belongs to", () => {
  const shared = "031fffbbccdd";
  const bytes = unhex(shared);
  const more = { shared: bytes, dedicated: [bytes] };
  assert.equal(arrived(data(shared), contextOf(TWO, {}, more)).bytes, hex(data(SHARED)));
  assert.deepEqual(arrived(data(shared), contextOf(ONE, {}, more)).reason, "drop-not-ours");
  const reply = arp(shared, SHARED, `0002 ${SHARED} ${IP2} ${shared} ${IP1}`);
  assert.equal(arrived(reply, contextOf(ONE, {}, more)).toHost, true);
  assert.equal(arrived(reply, contextOf(TWO, {}, more)).action, "drop");
});

test("C13: a local responder answers for live members, from the cluster MAC to the cluster MAC", () => {
  const context = contextOf(ONE, { localResponder: true });
  const answer = departed(ROW[600], context);
  assert.deepEqual([answer.action, answer.reason], ["turn", "answer-local"]);
  assert.equal(answer.bytes, hex(ROW[640]));
  const dead = contextOf(
    ONE,
    { localResponder: true },
    { peer: () => ({ node: nodeId(2), mac: unhex(D2), live: false }) },
  );
  assert.equal(departed(ROW[600], dead).action, "pass", "the wire shows whether it is alive");
  const left = contextOf(ONE, { localResponder: true }, { informed: false });
  assert.equal(departed(ROW[600], left).action, "pass", "no agent says who lives");
  const probe = arp(BROADCAST, SHARED, `0001 ${SHARED} 00000000 ${NONE} ${IP2}`);
  assert.equal(departed(probe, context).action, "pass", "an address may be asked for before use");
});

test("C15: frames of a peer that never asked for us are dropped, until it does", () => {
  const context = contextOf(TWO, { sourceCheck: true });
  assert.deepEqual(arrived(data(D2), context).reason, "drop-unasked");
  const announcement = arp(BROADCAST, SHARED, `0001 ${SHARED} ${IP1} ${NONE} ${IP1}`);
  arrived(announcement, context);
  assert.equal(arrived(data(D2), context).action, "drop", "that was no question for us");
  arrived(ROW[600], context);
  assert.equal(arrived(data(D2), context).reason, "take-peer");
  assert.equal(arrived(data(D2, SHARED, "0c0c0409"), context).reason, "take-peer", "no peer");
});

const FD1 = "fd120000000000000000000000000101";
const FD2 = "fd120000000000000000000000000102";
const D61 = "03bffd120101";
const D62 = "03bffd120102";
const SOLICITED = "ff0200000000000000000001ff000102";

/** IPv6 header and ICMPv6 message with its checksum. */
function nd(to: string, from: string, addresses: readonly [string, string], message: string) {
  const [source, destination] = addresses.map((text) => unhex(text));
  const body = unhex(message);
  assert.ok(source && destination);
  const sum = transportChecksum({ source, destination }, 58, body);
  body.set([sum >>> 8, sum & 0xff], 2);
  const length = body.byteLength.toString(16).padStart(4, "0");
  return unhex(`${to}${from}86dd 60000000 ${length} 3a ff ${addresses.join("")}${hex(body)}`);
}
const ask = (told: string) => `87000000 00000000 ${FD2} 0101 ${told}`;
const tell = (told: string) => `88000000 60000000 ${FD2} 0201 ${told}`;
const ND = {
  600: nd("3333ff000102", SHARED, [FD1, SOLICITED], ask(SHARED)),
  610: nd("3333ff000102", SHARED, [FD1, SOLICITED], ask(D61)),
  620: nd(D61, SHARED, [FD2, FD1], tell(SHARED)),
  630: nd(D61, SHARED, [FD2, FD1], tell(D62)),
  640: nd(SHARED, SHARED, [FD2, FD1], tell(D62)),
} as const;

test("C14: solicitations and advertisements are rewritten likewise, checksums included", () => {
  assert.equal(departed(ND[600], contextOf(ONE)).bytes, hex(ND[600]));
  assert.equal(arrived(ND[600], contextOf(TWO)).bytes, hex(ND[610]));
  assert.equal(departed(ND[620], contextOf(TWO)).bytes, hex(ND[630]));
  assert.equal(arrived(ND[630], contextOf(ONE)).bytes, hex(ND[640]));
  const initiator = contextOf(ONE, { rewrite: "initiator" });
  assert.equal(arrived(ND[620], initiator).bytes, hex(ND[640]));
});

test("C13, C14: the local responder answers solicitations, not duplicate address detection", () => {
  const context = contextOf(ONE, { localResponder: true });
  assert.equal(departed(ND[600], context).bytes, hex(ND[640]));
  const nowhere = "0".repeat(32);
  const dad = nd("3333ff000102", SHARED, [nowhere, SOLICITED], ask(SHARED));
  assert.equal(departed(dad, context).action, "pass");
});

test("C10, C14: a solicitation that is not to be learned is answered by the program", () => {
  const context = contextOf(TWO, { learnFromRequests: false });
  const answer = arrived(ND[600], context);
  assert.equal(answer.bytes, hex(ND[620]));
  assert.equal(departed(unhex(answer.bytes), context).bytes, hex(ND[630]));
});

test("C14: a link-local address, which nobody lists, is its member's by the masked Ethernet source", () => {
  const local = "fe800000000000000000000000000001";
  const from = "020001bbccdd"; // node 1's masked source
  const asked = nd(D62, from, [local, FD2], ask(SHARED));
  const into = arrived(asked, contextOf(TWO));
  assert.equal(into.reason, "learn-request");
  assert.equal(into.bytes, hex(nd(SHARED, from, [local, FD2], ask(D1))));
  const stranger = nd(D62, "020009bbccdd", [local, FD2], ask(SHARED));
  assert.equal(arrived(stranger, contextOf(TWO)).reason, "take-peer", "no member");
});

test("C12, C14: and by the peer's dedicated MAC, where that is one of a table", () => {
  const local = "fe800000000000000000000000000001";
  const from = "02005e000001";
  const nodeOfMac = (bytes: Uint8Array) => (hex(bytes) === from ? 1 : undefined);
  const macOf = (node: number) => (node === 1 ? unhex(from) : undefined);
  const context = contextOf(TWO, {}, { nodeOfMac, macOf });
  const probe = nd(D62, from, [local, FD2], ask(SHARED));
  const into = arrived(probe, context);
  assert.equal(into.reason, "learn-request");
  assert.equal(into.bytes, hex(nd(SHARED, from, [local, FD2], ask(from))));
});

test("C15: a peer that never asked is none by its link-local address either", () => {
  const context = contextOf(TWO, { sourceCheck: true });
  const local = "fe800000000000000000000000000001";
  const from = "020001bbccdd"; // node 1's masked source
  const packet = (source: string): Uint8Array =>
    unhex(`${D62}${source}86dd 60000000 0008 11 40 ${local}${FD2} 0001000200080000`);
  assert.equal(arrived(packet(from), context).reason, "drop-unasked");
  assert.equal(arrived(packet("0200000000aa"), context).reason, "take-peer", "no peer");
  assert.equal(arrived(nd(D62, from, [local, FD2], ask(SHARED)), context).reason, "learn-request");
  assert.equal(arrived(packet(from), context).reason, "take-peer");
});

test("C8: a redirect to a peer tells outsiders the cluster MAC", () => {
  const outsider = "0200000000aa";
  const ends = ["fe800000000000000000000000000002", "fd120000000000000000000000000009"] as const;
  const redirect = (told: string, to: string, from = SHARED): Uint8Array => {
    const message = `89000000 00000000 ${FD1} ${FD1} 0201 ${told}`;
    return nd(to, from, ends, message);
  };
  const masks = { outsiderSource: macBytes(mac("02:00:02:bb:cc:dd")) };
  const context = contextOf(TWO, {}, masks);
  const out = departed(redirect(D61, outsider), context);
  assert.equal(out.bytes, hex(redirect(SHARED, outsider, "020002bbccdd")));
  const other = departed(redirect("0200000000bb", outsider), context);
  assert.equal(other.bytes, hex(redirect("0200000000bb", outsider, "020002bbccdd")), "no peer");
});

test("What is no discovery and too short passes", () => {
  for (const frame of [new Uint8Array(0), new Uint8Array(13), ROW[600].subarray(0, 41)]) {
    assert.equal(arrived(frame, contextOf(TWO)).reason, "pass-other");
  }
  assert.equal(internetChecksum(ND[610].subarray(54)) === 0, false, "needs the pseudo-header");
  assert.equal(CM, "02:bf:aa:bb:cc:dd");
  assert.equal(hex(ipBytes(ip("12.12.4.101"))), IP1);
});

test("C8: a frame from the cluster MAC, from one of our own, or from an outsider to a dedicated MAC is noted; members' are not", () => {
  const masked = { outsiderSource: unhex("020002bbccdd"), peerSource: unhex("020002bbccdd") };
  const context = contextOf(TWO, {}, masked);
  const member = "020001bbccdd";
  const asked = (from: string): Uint8Array =>
    arp(BROADCAST, from, `0001 ${SHARED} ${IP1} ${NONE} ${IP2}`);
  assert.equal(arrived(asked(member), context).leak, undefined);
  assert.equal(arrived(data(D2, member), context).leak, undefined);
  assert.equal(arrived(asked(SHARED), context).leak, "cluster-source");
  assert.equal(arrived(ROW[640], context).leak, undefined, "a local responder's answer");
  assert.equal(arrived(asked("020002bbccdd"), context).leak, "own-source");
  assert.equal(arrived(asked(D2), context).leak, "own-source");
  assert.equal(arrived(data(D2, "0200000000aa"), context).leak, "outsider");
  assert.equal(arrived(data(SHARED, "0200000000aa"), context).leak, undefined, "as it should");
  const unasked = contextOf(TWO, { sourceCheck: true }, masked);
  const dropped = arrived(data(D2, "0200000000aa"), unasked);
  assert.deepEqual([dropped.reason, dropped.leak], ["drop-unasked", "outsider"]);
});
