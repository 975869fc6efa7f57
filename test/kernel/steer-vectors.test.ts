// The packet program against the vectors and the model of core/steering: both hooks, every vector, and more than
// 100 000 random frames, some of them of connections that the kernel knows. A difference names seed and frame.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ip, ipBytes, mac, macBytes } from "#base/address.ts";
import { Prng } from "#base/prng.ts";
import { FragmentMemory } from "#core/steering/fragments.ts";
import { indexTables } from "#core/steering/indexed-tables.ts";
import type { Flow } from "#core/steering/packet.ts";
import { steer, type PipelineContext } from "#core/steering/pipeline.ts";
import { actionOf, REASONS, type Reason } from "#core/steering/reasons.ts";
import { randomFrame, randomScenario } from "#core/steering/testing/arbitrary.ts";
import { SELF, tunnelsOf, type Known } from "#core/steering/testing/vector.ts";
import { VECTORS } from "#core/steering/testing/vectors.ts";
import { REASON_NAMES } from "#driver/bpf/abi.gen.ts";
import type { Hook } from "#driver/bpf/types.ts";
import { inNetns, libc } from "#driver/libc.ts";
import { PROTOCOL_UDP } from "#wire/ipv4.ts";
import { hex, unhex } from "#wire/testing/hex.ts";
import { TestNetns } from "./netns.ts";
import { establish, listenAt, type Connection } from "./steer-connections.ts";
import { SteerProgram, type HeldRecord } from "./steer-program.ts";

const SCENARIOS = 220;
const FRAMES = 500;
const HOOKS = ["xdp", "tc"] as const;
/** Of every so many scenarios, one has connections in the kernel's table. */
const WITH_CONNECTIONS = 2;
/** More of a frame no ICMP error quotes. */
const LONGEST_TOLD = 14 + 1280;
const LISTENING = { address: ip("10.0.0.100"), port: 80 };

let netns: TestNetns;
before(() => {
  netns = new TestNetns("steer-vectors");
  for (const family of ["-4", "-6"]) netns.ip(family, "route", "add", "default", "dev", "lo");
});
after(() => netns.remove());

const connectionOf = ({ client, server }: Known): Connection => ({
  client: ipBytes(client.ip),
  clientPort: client.port,
  server: ipBytes(server.ip),
  serverPort: server.port,
});

test("B5: the reasons of the program are those of the model, in the same order", () => {
  assert.deepEqual(REASON_NAMES, REASONS);
});

