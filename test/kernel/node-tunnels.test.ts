// The ways to nodes beyond the segment (B11, docs/adr/0022), as a kernel's routes and neighbours have them.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hex } from "#wire/testing/hex.ts";
import { loadConfig } from "#config/load.ts";
import type { ClusterConfig } from "#config/schema.ts";
import { LOWEST_PATH_MTU } from "#base/path-mtu.ts";
import type { NodeTunnel } from "#driver/bpf/tunnel-map.ts";
import { inNetns } from "#driver/libc.ts";
import { Trouble } from "#daemon/trouble.ts";
import { NodeTunnels } from "#daemon/tunnels/node-tunnels.ts";
import { until } from "./host-segment.ts";
import { TestNetns } from "./netns.ts";

const skip = process.getuid?.() === 0 ? false : "namespaces need root";
const ROUTER_MAC = "02:00:00:00:00:fe";
const [SELF, FIRST, SECOND] = [1, 2, 3];
const CONFIG = `cluster: { name: demo, interface: eth0 }
nodes:
  - { name: m1, id: ${SELF}, address: 10.8.0.1 }
  - { name: m2, id: ${FIRST}, address: 10.99.0.12, delivery: ipip }
  - { name: m3, id: ${SECOND}, address: 10.99.0.13, delivery: ipip }
groups:
  - { name: web, services: ["tcp 10.8.0.100:80"] }
`;

function configuration(): ClusterConfig {
  const loaded = loadConfig(CONFIG, "test");
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded.config;
}

describe("ways to nodes beyond the segment", { skip }, () => {
  let netns: TestNetns;
  let router: TestNetns;
  let tunnels: NodeTunnels | undefined;
  let said: (string | undefined)[];
  /** What the packet program was told last. */
  let told: readonly NodeTunnel[];
  let times = 0;
  const of = (id: number): NodeTunnel | undefined => told.find(({ node }) => node === id);
  const isKnown = (id: number): boolean =>
    hex(of(id)?.nextMac ?? new Uint8Array()) === ROUTER_MAC.replaceAll(":", "");
  const route = (...words: readonly string[]): string => netns.ip("route", "replace", ...words);

  function open(config: () => ClusterConfig): NodeTunnels {
    [said, told, times] = [[], [], 0];
    return inNetns(
      netns.path,
      () =>
        new NodeTunnels({
          self: configuration().nodes[0]?.id ?? assert.fail("no node"),
          config,
          datapath: {
            setTunnels: (all) => {
              told = all;
              times += 1;
            },
          },
          trouble: new Trouble({ error: (_fields: unknown, text?: string) => said.push(text) }),
        }),
    );
  }

  before(() => {
    netns = new TestNetns("node-tunnels");
    router = new TestNetns("node-tunnels-router");
    const peer = ["peer", "name", "eth0", "address", ROUTER_MAC, "netns", router.name];
    netns.ip("link", "add", "eth0", "type", "veth", ...peer);
    netns.ip("address", "add", "10.8.0.1/24", "dev", "eth0");
    router.ip("address", "add", "10.8.0.254/24", "dev", "eth0");
    for (const end of [netns, router]) end.ip("link", "set", "eth0", "up");
    route("10.99.0.0/24", "via", "10.8.0.254");
  });
  after(() => {
    tunnels?.close();
    router?.remove();
    netns?.remove();
  });

  for (const kind of ["blackhole", "prohibit", "unreachable"]) {
    test(`B11: a node to which the kernel lets nothing through leaves the others alone (${kind})`, async () => {
      route(kind, "10.99.0.12");
      tunnels = open(configuration);
      try {
        await until("the other is known", () => isKnown(SECOND));
        assert.equal(isKnown(FIRST), false);
        // unreachable is what the kernel says of any host that does not answer: no failure
        const expected = kind === "unreachable" ? [] : [/find the way to 10\.99\.0\.12/];
        assert.equal(said.length, expected.length, said.join("\n"));
        for (const [index, words] of expected.entries()) assert.match(said[index] ?? "", words);
        netns.ip("route", "del", kind, "10.99.0.12");
        await until("it is looked for again", () => isKnown(FIRST));
      } finally {
        tunnels.close();
      }
    });
  }

  test("B11: a neighbour that an operator has set stays as it is, and counts", async () => {
    const way = ["to", "10.8.0.253", "dev", "eth0"];
    netns.ip("neighbour", "replace", ...way, "lladdr", ROUTER_MAC, "nud", "permanent");
    route("10.99.0.13", "via", "10.8.0.253");
    let looks = 0;
    tunnels = open(() => {
      looks += 1;
      return configuration();
    });
    try {
      await until("three looks", () => looks >= 3);
      assert.ok(isKnown(SECOND), "nobody answers ARP there");
      assert.match(netns.ip("neighbour", "show", ...way), /PERMANENT/);
    } finally {
      tunnels.close();
      netns.ip("route", "del", "10.99.0.13", "via", "10.8.0.253");
      netns.ip("neighbour", "del", ...way);
    }
  });

  test("B11: when the first look has failed there is another one", async () => {
    let looks = 0;
    tunnels = open(() => {
      looks += 1;
      assert.ok(looks > 1, "not yet");
      return configuration();
    });
    try {
      assert.deepEqual(told, []);
      assert.match(said[0] ?? "", /not yet/);
      await until("the way is known", () => isKnown(SECOND));
    } finally {
      tunnels.close();
    }
  });

  test("B11: where nobody is beyond the segment, the packet program is told once: an earlier agent may have left ways there", () => {
    const near = configuration();
    const nodes = near.nodes.filter(({ delivery }) => delivery === undefined);
    tunnels = open(() => ({ ...near, nodes }));
    try {
      assert.deepEqual([times, told], [1, []]);
      tunnels.refresh();
      assert.equal(times, 1);
    } finally {
      tunnels.close();
    }
  });

  test("B11: an MTU of the route below what IPv6 needs is not believed; the interface's own is", () => {
    route("10.99.0.12", "via", "10.8.0.254", "mtu", "552");
    tunnels = open(configuration);
    try {
      assert.deepEqual([of(FIRST)?.mtu, of(SECOND)?.mtu], [LOWEST_PATH_MTU, 1500]);
      netns.ip("link", "set", "eth0", "mtu", "1300");
      tunnels.refresh();
      assert.deepEqual([of(FIRST)?.mtu, of(SECOND)?.mtu], [1300, 1300]);
    } finally {
      tunnels.close();
    }
  });
});
