// Part C in a lab, with the default kind of dedicated MAC: members that share one MAC, an outsider, and a switch that learns and
// listens to IGMP, first without a querier and then with one; before, while and after a member dies, joins and is changed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { linkLocalOf } from "#base/address.ts";
import type { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { endAgent, pan, panOk, skip, startAgent, until } from "./agent-bench.ts";
import {
  Capture,
  client,
  CM,
  dedicated,
  filters,
  interfaceMac,
  members,
  meshWorks,
  neighbour,
  outsiderSees,
  pairs,
  peeringCluster,
  pings,
  ring,
  snoop,
  transferBytes,
} from "./peering-bench.ts";
import { Witness } from "./delivery-bench.ts";

const BYTES = transferBytes(4 << 20);
const KIND = "masked";

describe("members that share one MAC", { skip }, () => {
  let cluster: LabCluster;
  let toOutsiders: Capture;
  let learning: Witness;
  before(async () => {
    cluster = await peeringCluster({ part: "peering", kind: KIND });
    snoop(cluster, false);
    learning = Witness.learning(cluster);
    toOutsiders = await Capture.start(cluster, client, "addressed");
  });
  after(async () => {
    await learning?.end();
    await toOutsiders?.end();
    await cluster?.down();
  });
  const macs = (): string[] => members(cluster).map((member) => dedicated(KIND, member));

  test("C1: every member's interface has the cluster MAC", async () => {
    for (const name of cluster.members) assert.equal(await interfaceMac(cluster, name), CM);
  });

  test("C3 … C6, C9, C14: all pairs ping and transfer by both families, and know each other's dedicated MAC; nothing is flooded", async () => {
    const everything = await Capture.start(cluster, client, "everything");
    await meshWorks(cluster, KIND, BYTES, pairs(members(cluster)));
    assert.deepEqual(await everything.end(macs()), [], "an outsider's port sees no frame of it");
  });

  test("C8: an outsider has the cluster MAC for members and virtual addresses", async () => {
    await outsiderSees(cluster);
  });

  test("C2: pan peers says who is where, how that is known, and what went both ways", async () => {
    const { peering, peers } = await cluster.client("m1").peers({});
    assert.equal(peering?.clusterMac, CM);
    assert.deepEqual(
      peers.map(({ name, live }) => [name, live]),
      [
        ["m2", true],
        ["m3", true],
      ],
    );
    for (const { addresses, received, sent, lastSeenMs } of peers) {
      const [first, second] = addresses;
      assert.deepEqual([first?.learned, second?.learned], ["keepalive", "configured"]);
      assert.ok(received.packets > 100 && sent.packets > 100 && lastSeenMs !== undefined);
      for (const { mac, neighbour } of addresses) assert.equal(neighbour, mac);
    }
    assert.match(
      await panOk(cluster, "m1", "peers"),
      /m2 +10\.77\.0\.12 +02:10:02:4d:00:64 +keepalive/,
    );
  });

  test("C8: the doctor finds nothing wrong", async () => {
    const { findings } = await cluster.client("m2").doctor({});
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict !== "ok"),
      [],
    );
    const flooding = findings.find(({ check }) => check === "switch and cluster MAC");
    assert.match(flooding?.found ?? "", /reaches every other member \(2\)/);
  });

  test("C2: a member dies and joins again; the others go on, and it is found again", async () => {
    await cluster.lab.faults.kill("m3");
    await cluster.settled(["m1", "m2"]);
    const everything = await Capture.start(cluster, client, "everything");
    await meshWorks(cluster, KIND, BYTES, pairs(members(cluster).slice(0, 2)));
    const [, , three] = members(cluster);
    assert.ok(three !== undefined);
    for (const address of [three.address4, three.address6]) {
      const { status } = await cluster.lab.exec("m1", [
        "ping",
        "-n",
        "-c2",
        "-i0.2",
        "-W1",
        address,
      ]);
      assert.equal(status, 1, "nobody answers");
    }
    assert.deepEqual(await everything.end(macs()), [], "nothing for the dead member is flooded");
    const { peers } = await cluster.client("m1").peers({});
    assert.equal(peers.find(({ name }) => name === "m3")?.live, false);
    const joining = await Capture.start(cluster, client, "everything");
    await cluster.lab.faults.revive("m3");
    await cluster.settled();
    await meshWorks(cluster, KIND, BYTES, ring(members(cluster)));
    assert.deepEqual(await joining.end(macs()), [], "nor while it joins");
  });

  test("C9: with an IGMP querier on the network as well", async () => {
    snoop(cluster, true);
    await meshWorks(cluster, KIND, BYTES, ring(members(cluster)));
  });

  test("C1, C14: after its link was down a member is reached by IPv4 as before, and the doctor says what IPv6 has lost", async () => {
    const two = members(cluster).find(({ name }) => name === "m2");
    assert.ok(two !== undefined);
    const onTwo = async (...words: string[]): Promise<void> => {
      const { status, stderr } = await cluster.lab.exec("m2", ["ip", ...words]);
      assert.equal(status, 0, stderr);
    };
    const device = ["dev", STANDARD.interface];
    await onTwo("link", "set", STANDARD.interface, "down");
    await onTwo("link", "set", STANDARD.interface, "up");
    await cluster.settled();
    for (const [from, to] of pairs(members(cluster))) {
      await pings(cluster, from.name, to.address4);
      assert.equal(await neighbour(cluster, from.name, to.address4), dedicated(KIND, to));
    }
    const same = linkLocalOf(CM);
    await until("the doctor says what is lost", async () => {
      const { findings } = await cluster.client("m2").doctor({});
      const text = JSON.stringify(findings);
      return (
        text.includes(`${same} is made of the cluster MAC`) &&
        findings.some(({ check }) => check === `address ${two.address6}`)
      );
    });
    await onTwo("addr", "del", `${same}/64`, ...device);
    await onTwo("addr", "add", "fe80::12/64", ...device, "nodad");
    await onTwo("addr", "add", `${two.address6}/64`, ...device, "nodad");
    await until("nothing is wrong any more", async () => {
      const { findings } = await cluster.client("m2").doctor({});
      return findings.every(({ verdict }) => verdict === "ok");
    });
    await meshWorks(cluster, KIND, BYTES, ring(members(cluster)));
  });

  test("C17: taking Panoply away gives the interface back as it was; outsiders and members find it by its own MAC", async () => {
    const file = path.join(cluster.lab.folder("m3"), "state/host-changes.json");
    const { links } = JSON.parse(readFileSync(file, "utf8")) as { links: { before: string }[] };
    const own = links[0]?.before ?? "";
    assert.notEqual(own, CM);
    await endAgent(cluster, "m3", "SIGTERM");
    const argv = ["agent", "--teardown", "--state-folder", path.dirname(file)];
    const { status, stdout, stderr } = await pan(cluster, "m3", ...argv);
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(`gave ${STANDARD.interface} the MAC ${own}`));
    assert.equal(await interfaceMac(cluster, "m3"), own);
    assert.equal(await filters(cluster, "m3"), "", "no program is left");
    const three = members(cluster).find(({ name }) => name === "m3");
    assert.ok(three !== undefined);
    for (const from of [client, "m1"]) {
      for (const address of [three.address4, three.address6]) {
        await pings(cluster, from, address);
        assert.equal(await neighbour(cluster, from, address), own, `${from} ${address}`);
      }
    }
    await startAgent(cluster, "m3");
    await cluster.settled();
    assert.equal(await interfaceMac(cluster, "m3"), CM);
    await meshWorks(cluster, KIND, BYTES, ring(members(cluster)));
  });

  test("C8: in all this time the switch learned no cluster MAC, and no dedicated MAC was in any frame or table of an outsider", async () => {
    const [master] = cluster.members;
    await until("it has learned", () => learning.lines.length > 0);
    const learned = learning.lines.filter((line) => line.includes(CM) && !line.includes("self"));
    assert.deepEqual(learned, []);
    assert.deepEqual(await toOutsiders.end(macs()), []);
    const { stdout } = await cluster.lab.exec(client, ["ip", "neigh"]);
    for (const mac of macs()) assert.ok(!stdout.includes(mac), `${master}: ${stdout}`);
  });

  test("C8: who has learned a dedicated MAC, and who sends from the cluster MAC, is named by the doctor", async () => {
    const [one] = members(cluster);
    assert.ok(one !== undefined);
    const onClient = async (...argv: string[]): Promise<void> => {
      const { status, stderr } = await cluster.lab.exec(client, argv);
      assert.equal(status, 0, stderr);
    };
    const device = ["dev", STANDARD.interface];
    const leaks = async (): Promise<string> => {
      const { findings } = await cluster.client(one.name).doctor({});
      const found = findings.filter(({ check }) => check === "leaked MACs");
      return found.map((each) => `${each.verdict}: ${each.found}`).join("\n");
    };
    const outsider = await interfaceMac(cluster, client);
    assert.doesNotMatch(await leaks(), new RegExp(outsider));
    const lladdr = ["lladdr", dedicated(KIND, one), "nud", "permanent"];
    await onClient("ip", "neigh", "replace", one.address4, ...lladdr, ...device);
    await pings(cluster, client, one.address4);
    assert.match(
      await leaks(),
      new RegExp(`^warning: .* from ${outsider}, which is no member's`, "m"),
    );
    await onClient("ip", "neigh", "del", one.address4, ...device);
    await onClient("ip", "link", "set", STANDARD.interface, "address", CM);
    await cluster.lab.exec(client, ["ping", "-n", "-c1", "-W1", one.address4]);
    assert.match(await leaks(), new RegExp(`^wrong: .* came from the cluster MAC ${CM}`, "m"));
  });
});
