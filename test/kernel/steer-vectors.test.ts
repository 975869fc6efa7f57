// The packet program against the vectors and the model of core/steering: both hooks, every vector, and more than
// 100 000 random frames. A difference names seed and frame.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ipBytes, mac, macBytes } from "#base/address.ts";
import { Prng } from "#base/prng.ts";
import { FragmentMemory } from "#core/steering/fragments.ts";
import { indexTables } from "#core/steering/indexed-tables.ts";
import { steer, type PipelineContext } from "#core/steering/pipeline.ts";
import { actionOf, REASONS, type Reason } from "#core/steering/reasons.ts";
import { randomFrame, randomScenario } from "#core/steering/testing/arbitrary.ts";
import { SELF, type Known } from "#core/steering/testing/vector.ts";
import { VECTORS } from "#core/steering/testing/vectors.ts";
import { REASON_NAMES } from "#driver/bpf/abi.gen.ts";
import { check, inNetns, libc, O_CLOEXEC } from "#driver/libc.ts";
import { hex, unhex } from "#wire/testing/hex.ts";
import { TestNetns } from "./netns.ts";
import { SteerProgram } from "./steer-program.ts";

const SCENARIOS = 220;
const FRAMES = 500;
const HOOKS = ["xdp", "tc"] as const;
const TCP_REPAIR = 19;
const IP_TRANSPARENT = 19;
const IPV6_TRANSPARENT = 75;

let netns: TestNetns;
before(() => {
  netns = new TestNetns("steer-vectors");
  for (const family of ["-4", "-6"]) netns.ip(family, "route", "add", "default", "dev", "lo");
});
after(() => netns.remove());

function socketAddress(address: Uint8Array, port: number): Buffer {
  const isIpv4 = address.byteLength === 4;
  const bytes = Buffer.alloc(isIpv4 ? 16 : 28);
  bytes.writeUInt16LE(isIpv4 ? 2 : 10, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address, isIpv4 ? 4 : 8);
  return bytes;
}

/** An established connection in the kernel's table, made without a packet (TCP_REPAIR). */
function establish({ client, server }: Known): number {
  const [local, remote] = [ipBytes(server.ip), ipBytes(client.ip)];
  const isIpv4 = local.byteLength === 4;
  const fd = check(libc.socket(isIpv4 ? 2 : 10, 1 | O_CLOEXEC, 0), "open a TCP socket");
  const one = new Uint8Array(Uint32Array.of(1).buffer);
  check(libc.setsockopt(fd, 6, TCP_REPAIR, one, 4), "set TCP_REPAIR");
  const [level, option] = isIpv4 ? [0, IP_TRANSPARENT] : [41, IPV6_TRANSPARENT];
  check(libc.setsockopt(fd, level, option, one, 4), "set IP_TRANSPARENT");
  const from = socketAddress(local, server.port);
  check(libc.bind(fd, from, from.byteLength), "bind");
  const to = socketAddress(remote, client.port);
  check(libc.connect(fd, to, to.byteLength), "connect");
  return fd;
}

test("B5: the reasons of the program are those of the model, in the same order", () => {
  assert.deepEqual(REASON_NAMES, REASONS);
});

for (const hook of HOOKS) {
  test(`B5, B6: every steering vector through the ${hook} program`, () => {
    inNetns(netns.path, () => {
      const program = new SteerProgram(hook, SELF.id, mac(SELF.mac));
      try {
        for (const vector of VECTORS) {
          const sockets = vector.known.map(establish);
          program.prepare(vector.tables, vector.leased);
          for (const step of vector.steps) {
            if (!program.accepts(step.frame)) continue;
            const outcome = program.run(step.frame);
            assert.equal(outcome.reason, step.reason, vector.name);
            assert.equal(outcome.action, actionOf(step.reason), vector.name);
            const head =
              step.header === undefined ? step.frame.subarray(0, 12) : unhex(step.header);
            assert.equal(hex(outcome.frame.subarray(0, 12)), hex(head), vector.name);
            assert.equal(
              hex(outcome.frame.subarray(12)),
              hex(step.frame.subarray(12)),
              vector.name,
            );
          }
          for (const fd of sockets) libc.close(fd);
        }
      } finally {
        program.close();
      }
    });
  });

  test(`B5, B12: the ${hook} program and the model agree on ${SCENARIOS * FRAMES} random frames`, () => {
    const reached = new Set<Reason>();
    const program = new SteerProgram(hook, SELF.id, mac(SELF.mac));
    try {
      for (let seed = 1; seed <= SCENARIOS; seed++) compare(program, seed, reached);
    } finally {
      program.close();
    }
    assert.deepEqual(
      REASONS.filter((reason) => !reached.has(reason)),
      [],
      "the generator reaches every reason",
    );
  });
}

function compare(program: SteerProgram, seed: number, reached: Set<Reason>): void {
  const prng = new Prng(seed);
  const { tables, leased } = randomScenario(prng);
  program.prepare(tables, leased);
  const context: PipelineContext = {
    tables: indexTables(tables),
    self: SELF.id,
    mac: macBytes(mac(SELF.mac)),
    leased,
    knows: () => false,
    fragments: new FragmentMemory(65_536),
  };
  for (let count = 0; count < FRAMES; count++) {
    const frame = randomFrame(prng);
    if (!program.accepts(frame)) continue;
    const outcome = program.run(frame);
    const original = hex(frame);
    const verdict = steer(frame, context);
    const where = `seed ${seed}, frame ${count}: ${original}`;
    assert.equal(outcome.reason, verdict.reason, where);
    assert.equal(outcome.action, verdict.action, where);
    assert.equal(hex(outcome.frame), hex(frame), where);
    reached.add(verdict.reason);
  }
}
