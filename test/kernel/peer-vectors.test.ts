// The peering programs against the model of core/peering: rows 600 … 640 as published, and random frames in every combination of
// MAC kind and choices. A difference names seed and frame.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, ipBytes, macBytes } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { PEER_MAC_KINDS, peerMac, type PeerChoices, type PeerMacKind } from "#base/peering.ts";
import { maskedMac } from "#base/delivery.ts";
import { Prng } from "#base/prng.ts";
import { PEER_LEAKS, type PeerLeak } from "#core/peering/leaks.ts";
import { PEER_REASONS, type PeerReason } from "#core/peering/reasons.ts";
import { arrive, depart, type PeeringContext } from "#core/peering/rules.ts";
import { PUBLISHED } from "#core/peering/testing/vector.ts";
import type { Direction } from "#driver/bpf/attachment.ts";
import { PEER_REASON_NAMES } from "#driver/bpf/peer-abi.gen.ts";
import { transportChecksum } from "#wire/ipv4-checksum.ts";
import { hex, unhex } from "#wire/testing/hex.ts";
import { benchNode, contextOf, PeerProgram, settingsOf, type Bench } from "./peer-bench.ts";

/** Its cluster MAC is the sources' 02-bf-aa-bb-cc-dd. */
const PRIMARY = ip("170.187.204.221");
const NODES = [
  benchNode(1, ip("12.12.4.101"), [ip("fd12::101")], "02:00:5e:00:00:01"),
  benchNode(2, ip("12.12.4.102"), [ip("fd12::102")], "03:00:5e:00:00:02"),
  benchNode(0xabc, ip("12.12.4.103"), [ip("fd12::103")], "02:00:5e:00:00:03"),
] as const;
const FRAMES = 1500;

const bench = (kind: PeerMacKind, choices: Partial<PeerChoices> = {}, self = 0): Bench => ({
  self: NODES[self] ?? NODES[0],
  nodes: NODES,
  live: [nodeId(1), nodeId(2)],
  macs: { kind, primary: PRIMARY },
  choices: { ...PUBLISHED, ...choices },
});

test("C9: the reasons of the programs are those of the model, in the same order", () => {
  assert.deepEqual(PEER_REASON_NAMES, PEER_REASONS);
});

test("C4, C5, C6: rows 600 … 640 through the programs; on the wire the masked source replaces the cluster MAC", () => {
  const [one, two] = [0, 1].map((self) => new PeerProgram(bench("multicast", {}, self)));
  assert.ok(one && two);
  const arp = "0806 0001 0800 06 04";
  const row600 = `ffffffffffff 02bfaabbccdd ${arp} 0001 02bfaabbccdd 0c0c0465 000000000000 0c0c0466`;
  const row610 = `ffffffffffff 020001bbccdd ${arp} 0001 03bf0c0c0465 0c0c0465 000000000000 0c0c0466`;
  const row620 = `03bf0c0c0465 02bfaabbccdd ${arp} 0002 02bfaabbccdd 0c0c0466 03bf0c0c0465 0c0c0465`;
  const row630 = `03bf0c0c0465 020002bbccdd ${arp} 0002 03bf0c0c0466 0c0c0466 02bfaabbccdd 0c0c0465`;
  const row640 = `02bfaabbccdd 020002bbccdd ${arp} 0002 03bf0c0c0466 0c0c0466 02bfaabbccdd 0c0c0465`;
  const expect = (program: PeerProgram, way: Direction, from: string, to: string): void =>
    assert.equal(hex(program.run(way, unhex(from)).frame), to.replaceAll(" ", ""));
  expect(one, "out", row600, row600.replace("02bfaabbccdd", "020001bbccdd"));
  expect(two, "in", row600.replace("02bfaabbccdd", "020001bbccdd"), row610);
  expect(two, "out", row620, row630);
  expect(one, "in", row630, row640);
  assert.equal(one.countOf(nodeId(2)).in.packets, 1, "frames of node 2");
  assert.equal(two.countOf(nodeId(1)).out.packets, 1, "frames to node 1");
  assert.ok((one.countOf(nodeId(2)).seenMs ?? 0) > 0);
  one.close();
  two.close();
});

