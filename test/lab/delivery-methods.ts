// The same tests for each delivery method (A13): on a switch that learns, with clients that know nothing of it. Where every member
// receives everything and one serves (A13.2, A13.3), also that no switch learns a cluster MAC. Started by delivery-<method>.test.ts.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { DeliveryMethod, FloodedMethod } from "#base/delivery.ts";
import type { LabCluster } from "#lab/cluster.ts";
import { EchoConnections } from "../../bench/failover-connections.ts";
import { skip } from "./agent-bench.ts";
import {
  askByUdp,
  client,
  CLUSTER_MAC,
  deliveryCluster,
  learnedMac,
  macOfMethod,
  manyConnections,
  NO_SERVICE,
  sharedMac,
  summed,
  switchTable,
  VIPS,
  Witness,
} from "./delivery-bench.ts";

const CONNECTIONS = 10_000;
const CLOSE_TO = 0.05;
const LONG_LIVED = 60;

let cluster: LabCluster;
let learning: Witness;

const others = (...names: string[]): string[] =>
  cluster.members.filter((name) => !names.includes(name));

export function deliveryTests(method: DeliveryMethod): void {
  describe(`delivery method ${method}`, { skip }, () => {
    before(async () => {
      cluster = await deliveryCluster(method, "forward");
      learning = Witness.learning(cluster);
      if (method === "forward") return;
      await cluster.client("m1").setDelivery({ body: { method } });
      const isInForce = (status: Awaited<ReturnType<LabCluster["status"]>>): boolean =>
        status.cluster.delivery.method === method;
      await cluster.until(`${method} is in force`, isInForce);
    });
    after(async () => {
      await learning?.end();
      await cluster?.down();
    });
    afterEach(() => cluster.settled());

    if (method !== "forward") macTest(method);
    trafficTests();
    for (const victim of ["member", "master"] as const) deathTest(victim, method);
    freezeTest();
    if (method !== "forward") learningTest();
  });
}

function macTest(method: FloodedMethod): void {
  test(`A13: clients are told the ${method} MAC, by ARP and by ND`, async () => {
    for (const vip of VIPS) {
      await cluster.lab.exec(client, ["ip", "neigh", "flush", "all"]);
      assert.equal(await learnedMac(cluster, vip), sharedMac(method));
    }
    const { cluster: shown } = await cluster.status("m2");
    assert.deepEqual(shown.delivery, { method, mac: sharedMac(method) });
  });
}

function learningTest(): void {
  test("A13: in all this time the switch has learned no cluster MAC, and so it floods them", () => {
    assert.match(switchTable(cluster), /02:00:0[123]:4d:00:64/, "masked addresses");
    assert.ok(learning.lines.length > 0, "it has learned something");
    // a port's own address is drawn by lot, and is not learned
    const learned = learning.lines.filter((line) => !line.includes("permanent"));
    assert.deepEqual(
      learned.filter((line) => CLUSTER_MAC.test(line)),
      [],
    );
  });
}

function trafficTests(): void {
  test(`A13, A14: ${CONNECTIONS} connections are each served by one member, as the slots say, without a reset`, async (t) => {
    const witness = await Witness.capture(cluster, client, NO_SERVICE);
    const opened = (): Promise<number> => summed(cluster, cluster.members, "TcpPassiveOpens");
    const resets = (): Promise<number> => summed(cluster, cluster.members, "TcpOutRsts");
    const before = { opened: await opened(), resets: await resets() };
    const { served, failed, faults } = await manyConnections(cluster, CONNECTIONS);
    assert.equal(failed, 0, faults.join("\n"));
    assert.equal((await opened()) - before.opened, CONNECTIONS, "each at one member");
    assert.equal((await resets()) - before.resets, 0);
    assert.deepEqual(await witness.end(), []);
    const { groups } = await cluster.status("m1");
    const { shares = [], slots = 0 } = groups.find(({ name }) => name === "echo") ?? {};
    assert.equal(shares.length, cluster.members.length);
    for (const { node, slots: owned } of shares) {
      const expected = Math.round((CONNECTIONS * owned) / slots);
      const got = served[node] ?? 0;
      t.diagnostic(`${node} served ${got}, its slots say ${expected}`);
      assert.ok(Math.abs(got - expected) <= CLOSE_TO * expected, `${node}: ${got}, ${expected}`);
    }
  });

  test("A13, A14: UDP, whole and in fragments, gets one answer from one of all members", async () => {
    const witness = await Witness.capture(cluster, client, NO_SERVICE);
    for (const vip of VIPS) {
      for (const bytes of [0, 4000]) {
        const counts = await askByUdp(cluster, vip, { bytes });
        assert.deepEqual(Object.keys(counts).sort(), [...cluster.members], `${vip} ${bytes}`);
      }
    }
    assert.deepEqual(await witness.end(), []);
  });

  test("A13: a ping of a VIP is answered once, also in fragments", async () => {
    for (const vip of VIPS) {
      for (const size of ["56", "4000"]) {
        const argv = ["ping", "-n", "-c", "20", "-i", "0.02", "-W", "5", "-s", size, vip];
        const { stdout } = await cluster.lab.exec(client, argv);
        assert.match(stdout, /20 received, 0% packet loss/, stdout);
        assert.doesNotMatch(stdout, /DUP/);
      }
    }
  });
}

function deathTest(victim: "member" | "master", method: DeliveryMethod): void {
  const learned = method === "forward" ? "" : ", clients learn nothing new";
  test(`A18: a ${victim} dies: the others' connections live, new ones are served${learned}`, async () => {
    const master = await cluster.master();
    const dead = victim === "master" ? master : (others(master).at(-1) ?? "");
    const survivors = others(dead);
    const connections = await EchoConnections.open(cluster.lab, LONG_LIVED);
    await cluster.lab.faults.kill(dead);
    await cluster.settled(survivors);
    const { served, failed, faults } = await manyConnections(cluster, 300);
    assert.equal(failed, 0, faults.join("\n"));
    assert.deepEqual(Object.keys(served).sort(), survivors);
    const { broken } = await connections.finish();
    const living = broken.filter(({ server }) => server !== dead && server !== "none");
    assert.deepEqual(living, []);
    const mac = await macOfMethod(cluster, method, survivors[0]);
    for (const vip of VIPS) assert.equal(await learnedMac(cluster, vip), mac);
    await cluster.lab.faults.revive(dead);
    await cluster.settled();
  });
}

function freezeTest(): void {
  test("A13: a frozen member takes nothing; when it runs again, nothing is served twice", async () => {
    const frozen = others(await cluster.master())[0] ?? "";
    await cluster.lab.faults.freeze(frozen);
    await cluster.settled(others(frozen));
    assert.equal((await manyConnections(cluster, 300)).failed, 0);
    await cluster.lab.faults.thaw(frozen);
    await cluster.settled();
    const before = await summed(cluster, cluster.members, "TcpPassiveOpens");
    const { served, failed, faults } = await manyConnections(cluster, 600);
    assert.equal(failed, 0, faults.join("\n"));
    assert.deepEqual(Object.keys(served).sort(), [...cluster.members]);
    assert.equal((await summed(cluster, cluster.members, "TcpPassiveOpens")) - before, 600);
  });
}
