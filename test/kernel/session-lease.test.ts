// A16: sessions speak by the lease of the packet program that is on the interface, also when an agent has started with new maps while the
// session server ran (docs/adr/0029).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { SpeakLease } from "#driver/bpf/lease.ts";
import { netdev } from "#driver/bpf/netdev.ts";
import { SessionProgram } from "#driver/bpf/session-program.ts";
import { SteerSegment, type SteerHost } from "./steer-segment.ts";

const LEASE_NS = 3_600_000_000_000n;
const KEY = { vip: ip("10.77.0.100"), port: 80, peer: ip("10.77.0.2"), peerPort: 5000 };
const CONTROL = { clamp: true, guard: true, shield: false, mute: false, committed: 7 };
let segment: SteerSegment;
let node: SteerHost;
let datapath: Datapath;
let program: SessionProgram;

const open = (): Datapath =>
  node.run(() => Datapath.open({ interface: "eth0", self: nodeId(1), hook: "tc" }));

/** What the agent's heart does. */
function heart(act: (lease: SpeakLease) => void): void {
  const lease = new SpeakLease(datapath.stateFd);
  act(lease);
  lease.close();
}

before(() => {
  segment = new SteerSegment("lease");
  node = segment.addHost("lease", 1);
  datapath = open();
  program = node.run(() => SessionProgram.attach(netdev("eth0"), () => {}));
});

after(() => {
  node.run(() => program.detach());
  datapath.close();
  node.run(() => Datapath.teardown("eth0"));
  segment.remove();
});

test("A16: sessions speak while the agent's heart says so, and in a new tenure when it is granted", () => {
  assert.equal(program.right().speaks, false, "no heart yet");
  heart((lease) => lease.renew(process.hrtime.bigint() + LEASE_NS));
  assert.equal(program.right().speaks, true);
  heart((lease) => lease.beginTenure());
  const { speaks, tenure, isAway } = program.right();
  assert.deepEqual({ speaks, isAway }, { speaks: false, isAway: true });
  program.grant(tenure);
  assert.equal(program.right().speaks, true);
  heart((lease) => lease.renew(0n));
  assert.equal(program.right().speaks, false);
});

test("A16: after an agent has started with new maps its leases count, when the sessions have been granted them; their controls stay", () => {
  node.run(() => program.hold(KEY, CONTROL));
  node.run(() => program.follow());
  assert.equal(program.right().isAway, false, "nothing has changed");
  datapath.close();
  node.run(() => Datapath.teardown("eth0"));
  datapath = open();
  heart((lease) => lease.renew(process.hrtime.bigint() + LEASE_NS));
  assert.equal(program.right().speaks, false, "it still looks at the old maps");
  node.run(() => program.follow());
  const { speaks, tenure, isAway } = program.right();
  assert.deepEqual({ speaks, isAway }, { speaks: false, isAway: true });
  program.grant(tenure);
  assert.equal(program.right().speaks, true);
  assert.notEqual(program.wire(KEY), undefined, "it goes on with what it knew");
});
