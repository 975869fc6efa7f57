// B10 on a whole cluster: VIPs spread over interface nodes, each answered by one; they move by an operator, by drain, by the death of a
// member and of the master, under connections that go on.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { EventOf } from "#api/event-catalogue.ts";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { ECHO_PORT, EchoConnections, echoServer } from "../../bench/failover-connections.ts";
import { CALM, labName, skip, until } from "./agent-bench.ts";

const { vip4, vip6, client } = STANDARD;
const VIPS = [vip4, "10.77.0.101", "10.77.0.102", vip6] as const;
const services = VIPS.map((vip) => `"tcp ${vip.includes(":") ? `[${vip}]` : vip}:${ECHO_PORT}"`);
const GROUPS = `groups:
  - { name: echo, slots: 64, services: [${services.join(", ")}] }
`;
/** To each VIP. */
const CONNECTIONS = 60;

const holderOf = ({ vips }: Status, vip: string): string | undefined =>
  vips.addresses.find((each) => each.vip === vip)?.node;
const holders = (status: Status): (string | undefined)[] =>
  VIPS.map((vip) => holderOf(status, vip));

describe("virtual addresses on several interface nodes", { skip }, () => {
  let cluster: LabCluster;
  const names = new Map<string, string>();
  let witness = "m1";

  before(async () => {
    cluster = await LabCluster.up({
      name: labName("vips"),
      members: 4,
      groups: GROUPS,
      extraConfig: `${CALM}interfaceNodes: {}\n`,
      programs: (member) => [echoServer(member)],
      downOnExit: true,
    });
    const { members } = await cluster.settled();
    for (const { name, mac = "" } of members) names.set(mac, name);
    await spread(4);
  });
  after(() => cluster?.down());

  const spread = (nodes: number): Promise<Status> =>
    cluster.until(
      `VIPs are spread over ${nodes} nodes`,
      (status) => {
        const found = holders(status);
        return !found.includes(undefined) && new Set(found).size === nodes;
      },
      witness,
    );

  /** Name of the node whose MAC the client has for the VIP, after it has asked anew. */
  async function answering(vip: string): Promise<string | undefined> {
    await cluster.lab.exec(client, ["ip", "neigh", "flush", "dev", "eth0"]);
    await cluster.lab.exec(client, ["ping", "-c", "1", "-W", "2", vip]);
    return believed(vip);
  }

  async function believed(vip: string): Promise<string | undefined> {
    const { stdout } = await cluster.lab.exec(client, ["ip", "neigh", "show", vip]);
    const [, mac = ""] = /lladdr (\S+)/.exec(stdout) ?? [];
    return names.get(mac);
  }

  /** What the client believes follows what the tables say. */
  async function agree(): Promise<void> {
    for (const vip of VIPS) {
      await until(`${vip} is where the tables say`, async () => {
        const status = await cluster.status(witness);
        return (await answering(vip)) === holderOf(status, vip);
      });
    }
  }

  /** Connections to every VIP while something is done; none breaks. */
  async function unbroken(act: () => Promise<unknown>): Promise<void> {
    const all = await Promise.all(
      VIPS.map((vip) => EchoConnections.open(cluster.lab, CONNECTIONS, vip)),
    );
    await act();
    for (const connections of all) {
      const { broken, opened } = await connections.finish();
      assert.deepEqual(broken, []);
      assert.equal(opened, CONNECTIONS);
    }
  }

  async function movesAt(node: string): Promise<EventOf<"vip-moved">[]> {
    const { events } = await cluster.client(node).events({ query: { types: "vip-moved" } });
    return events as unknown as EventOf<"vip-moved">[];
  }

  test("B10: each VIP is answered by its own interface node and by no other", async () => {
    await agree();
    const status = await cluster.status("m1");
    assert.deepEqual(new Set(holders(status)), new Set(["m1", "m2", "m3", "m4"]));
    for (const { backups } of status.vips.addresses) assert.equal(backups.length, 3);
    for (const vip of VIPS) {
      const bearers = await Promise.all(
        cluster.members.map(async (name) => {
          const { stdout } = await cluster.lab.exec(name, ["ip", "-o", "address", "show", "eth0"]);
          return stdout.includes(` ${vip}/`) ? [name] : [];
        }),
      );
      assert.deepEqual(bearers.flat(), [holderOf(status, vip)]);
    }
  });

  test("B10: an operator moves a VIP to and fro, and no connection breaks", async () => {
    const before = await cluster.status("m1");
    const from = holderOf(before, vip4) ?? "";
    const to = cluster.members.find((name) => name !== from) ?? "";
    await unbroken(async () => {
      for (const node of [to, from, to]) {
        await cluster.client("m2").moveVip({ params: { vip: vip4 }, body: { node } });
        await cluster.until(`${node} has it`, (status) => holderOf(status, vip4) === node);
        await until("the client has heard", async () => (await believed(vip4)) === node);
      }
      await cluster.client("m3").releaseVip({ params: { vip: vip4 } });
      await spread(4);
    });
    await agree();
    const moves = (await movesAt("m4")).filter(({ vips }) => vips.includes(vip4));
    const asked = moves.filter(({ cause }) => cause === "placement");
    assert.deepEqual(
      asked.slice(0, 3).map((move) => move.to),
      [to, from, to],
    );
  });

  test("B10: a drained node's VIPs move and come back, and no connection breaks", async () => {
    const before = holders(await cluster.status("m1"));
    await unbroken(async () => {
      await cluster.client("m1").drain({ params: { node: "m3" } });
      await spread(3);
      await agree();
      await cluster.client("m1").undrain({ params: { node: "m3" } });
      await cluster.until(
        "all are back",
        (status) => holders(status).join() === before.join(),
        witness,
      );
    });
    await agree();
  });

  test("B10: a member dies: its VIPs move, and connections of the others go on through them", async () => {
    const master = await cluster.master();
    const victim = cluster.members.find((name) => name !== master) ?? "";
    witness = cluster.members.find((name) => name !== master && name !== victim) ?? "";
    for (const node of [master, victim]) await unserving(node);
    assert.ok(holders(await cluster.status(witness)).includes(victim), "it has one to lose");
    await unbroken(async () => {
      await cluster.lab.faults.kill(victim);
      await spread(3);
    });
    await agree();
    const moves = await movesAt(master);
    assert.equal(moves.at(-1)?.cause, "death", "the master knows");
  });

  test("B10: the master dies: all VIPs are answered, and connections go on", async () => {
    const master = await cluster.master(witness);
    await unbroken(async () => {
      await cluster.lab.faults.kill(master);
      await cluster.until(
        "there is another master",
        (status) => status.cluster.master !== undefined && status.cluster.master !== master,
        witness,
      );
      await spread(2);
    });
    await agree();
  });

  /** It serves nothing, so that no connection dies with it. */
  async function unserving(node: string): Promise<void> {
    const weight = { params: { group: "echo", node }, body: { weight: 0 } };
    await cluster.client(witness).setWeight(weight);
    await cluster.until(
      `${node} has no slots`,
      ({ groups }) =>
        (groups[0]?.shares ?? []).every((share) => share.node !== node || share.slots === 0),
      witness,
    );
  }
});
