// Queriers of groups as a real bridge is one: heard on the interfaces that are the cluster's, and on no other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Queriers } from "#core/peering/queriers.ts";
import { QuerierWatch } from "#driver/host/querier-watch.ts";
import { inNetns } from "#driver/libc.ts";
import { TestNetns } from "./netns.ts";

const SWITCH4 = "10.0.0.254";
const SWITCH6 = "fe80::fe";
const LIMIT_MS = 30_000;
const skip = process.getuid?.() === 0 ? false : "namespaces need root";

async function heardBy(watch: QuerierWatch): Promise<Queriers> {
  let heard: Queriers = {};
  const limit = performance.now() + LIMIT_MS;
  while (heard.igmp === undefined || heard.mld === undefined) {
    assert.ok(performance.now() < limit, `heard only ${JSON.stringify(heard)}`);
    heard = { ...heard, ...watch.heard() };
    await pause(50);
  }
  return heard;
}

test(
  "C9: a bridge that is querier of IGMP and MLD is heard with both, on the interface that is listened at",
  { skip },
  async () => {
    const [host, bridge] = [new TestNetns("querier-host"), new TestNetns("querier-bridge")];
    const watches: QuerierWatch[] = [];
    try {
      bridge.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "1");
      for (const name of ["eth0", "eth1"]) {
        host.ip("link", "add", name, "type", "veth", "peer", "name", `p-${name}`);
        host.ip("link", "set", `p-${name}`, "netns", bridge.name);
        host.ip("link", "set", name, "up");
        bridge.ip("link", "set", `p-${name}`, "up");
      }
      bridge.ip("link", "set", "p-eth0", "master", "br0");
      bridge.ip("link", "set", "br0", "addrgenmode", "none", "up");
      bridge.ip("addr", "add", `${SWITCH4}/24`, "dev", "br0");
      bridge.ip("addr", "add", `${SWITCH6}/64`, "dev", "br0", "nodad");
      const [own, other] = inNetns(host.path, () =>
        ["eth0", "eth1"].map((name) => new QuerierWatch([name])),
      );
      assert.ok(own && other);
      watches.push(own, other);
      assert.deepEqual(own.heard(), {});
      bridge.ip("link", "set", "br0", "type", "bridge", "mcast_query_use_ifaddr", "1");
      bridge.ip("link", "set", "br0", "type", "bridge", "mcast_querier", "1");
      assert.deepEqual(await heardBy(own), { igmp: SWITCH4, mld: SWITCH6 });
      assert.deepEqual(own.heard(), {}, "each is told once");
      assert.deepEqual(other.heard(), {});
    } finally {
      for (const watch of watches) watch.close();
      bridge.remove();
      host.remove();
    }
  },
);