test("C8: what an interface of a VLAN sends from the cluster MAC leaves with the masked source; into the stack nothing is done", () => {
  const program = new PeerProgram(bench("masked"));
  const packet = "0800 4500001c00000000 4011 0000 0c0c0465 0c0c0466 0001000200080000";
  const frame = (to: string, from: string): Uint8Array => unhex(`${to}${from}${packet}`);
  for (const to of ["0200000000aa", "021002bbccdd"]) {
    const out = program.runTagged("out", frame(to, "02bfaabbccdd"));
    assert.equal(hex(out.frame), hex(frame(to, "020001bbccdd")));
    assert.equal(out.reason, "mask-source");
  }
  const own = frame("021001bbccdd", "021002bbccdd");
  const into = program.runTagged("in", own);
  assert.equal(hex(into.frame), hex(own));
  assert.equal(into.reason, "pass-other");
  program.close();
});

test("C13: when the agent has not said for a while who lives, no local responder answers", () => {
  const request = unhex(
    "ffffffffffff 02bfaabbccdd 0806 0001 0800 06 04 0001 02bfaabbccdd 0c0c0465 000000000000 0c0c0466",
  );
  const setting = bench("masked", { localResponder: true });
  for (const [more, reason] of [
    [{}, "answer-local"],
    [{ left: true }, "mask-source"],
  ] as const) {
    const program = new PeerProgram({ ...setting, ...more });
    assert.equal(program.run("out", request).reason, reason);
    program.close();
  }
});

test("C8: a leaked MAC is counted, with its source and whom the frame says it is from", () => {
  const program = new PeerProgram(bench("masked"));
  const rest = "0806 0001 0800 06 04 0001 02bfaabbccdd 0c0c0409 000000000000 0c0c0465";
  program.run("in", unhex(`ffffffffffff 02bfaabbccdd ${rest}`));
  program.run("in", unhex(`ffffffffffff 02bfaabbccdd ${rest}`));
  program.run("in", unhex(`021001bbccdd 0200000000aa 88cc ${"00".repeat(46)}`));
  const leaks = program.leaks();
  const cluster = leaks.get("cluster-source");
  assert.equal(cluster?.packets, 2);
  assert.deepEqual([cluster?.mac, cluster?.address], ["02:bf:aa:bb:cc:dd", "12.12.4.9"]);
  assert.ok((cluster?.seenMs ?? 0) > 0);
  const outsider = leaks.get("outsider");
  assert.deepEqual([outsider?.mac, outsider?.address], ["02:00:00:00:00:aa", undefined]);
  assert.equal(leaks.get("own-source"), undefined);
  program.close();
});

const CHOICES: readonly Partial<PeerChoices>[] = [
  {},
  { rewrite: "initiator" },
  { recognise: "source" },
  { localResponder: true },
  { learnFromRequests: false },
  { learnFromRequests: false, sourceCheck: true },
  { learnFromRequests: false, sourceCheck: true, rewrite: "initiator", recognise: "source" },
];

/** Makes frames around the interesting values: what members, outsiders and nobody has. */
class FrameMaker {
  readonly #prng: Prng;
  readonly #macs: readonly string[];