for (const hook of HOOKS) {
  test(`B5, B6: every steering vector through the ${hook} program`, () => {
    inNetns(netns.path, () => {
      const program = new SteerProgram(hook, SELF.id, mac(SELF.mac));
      try {
        for (const vector of VECTORS) {
          const sockets = vector.known.map((known) => establish(connectionOf(known)));
          program.prepare(vector.tables, vector);
          for (const step of vector.steps) {
            if (!program.accepts(step.frame)) continue;
            const outcome = program.run(step.frame);
            assert.equal(outcome.reason, step.reason, vector.name);
            assert.equal(outcome.action, actionOf(step.reason), vector.name);
            if (outcome.held !== undefined) assertHeld(outcome.held, step, vector.name);
            if (step.becomes !== undefined) {
              assert.equal(hex(flowless(outcome.frame)), hex(flowless(step.becomes)), vector.name);
              continue;
            }
            const unchanged = rewritten(hook, step.frame, step.toHost === true).subarray(0, 12);
            const head = step.header === undefined ? unchanged : unhex(step.header);
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
    inNetns(netns.path, () => {
      const seen = { compared: 0, known: 0, reached: new Set<Reason>() };
      const program = new SteerProgram(hook, SELF.id, mac(SELF.mac));
      try {
        for (let seed = 1; seed <= SCENARIOS; seed++) compare(program, seed, seen);
      } finally {
        program.close();
      }
      assert.ok(seen.compared >= 100_000, `${seen.compared} frames were compared`);
      assert.ok(seen.known >= 500, `${seen.known} frames were of connections that are known`);
      assert.deepEqual(
        REASONS.filter((reason) => !seen.reached.has(reason)),
        [],
        "the generator reaches every reason",
      );
    });
  });
}

/** XDP tells the stack by the destination that a frame is for this host; tc sets the packet's type, which is not seen. */
function rewritten(hook: Hook, frame: Uint8Array, toHost: boolean): Uint8Array {
  if (hook === "tc" || !toHost) return frame;
  const copy = frame.slice();
  copy.set(macBytes(mac(SELF.mac)));
  return copy;
}

/** The agent gets the frame whole, and told why it waits. */
function assertHeld(
  held: HeldRecord,
  { reason, frame }: { readonly reason: Reason; readonly frame: Uint8Array },
  where: string,
): void {
  assert.equal(held.reason, reason, where);
  const quoted = reason === "drop-too-big" ? frame.subarray(0, LONGEST_TOLD) : frame;
  assert.equal(hex(held.frame), hex(quoted), where);
}

interface Seen {
  compared: number;
  /** How often the model was told that a connection is known. */
  known: number;
  readonly reached: Set<Reason>;
}

/** Exactly FRAMES frames that the hook takes. */
function framesOf(program: SteerProgram, prng: Prng): Uint8Array[] {
  const frames: Uint8Array[] = [];
  while (frames.length < FRAMES) {
    const frame = randomFrame(prng);
    if (program.accepts(frame)) frames.push(frame);
  }
  return frames;
}

const textOf = (flow: Flow): string =>
  `${hex(flow.source)} ${flow.sourcePort} ${hex(flow.destination)} ${flow.destinationPort}`;

/** Clients and VIPs as the generator has them: others (multicast, say) cannot have a connection. */
const CONNECTABLE = /^(c00002|20010db80001)\w* [1-9]\d* (0a00006[45]|20010db8\w*10[01]) [1-9]/;

/** Half of the connections that the model asks about while it knows none of them. */
function connectionsAsked(
  frames: readonly Uint8Array[],
  context: PipelineContext,
  prng: Prng,
): Map<string, Connection> {
  const asked = new Map<string, Connection>();
  const knows = (flow: Flow): boolean => {
    const text = textOf(flow);
    if (CONNECTABLE.test(text) && !asked.has(text) && prng.chance(0.5)) {
      asked.set(text, {
        client: flow.source.slice(),
        clientPort: flow.sourcePort,
        server: flow.destination.slice(),
        serverPort: flow.destinationPort,
      });
    }
    return false;
  };
  const trial = {
    ...withSessions({ ...context, knows }),
    fragments: new FragmentMemory(65_536),
  };
  for (const frame of frames) steer(frame.slice(), trial);
  return asked;
}

/** UDP sessions are remembered (B12); what `knows` says is about TCP. */
function withSessions(context: PipelineContext): PipelineContext {
  const sessions = new Set<string>();
  return {
    ...context,
    knows: (flow) =>
      flow.protocol === PROTOCOL_UDP ? sessions.has(textOf(flow)) : context.knows(flow),
    noteSession: (flow) => void sessions.add(textOf(flow)),
  };
}

/** Where the packet program puts a slot's number as it counts them, which the model does not know: the source port of what it sends by Geneve. */
function flowless(frame: Uint8Array): Uint8Array {
  const isGeneve = frame[12] === 8 && frame[23] === 17 && frame[36] === 0x17 && frame[37] === 0xc1;
  if (!isGeneve || hex(frame.subarray(26, 30)) !== "0a000001" || (frame[34] ?? 0) < 0xc0)
    return frame;
  const copy = frame.slice();
  copy.fill(0, 34, 36);
  return copy;
}

function compare(program: SteerProgram, seed: number, seen: Seen): void {
  const prng = new Prng(seed);
  const scenario = randomScenario(prng);
  const { tables, leased, accepting } = scenario;
  program.prepare(tables, scenario);
  const frames = framesOf(program, prng);
  const nobody: PipelineContext = {
    tables: indexTables(tables),
    self: SELF.id,
    mac: macBytes(mac(SELF.mac)),
    leased,
    accepting,
    knows: () => false,
    noteSession: () => {},
    fragments: new FragmentMemory(65_536),
    canHold: (_, length) => length <= 2048,
    tunnels: tunnelsOf(scenario.tunnels),
  };
  const connected = seed % WITH_CONNECTIONS === 0;
  const connections = connected
    ? connectionsAsked(frames, nobody, prng)
    : new Map<string, Connection>();
  const sockets = connected ? [listenAt(ipBytes(LISTENING.address), LISTENING.port)] : [];
  for (const connection of connections.values()) sockets.push(establish(connection));
  const knows = (flow: Flow): boolean => {
    const known = connections.has(textOf(flow));
    if (known) seen.known++;
    return known;
  };
  const context = withSessions({ ...nobody, knows });
  for (const [index, frame] of frames.entries()) {
    const where = `seed ${seed}, frame ${index}: ${hex(frame)}`;
    compareFrame(program, frame, context, { seen, where });
  }
  for (const fd of sockets) libc.close(fd);
}

function compareFrame(
  program: SteerProgram,
  frame: Uint8Array,
  context: PipelineContext,
  { seen, where }: { readonly seen: Seen; readonly where: string },
): void {
  const outcome = program.run(frame);
  const verdict = steer(frame, context);
  assert.equal(outcome.reason, verdict.reason, where);
  assert.equal(outcome.action, verdict.action, where);
  const left = verdict.frame ?? frame;
  if (outcome.held !== undefined)
    assertHeld(outcome.held, { reason: verdict.reason, frame: left }, where);
  const toHost = verdict.action === "pass" && verdict.toHost;
  const expected = rewritten(program.hook, left, toHost);
  assert.equal(hex(flowless(outcome.frame)), hex(flowless(expected)), where);
  seen.reached.add(verdict.reason);
  seen.compared++;
}
