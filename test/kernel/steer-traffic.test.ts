// Real TCP through the packet program: a client, two nodes, one bridge. Node 1 is the interface node; replies go
// straight to the client (B6). Slots change hands while connections live (B4).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { NO_EXCEPTIONS, type Tables } from "#core/steering/tables.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { libc } from "#driver/libc.ts";
import { accept, carry, connect, listen, SteerSegment, type SteerHost } from "./steer-segment.ts";

const VIPS = ["10.77.0.100", "fd77::100"] as const;
const PORT = 8080;
const SLOTS = 16;

let segment: SteerSegment;
let client: SteerHost;
let nodes: SteerHost[];
let datapaths: Datapath[];
let published = 0;

/** All slots belong to one node, and belonged to others before. */
function publish(owner: number, former: readonly number[]): void {
  published++;
  const chain = [0, 1, 2].map((index) => former[index] ?? 0);
  const owners = new Uint16Array(SLOTS).fill(owner);
  const tables: Tables = {
    version: { epoch: 1, counter: published, master: nodeId(1) },
    hashKey: [0x1234, 0x5678],
    hash: "keyed",
    delivery: { method: "forward", primary: undefined },
    nodes: nodes.map(({ mac }, index) => ({ id: nodeId(index + 1), mac })),
    vips: VIPS.map(ip),
    groups: [
      {
        name: "web",
        policy: "weighted",
        holds: false,
        services: VIPS.map((vip) => ({ protocol: "tcp", vip: ip(vip), port: PORT })),
        owners,
        former: Uint16Array.from(Array.from({ length: SLOTS }, () => chain).flat()),
        home: owners,
        udpIdleMs: 0,
        exceptions: NO_EXCEPTIONS,
      },
    ],
  };
  for (const datapath of datapaths) datapath.publish(tables);
}

before(() => {
  const part = "steer-traffic";
  segment = new SteerSegment(part);
  nodes = [1, 2].map((number) => segment.addHost(part, number));
  client = segment.addHost(part, 3);
  for (const { netns } of nodes) {
    for (const vip of VIPS) netns.ip("addr", "add", vip, "dev", "lo", "nodad");
  }
  for (const node of nodes) {
    node.sysctl("net.ipv4.conf.all.arp_ignore", 1);
    node.sysctl("net.ipv4.conf.all.arp_announce", 2);
  }
  const [first] = nodes;
  assert.ok(first);
  for (const vip of VIPS) {
    client.netns.ip("neigh", "add", vip, "lladdr", first.mac, "nud", "permanent", "dev", "eth0");
  }
  datapaths = nodes.map((node, index) =>
    node.run(() => Datapath.open({ interface: "eth0", self: nodeId(index + 1) })),
  );
});

after(() => {
  nodes.forEach((node, index) => {
    datapaths[index]?.close();
    node.run(() => Datapath.teardown("eth0"));
  });
  segment.remove();
});

const passed = (node: number): number =>
  datapaths[node - 1]?.counters().reasons["pass-local"].packets ?? 0;
const sentOn = (node: number, reason: "forward-owner" | "forward-former"): number =>
  datapaths[node - 1]?.counters().reasons[reason].packets ?? 0;

test("B5: on veth the program runs at tc ingress by itself", () => {
  assert.deepEqual(
    datapaths.map(({ hook, reused }) => ({ hook, reused })),
    [
      { hook: "tc", reused: false },
      { hook: "tc", reused: false },
    ],
  );
});

for (const vip of VIPS) {
  test(`B4, B5, B6: connections to ${vip} stay where they are while their slot changes hands`, () => {
    const [first, second] = nodes;
    assert.ok(first && second);
    publish(2, []);
    const listeners = [first, second].map((node) => listen(node, vip, PORT));
    const [listener1 = -1, listener2 = -1] = listeners;
    const open: number[] = [...listeners];
    try {
      const early = connect(client, vip, PORT);
      const earlyServer = accept(listener2);
      open.push(early, earlyServer);
      assert.equal(carry(early, earlyServer, "to node 2"), "to node 2");
      assert.ok(sentOn(1, "forward-owner") >= 3, "handshake and data went by way of node 1");

      publish(1, [2]);
      const late = connect(client, vip, PORT);
      const lateServer = accept(listener1);
      open.push(late, lateServer);
      assert.equal(carry(late, lateServer, "to node 1"), "to node 1");
      const before = sentOn(1, "forward-former");
      assert.equal(carry(early, earlyServer, "still node 2"), "still node 2");
      assert.equal(carry(earlyServer, early, "and back"), "and back");
      assert.ok(sentOn(1, "forward-former") > before, "by way of the chain");

      publish(2, [1, 2]);
      const secondHop = sentOn(2, "forward-former");
      assert.equal(carry(late, lateServer, "still node 1"), "still node 1");
      assert.ok(sentOn(2, "forward-former") > secondHop, "node 2 sent it back to node 1");
      assert.equal(carry(early, earlyServer, "always node 2"), "always node 2");
    } finally {
      for (const fd of open.toReversed()) libc.close(fd);
    }
  });
}

test("B4: a connection that exists only as a SYN cookie is known to its listener", () => {
  const [, second] = nodes;
  assert.ok(second);
  second.sysctl("net.ipv4.tcp_syncookies", 2);
  publish(2, [1]);
  for (const vip of VIPS) {
    const listener = listen(second, vip, PORT);
    const before = passed(2);
    const [near, far] = [connect(client, vip, PORT), accept(listener)];
    assert.equal(carry(near, far, "cookie"), "cookie");
    assert.ok(passed(2) > before);
    for (const fd of [near, far, listener]) libc.close(fd);
  }
});

test("B14: nodes and groups have their own counters", () => {
  const [counters] = datapaths.map((datapath) => datapath.counters());
  assert.ok(counters);
  assert.deepEqual([...counters.nodes.keys()], [2]);
  assert.equal(counters.nodes.get(nodeId(2))?.packets, counters.reasons["forward-owner"].packets);
  assert.ok((counters.groups.get("web")?.bytes ?? 0) > 0);
});