  constructor(prng: Prng, setting: Bench) {
    this.#prng = prng;
    const settings = NODES.map((self) => settingsOf({ ...setting, self }));
    const masked = NODES.flatMap(({ id }) => [maskedMac(id, PRIMARY), peerMac(id, PRIMARY)]);
    const all = settings.flatMap((each) => [
      ...each.dedicated,
      each.clusterMac,
      each.clusterMac,
      each.outsiderSource,
      each.peerSource,
    ]);
    this.#macs = [
      ...[...all, ...masked].map((each) => hex(macBytes(each))),
      ...["ffffffffffff", "3333ff000102", "0200000000aa", "03bf0a0b0c0d", "020009bbccdd"],
    ];
  }

  #one<T>(list: readonly T[]): T {
    const chosen = list[this.#prng.below(list.length)];
    assert.ok(chosen !== undefined);
    return chosen;
  }

  #mac = (): string => this.#one(this.#macs);
  #ip4 = (): string =>
    hex(
      ipBytes(this.#one([...NODES.map(({ address }) => address), ip("12.12.4.9"), ip("0.0.0.0")])),
    );
  #ip6 = (): string =>
    hex(
      ipBytes(
        this.#one([
          ...NODES.flatMap(({ addresses }) => addresses),
          ip("fe80::1"),
          ip("fd12::9"),
          ip("::"),
        ]),
      ),
    );

  next(): Uint8Array {
    const head = `${this.#mac()}${this.#mac()}`;
    switch (this.#prng.below(5)) {
      case 0:
        return unhex(
          `${head}0800 4500001c00000000 4011 0000 ${this.#ip4()}${this.#ip4()} 0001000200080000`,
        );
      case 1:
        return unhex(
          `${head}86dd 60000000 0008 11 40 ${this.#ip6()}${this.#ip6()} 0001000200080000`,
        );
      case 2:
        return this.#damaged(this.#arp(head));
      case 3:
        return this.#damaged(this.#nd(head));
      default:
        return unhex(`${head}${this.#one(["88cc", "8100", "0806", "86dd"])}${"00".repeat(46)}`);
    }
  }

  #arp(head: string): Uint8Array {
    const operation = this.#one(["0001", "0001", "0002", "0002", "0003"]);
    const macs = [this.#mac(), this.#mac()];
    return unhex(
      `${head}0806 00010800 0604 ${operation} ${macs[0]}${this.#ip4()}${macs[1]}${this.#ip4()}`,
    );
  }

  #nd(head: string): Uint8Array {
    const [source, destination] = [unhex(this.#ip6()), unhex(this.#ip6())];
    const type = this.#one(["87", "88", "87", "88", "86", "89"]);
    const option = this.#one(["0101", "0201", type === "87" ? "0101" : "0201"]);
    const second = type === "89" ? this.#ip6() : "";
    const longer = this.#prng.chance(0.2) ? "0e01010203040506" : "";
    const body = unhex(
      `${type}000000 60000000 ${this.#ip6()} ${second} ${option}${this.#mac()}${longer}`,
    );
    const sum = transportChecksum({ source, destination }, 58, body);
    body.set([sum >>> 8, sum & 0xff], 2);
    const length = body.byteLength.toString(16).padStart(4, "0");
    return unhex(
      `${head}86dd 60000000 ${length} 3aff ${hex(source)}${hex(destination)}${hex(body)}`,
    );
  }

  /** Now and then a byte is another one, or the end is missing. */
  #damaged(frame: Uint8Array): Uint8Array {
    const at = 12 + this.#prng.below(frame.byteLength - 12);
    if (this.#prng.chance(0.1)) frame[at] = (frame[at] ?? 0) ^ 1;
    return this.#prng.chance(0.05) ? frame.subarray(0, 54) : frame;
  }
}

function compare(
  kind: PeerMacKind,
  choices: Partial<PeerChoices>,
  seed: number,
): Set<PeerReason | PeerLeak> {
  const reached = new Set<PeerReason | PeerLeak>();
  const setting = bench(kind, choices, seed % NODES.length);
  const program = new PeerProgram(setting);
  const context: PeeringContext = contextOf(setting);
  const prng = new Prng(seed);
  const frames = new FrameMaker(prng, setting);
  try {
    for (let index = 0; index < FRAMES; index++) {
      const frame = frames.next();
      const way: Direction = prng.chance(0.5) ? "in" : "out";
      const where = `${kind} ${JSON.stringify(choices)} seed ${seed} ${way}: ${hex(frame)}`;
      const outcome = program.run(way, frame);
      const expected = frame.slice();
      const { action, reason, leak } = (way === "in" ? arrive : depart)(expected, context);
      assert.equal(outcome.reason, reason, where);
      assert.equal(outcome.action, action, where);
      if (action !== "drop") assert.equal(hex(outcome.frame), hex(expected), where);
      assert.deepEqual(outcome.leaks, leak === undefined ? [] : [leak], where);
      reached.add(reason);
      if (leak !== undefined) reached.add(leak);
    }
  } finally {
    program.close();
  }
  return reached;
}

test("C1 … C15: programs and model agree on random frames, for every kind of MAC and choice", () => {
  const reached = new Set<PeerReason | PeerLeak>();
  let seed = 1;
  for (const kind of PEER_MAC_KINDS) {
    for (const choices of CHOICES) {
      for (const reason of compare(kind, choices, seed++)) reached.add(reason);
    }
  }
  const missing = [...PEER_REASONS, ...PEER_LEAKS].filter((reason) => !reached.has(reason));
  assert.deepEqual(missing, [], "the generator reaches every reason");
});
