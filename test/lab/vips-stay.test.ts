// B10 with `interfaceNodes.preempt: false` on a whole cluster: a VIP leaves a node that dies, stays where it has come to when that node
// returns, and stays where an operator has put it, also under a new master.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";

const VIPS = [STANDARD.vip4, "10.77.0.101", "10.77.0.102", "10.77.0.103"] as const;
const GROUPS = `groups:
  - { name: web, slots: 64, services: [${VIPS.map((vip) => `"tcp ${vip}:80"`).join(", ")}] }
`;

type Holders = Readonly<Record<string, string | undefined>>;
const holders = ({ vips }: Status): Holders =>
  Object.fromEntries(vips.addresses.map(({ vip, node }) => [vip, node]));
const vipsOf = (node: string, all: Holders): string[] =>
  Object.keys(all).filter((vip) => all[vip] === node);

describe("virtual addresses that stay", { skip }, () => {
  let cluster: LabCluster;

  before(async () => {
    cluster = await LabCluster.up({
      name: labName("vips-stay"),
      members: 4,
      groups: GROUPS,
      extraConfig: `${CALM}interfaceNodes: { preempt: false }\n`,
      downOnExit: true,
    });
    await cluster.settled();
  });
  after(() => cluster?.down());

  const held = (witness: string, among: readonly string[]): Promise<Status> =>
    cluster.until(
      `every VIP is held by one of ${among.join(", ")}`,
      (status) => VIPS.every((vip) => among.includes(holders(status)[vip] ?? "")),
      witness,
    );

  /** It takes its part again, which the tables say that would give it its VIPs back. */
  const serves = (node: string, witness: string): Promise<Status> =>
    cluster.until(
      `${node} has slots again`,
      ({ groups }) =>
        (groups[0]?.shares ?? []).some((share) => share.node === node && share.slots > 0),
      witness,
    );

  const others = (...without: readonly string[]): string[] =>
    cluster.members.filter((name) => !without.includes(name));

  /**
   * Dies, and comes back when its VIPs have gone elsewhere. Answers who has what before that, when it serves again, and after one more
   * change, by which all would be in its place if it were to get any back.
   */
  async function dieAndReturn(node: string, witness: string): Promise<[Holders, Holders, Holders]> {
    await cluster.lab.faults.kill(node);
    const without = holders(await held(witness, others(node)));
    await cluster.lab.faults.revive(node);
    const serving = holders(await serves(node, witness));
    const params = { group: "web", node };
    await cluster.client(witness).setWeight({ params, body: { weight: 0 } });
    const isEmpty = ({ groups }: Status): boolean =>
      (groups[0]?.shares ?? []).every((share) => share.node !== node || share.slots === 0);
    await cluster.until(`${node} has no slots`, isEmpty, witness);
    await cluster.client(witness).setWeight({ params, body: { weight: 1 } });
    const later = holders(await serves(node, witness));
    return [without, serving, later];
  }

  test("B10: what a node had when it died does not come back to it", async () => {
    const before = holders(await held("m1", cluster.members));
    const victim = before[VIPS[0]] ?? "";
    for (const now of await dieAndReturn(victim, others(victim)[0] ?? "")) {
      assert.deepEqual(vipsOf(victim, now), []);
    }
  });

  test("B10: a VIP that an operator has moved stays there when the master dies and returns", async () => {
    const master = await cluster.master();
    const [chosen = "", witness = ""] = others(master);
    const before = holders(await held(witness, cluster.members));
    const vip = VIPS.find((each) => before[each] !== chosen) ?? "";
    await cluster.client(witness).moveVip({ params: { vip }, body: { node: chosen } });
    await cluster.until(`${chosen} has it`, (status) => holders(status)[vip] === chosen, witness);
    for (const now of await dieAndReturn(master, witness)) {
      assert.equal(now[vip], chosen, "the new master goes by what the operator said");
      assert.deepEqual(vipsOf(master, now), []);
    }
  });
});
