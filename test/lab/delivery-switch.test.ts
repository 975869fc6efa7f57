// A13: the delivery method of a running cluster is changed, there and back, under connections of every age: none breaks, and
// clients are told the new MAC. Also what a switch that listens to IGMP makes of the members' reports.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { DeliveryMethod } from "#base/delivery.ts";
import type { LabCluster } from "#lab/cluster.ts";
import { Downloads } from "#lab/downloads.ts";
import { STANDARD } from "#lab/standard.ts";
import { BRIDGE } from "#lab/wiring.ts";
import { connectionsDuring } from "../../bench/failover-connections.ts";
import { MemberAgent } from "../../bench/failover-member-agent.ts";
import { run } from "../kernel/netns.ts";
import { panOk, skip, until } from "./agent-bench.ts";
import {
  client,
  deliveryCluster,
  learnedMac,
  macOfMethod,
  manyConnections,
  NO_SERVICE,
  sharedMac,
  VIPS,
  vip4,
  Witness,
} from "./delivery-bench.ts";

const CONNECTIONS = 60;
const ROUND: readonly DeliveryMethod[] = ["unicast", "multicast", "igmp", "forward"];

describe("delivery methods change at run time", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await deliveryCluster("switch", "forward");
  });
  after(() => cluster?.down());
  afterEach(() => cluster.settled());

  const others = (...names: string[]): string[] =>
    cluster.members.filter((name) => !names.includes(name));

  /** By the command line, at any member; resolves when the clients have been told. */
  async function change(method: DeliveryMethod, at: string): Promise<void> {
    await panOk(cluster, at, "delivery", "set", method);
    const mac = await macOfMethod(cluster, method);
    await until(`clients are told ${mac}`, async () => {
      const macs = await Promise.all(VIPS.map((vip) => learnedMac(cluster, vip)));
      return macs.every((each) => each === mac);
    });
    assert.match(await panOk(cluster, "m2", "delivery", "show"), new RegExp(`^${method}`));
  }

  test("A13: through every method and back: no connection breaks, new ones are served, nobody is refused", async () => {
    const witness = await Witness.capture(cluster, client, NO_SERVICE);
    for (const vip of VIPS) await learnedMac(cluster, vip);
    const downloads = Downloads.start(cluster.lab, 6);
    await downloads.allStarted();
    const findings = await connectionsDuring(cluster.lab, CONNECTIONS, async () => {
      for (const [index, method] of ROUND.entries()) {
        await change(method, cluster.members[index % cluster.members.length] ?? "");
        const { failed, faults } = await manyConnections(cluster, 200);
        assert.equal(failed, 0, `${method}: ${faults.join("\n")}`);
      }
    });
    assert.deepEqual(findings.broken, []);
    assert.ok(findings.opened >= CONNECTIONS && Object.keys(findings.servers).length === 3);
    assert.equal((await downloads.finished(new Set())).broken, 0);
    assert.deepEqual(await witness.end(), []);
  });

  test("A13: a client that was away during the change, and remembers the MAC of before, is served", async () => {
    const away = (method: DeliveryMethod, mac: string): void => {
      for (const vip of VIPS) {
        const entry = ["to", vip, "lladdr", mac, "dev", STANDARD.interface, "nud", "permanent"];
        const netns = cluster.lab.netns(client);
        run("nsenter", `--net=${netns}`, "ip", "neigh", "replace", ...entry);
      }
      assert.notEqual(mac, "", method);
    };
    const forward = await macOfMethod(cluster, "forward");
    for (const [now, remembered, mac] of [
      ["unicast", "forward", forward],
      ["multicast", "unicast", sharedMac("unicast")],
      ["forward", "multicast", sharedMac("multicast")],
    ] as const) {
      await panOk(cluster, "m1", "delivery", "set", now);
      away(remembered, mac);
      const { served, failed, faults } = await manyConnections(cluster, 300);
      assert.equal(failed, 0, `${remembered} remembered in ${now}: ${faults.join("\n")}`);
      assert.equal(Object.keys(served).length, 3);
    }
    await cluster.lab.exec(client, ["ip", "neigh", "flush", "all", "nud", "permanent"]);
  });

  test("A13, B9: an agent that is killed and started again in between goes on with the method in force", async () => {
    await change("unicast", "m1");
    const name = others(await cluster.master())[0] ?? "";
    const agent = new MemberAgent(cluster, name);
    const findings = await connectionsDuring(cluster.lab, CONNECTIONS, async () => {
      await agent.stop("SIGKILL");
      await cluster.settled(others(name));
      await agent.start();
      await cluster.settled();
    });
    assert.deepEqual(findings.broken, []);
    const { cluster: shown } = await cluster.status(name);
    assert.deepEqual(shown.delivery, { method: "unicast", mac: sharedMac("unicast") });
    await change("forward", "m3");
  });

  test("A13.3: a switch that listens to IGMP learns every member from its reports, and nobody else", async () => {
    const netns = cluster.lab.netns(STANDARD.switch);
    const bridge = (...argv: string[]): string => run("nsenter", `--net=${netns}`, ...argv);
    const reports = await Witness.capture(cluster, "m1", "igmp");
    bridge("ip", "link", "set", BRIDGE, "type", "bridge", "mcast_snooping", "1");
    try {
      await change("igmp", "m2");
      const group = (): string[] =>
        bridge("bridge", "mdb", "show")
          .split("\n")
          .filter((line) => line.includes("239.255.0.100"));
      await until("every member's port is in the group", () => group().length === 3);
      assert.ok(
        group().every((line) => /port p-m[123] /.test(line)),
        group().join("\n"),
      );
      assert.match((await reports.end()).join("\n"), /239\.255\.0\.100: igmp v2 report/);
      assert.equal((await manyConnections(cluster, 300)).failed, 0, "without a querier it floods");
    } finally {
      bridge("ip", "link", "set", BRIDGE, "type", "bridge", "mcast_snooping", "0");
    }
    await change("forward", "m1");
    assert.equal((await manyConnections(cluster, 60)).failed, 0, vip4);
  });
});
