// The egress program with real neighbours: what a node says in the name of a VIP is told with the cluster MAC, comes from the
// masked address, and no switch learns where a cluster MAC is; frames to the node itself come in again.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { ip, ipBytes, macBytes, macFromBytes, type MacAddress } from "#base/address.ts";
import { clusterMac, maskedMac, type DeliveryMethod } from "#base/delivery.ts";
import { nodeId } from "#base/ids.ts";
import type { Tables } from "#core/steering/tables.ts";
import { attachedMask } from "#driver/bpf/attachment.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { AcceptLease, AnswerLease } from "#driver/bpf/lease.ts";
import { netdev } from "#driver/bpf/netdev.ts";
import { PacketSocket } from "#driver/host/packet-socket.ts";
import { encodeEthernet, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "#wire/ethernet.ts";
import { internetChecksum } from "#wire/ipv4-checksum.ts";
import { SteerSegment, type SteerHost } from "./steer-segment.ts";

const VIP4 = ip("10.77.0.100");
const VIP6 = ip("fd77::100");
const VIPS = [VIP4, VIP6] as const;
const SELF = nodeId(0x0a1);
const MASKED = maskedMac(SELF, VIP4);
const LEASE_NS = 3_600_000_000_000n;
const FRAME_LIMIT_MS = 5000;

let segment: SteerSegment;
let node: SteerHost;
let client: SteerHost;
let datapath: Datapath;
let lease: AnswerLease;
let acceptLease: AcceptLease;
let published = 0;

const tables = (method: DeliveryMethod): Tables => ({
  version: { epoch: 1, counter: ++published, master: SELF },
  hashKey: [1, 2],
  hash: "keyed",
  delivery: { method, primary: VIP4 },
  nodes: [{ id: SELF, mac: node.mac }],
  vips: [...VIPS],
  groups: [],
});

function open(hook: "tc" | "xdp"): void {
  datapath = node.run(() => Datapath.open({ interface: "eth0", self: SELF, hook }));
  lease = new AnswerLease(datapath.stateFd);
  lease.renew(process.hrtime.bigint() + LEASE_NS);
  // what peers send on is answered only under it (docs/adr/0020)
  acceptLease = new AcceptLease(datapath.stateFd);
  acceptLease.renew(process.hrtime.bigint() + LEASE_NS);
}

beforeEach(() => {
  segment = new SteerSegment("mask");
  node = segment.addHost("mask", 1);
  client = segment.addHost("mask", 3);
});

afterEach(() => {
  lease.close();
  acceptLease.close();
  datapath.close();
  node.run(() => Datapath.teardown("eth0"));
  segment.remove();
});

/** As an interface node has them: after the egress program is there. */
function placeVips(): void {
  node.sysctl("net.ipv4.conf.eth0.arp_announce", 2);
  node.netns.ip("addr", "add", `${VIP4}/32`, "dev", "eth0", "scope", "host");
  node.netns.ip("addr", "add", `${VIP6}/128`, "dev", "eth0", "nodad", "preferred_lft", "0");
}

/** What the client makes of a question for a VIP: its kernel verifies the answer's checksum. */
function learned(vip: string): string | undefined {
  client.netns.ip("neigh", "flush", "all");
  // the echo itself may be refused: what counts is who has the VIP
  client.netns.exec("sh", "-c", `ping -n -c1 -W1 ${vip} >/dev/null 2>&1 || true`);
  const text = client.netns.ip("neigh", "show", "to", vip, "dev", "eth0");
  return /lladdr (\S+)/.exec(text)?.[1];
}

/** Frames that reach the client while something is done, until one is as wanted. */
function catches(etherType: number, act: () => void, wanted: (frame: Uint8Array) => boolean) {
  const socket = client.run(() => PacketSocket.open(netdev("eth0").ifindex, etherType));
  try {
    act();
    for (const end = performance.now() + FRAME_LIMIT_MS; performance.now() < end;) {
      const frame = socket.receive(FRAME_LIMIT_MS);
      if (frame !== undefined && wanted(frame)) return frame;
    }
    return assert.fail("the frame did not come");
  } finally {
    socket.close();
  }
}

const sourceOf = (frame: Uint8Array): MacAddress => macFromBytes(frame.subarray(6, 12));
const has = (frame: Uint8Array, offset: number, bytes: Uint8Array): boolean =>
  Buffer.from(frame.subarray(offset, offset + bytes.byteLength)).equals(bytes);
const pingFrom = (vip: string, target: string) => (): void => {
  node.netns.exec("sh", "-c", `ping -n -c1 -W1 -I ${vip} ${target} >/dev/null 2>&1 || true`);
};

for (const hook of ["tc", "xdp"] as const) {
  test(`A13: with ${hook}, clients are told the method's MAC by ARP and ND, and it can change`, () => {
    open(hook);
    datapath.publish(tables("forward"));
    placeVips();
    for (const vip of VIPS) assert.equal(learned(vip), node.mac);
    for (const method of ["unicast", "multicast", "igmp", "unicast"] as const) {
      datapath.publish(tables(method));
      for (const vip of VIPS) assert.equal(learned(vip), clusterMac(method, VIP4), method);
    }
    datapath.publish(tables("forward"));
    for (const vip of VIPS) assert.equal(learned(vip), node.mac);
    assert.doesNotMatch(segment.learnedMacs(), /0[23]:bf:|01:00:5e:7f/);
  });
}

test("A13: ARP answers and packets of a VIP come from the masked address, others from the node's own", () => {
  open("tc");
  datapath.publish(tables("multicast"));
  placeVips();
  const told = macBytes(clusterMac("multicast", VIP4));
  const answer = catches(
    ETHERTYPE_ARP,
    () => learned(VIP4),
    (frame) => has(frame, 28, ipBytes(VIP4)) && has(frame, 20, Uint8Array.of(0, 2)),
  );
  assert.equal(sourceOf(answer), MASKED);
  assert.ok(has(answer, 22, told), "the sender's address in ARP");
  for (const [etherType, offset, vip, target] of [
    [ETHERTYPE_IPV4, 26, VIP4, "10.77.0.3"],
    [ETHERTYPE_IPV6, 22, VIP6, "fd77::3"],
  ] as const) {
    const isFrom = (address: string) => (frame: Uint8Array) =>
      has(frame, offset, ipBytes(ip(address)));
    const ofVip = catches(etherType, pingFrom(vip, target), isFrom(vip));
    assert.equal(sourceOf(ofVip), MASKED, vip);
    const own = target.replace(/3$/, "1");
    assert.equal(sourceOf(catches(etherType, pingFrom(own, target), isFrom(own))), node.mac);
  }
  const fdb = segment.learnedMacs();
  assert.match(fdb, new RegExp(MASKED));
  assert.doesNotMatch(fdb, /03:bf:/);
});

test("A13: a VIP that asks for a neighbour tells the cluster MAC as well", () => {
  open("tc");
  datapath.publish(tables("unicast"));
  placeVips();
  client.netns.ip("neigh", "flush", "all");
  node.netns.ip("neigh", "flush", "all");
  pingFrom(VIP6, "fd77::3")();
  const seen = client.netns.ip("neigh", "show", "to", VIP6, "dev", "eth0");
  assert.match(seen, new RegExp(`lladdr ${clusterMac("unicast", VIP4)}`));
});

test("A15: a frame to the node's own MAC is turned round and comes in, and goes nowhere else", () => {
  open("tc");
  datapath.publish(tables("unicast"));
  client.netns.exec("ping", "-n", "-c1", "-W1", "10.77.0.1"); // both know each other's MAC
  const echo = Buffer.alloc(28);
  echo.set([0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1]);
  echo.set(ipBytes(ip("10.77.0.3")), 12);
  echo.set(ipBytes(ip("10.77.0.1")), 16);
  echo.writeUInt16BE(internetChecksum(echo.subarray(0, 20)), 10);
  echo.set([8, 0, 0, 0, 0x77, 0x77, 0, 9], 20);
  echo.writeUInt16BE(internetChecksum(echo.subarray(20)), 22);
  const source = Uint8Array.of(6, 0x50, 0x4e, 1, 0, 2);
  const header = { destination: macBytes(node.mac), source, etherType: ETHERTYPE_IPV4 };
  const reply = catches(
    ETHERTYPE_IPV4,
    () =>
      node.run(() => {
        const socket = PacketSocket.open(netdev("eth0").ifindex);
        assert.equal(socket.send(encodeEthernet(header, echo)), undefined);
        socket.close();
      }),
    (frame) => has(frame, 23, Uint8Array.of(1)) && has(frame, 38, Uint8Array.of(0x77, 0x77)),
  );
  assert.equal(reply[34], 0, "the answer, not the question that went out");
  assert.doesNotMatch(segment.learnedMacs(), /06:50:4e/);
});

test("A13: the next agent's egress program takes the place of the one before, which outlives its agent", () => {
  open("tc");
  datapath.publish(tables("igmp"));
  placeVips();
  const before = node.run(() => attachedMask(netdev("eth0").ifindex));
  assert.ok(before !== undefined);
  lease.close();
  acceptLease.close();
  datapath.close();
  assert.equal(learned(VIP4), clusterMac("igmp", VIP4), "without an agent");
  open("tc");
  assert.equal(datapath.reused, true);
  const after = node.run(() => attachedMask(netdev("eth0").ifindex));
  assert.ok(after !== undefined && after !== before);
  assert.equal(learned(VIP4), clusterMac("igmp", VIP4), "with the maps that were there");
  node.run(() => Datapath.teardown("eth0"));
  assert.equal(
    node.run(() => attachedMask(netdev("eth0").ifindex)),
    undefined,
  );
});
