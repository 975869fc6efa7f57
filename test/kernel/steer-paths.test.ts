// B11: by which private path the packet program sends a frame on, held to the table that the agent makes (core/paths/spread.ts).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { pathOf, spreadOver } from "#core/paths/spread.ts";
import { ethernet, ipv4, udp, zeros } from "#core/steering/testing/frames.ts";
import { owned, ROUTER_MAC, SELF } from "#core/steering/testing/vector.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { inNetns } from "#driver/libc.ts";
import { hex } from "#wire/testing/hex.ts";
import { TestNetns } from "./netns.ts";

const PEER = nodeId(2);
const [FIRST, SECOND] = ["02:50:00:00:11:02", "02:50:00:00:22:02"] as const;

let netns: TestNetns;
before(() => {
  netns = new TestNetns("steer-paths");
  netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
  netns.ip("link", "set", "eth0", "address", SELF.mac);
  netns.ip("link", "add", "pa1", "type", "veth", "peer", "name", "pa2");
});
after(() => netns.remove());

const frames = Array.from({ length: 64 }, (_, index) =>
  ethernet(
    { to: SELF.mac, from: ROUTER_MAC },
    0x0800,
    ipv4(
      { source: "192.0.2.7", destination: "10.0.0.100" },
      17,
      udp({ from: 40_000 + index, to: 53 }, zeros(100)),
      {},
    ),
  ),
);

for (const hook of ["tc", "xdp"] as const) {
  test(`B11: ${hook}: frames go by the paths that work, one flow by one path, and by the cluster interface where none does`, () => {
    inNetns(netns.path, () => {
      const datapath = Datapath.open({
        ...{ interface: "eth0", hook, self: SELF.id },
        ...{ arms: [{ interface: "pa1" }, { interface: "pa2" }], paths: 2 },
      });
      try {
        datapath.publish(owned(PEER));
        const link = (name: string): number => datapath.ports.get(name) ?? 0;
        const paths = [
          { mac: mac(FIRST), link: link("pa1") },
          { mac: mac(SECOND), link: link("pa2") },
        ];
        const use = (...working: number[]): Uint8Array => {
          const choices = spreadOver(new Set(working), 2);
          datapath.setPaths({ node: PEER, paths, choices });
          return choices;
        };
        const destinations = (): string[] =>
          frames.map((frame) => {
            const { reason, bytes } = datapath.testRun(frame);
            assert.equal(reason, "forward-owner");
            return hex(bytes.subarray(0, 6));
          });
        const [first, second] = [FIRST, SECOND].map((text) => text.replaceAll(":", ""));

        const direct = destinations();
        assert.equal(new Set(direct).size, 1, "nothing is known of any path");
        const choices = use(1, 2);
        const both = destinations();
        assert.deepEqual(new Set(both), new Set([first, second]));
        assert.deepEqual(destinations(), both, "a flow stays on its path");
        assert.deepEqual([pathOf(choices, 0), pathOf(choices, 1)], [1, 2], "two slots, two paths");
        use(2);
        assert.deepEqual(new Set(destinations()), new Set([second]));
        use(1);
        assert.deepEqual(new Set(destinations()), new Set([first]));
        use();
        assert.deepEqual(destinations(), direct);
        use(1, 2);
        assert.deepEqual(destinations(), both, "each goes home");
      } finally {
        datapath.close();
        for (const name of ["eth0", "pa1", "pa2"]) Datapath.teardown(name);
      }
    });
  });
}

test("B11: without private paths the program has no room for them, and none is used", () => {
  inNetns(netns.path, () => {
    const datapath = Datapath.open({ interface: "eth0", hook: "tc", self: SELF.id });
    try {
      datapath.publish(owned(PEER));
      const [frame] = frames;
      assert.ok(frame);
      const before = hex(datapath.testRun(frame).bytes.subarray(0, 6));
      const paths = [{ mac: mac(FIRST), link: 1 }];
      datapath.setPaths({ node: PEER, paths, choices: spreadOver(new Set([1]), 1) });
      assert.equal(hex(datapath.testRun(frame).bytes.subarray(0, 6)), before);
    } finally {
      datapath.close();
      Datapath.teardown("eth0");
    }
  });
});
