// Part C in a lab: a member gets another cluster address, with a bundle of its own, while the others run. With the published kind of
// dedicated MAC the address is the MAC.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { LabCluster } from "#lab/cluster.ts";
import { STANDARD, type StandardMember } from "#lab/standard.ts";
import { endAgent, pan, skip, startAgent } from "./agent-bench.ts";
import {
  Capture,
  client,
  CM,
  dedicated,
  members,
  meshWorks,
  neighbour,
  pairs,
  peeringCluster,
  pings,
  ring,
  transferBytes,
} from "./peering-bench.ts";

const BYTES = transferBytes(1 << 20);
const KIND = "multicast";
const NEXT = "10.77.0.33";

async function addressOf(cluster: LabCluster, host: string, verb: string, text: string) {
  const argv = ["ip", "addr", verb, `${text}/24`, "dev", STANDARD.interface];
  const { status, stderr } = await cluster.lab.exec(host, argv);
  assert.equal(status, 0, stderr);
}

/** As an operator does: a configuration with the new address, a bundle with it, and the agent started anew on it. */
async function moveTo(cluster: LabCluster, member: StandardMember, next: string): Promise<void> {
  const { name, address4 } = member;
  const file = (last: string): string => path.join(cluster.folder, last);
  const agent = cluster.client(await cluster.master());
  const { yaml } = await agent.config({});
  const changed = yaml.replace(`address: ${address4}`, `address: ${next}`);
  assert.notEqual(changed, yaml);
  await agent.putConfig({ body: { yaml: changed } });
  writeFileSync(file("cluster.yaml"), changed);
  await endAgent(cluster, name, "SIGTERM");
  await addressOf(cluster, name, "del", address4);
  await addressOf(cluster, name, "add", next);
  const files = [
    "--config",
    file("cluster.yaml"),
    "--ca",
    file("ca"),
    "--out",
    file(`${name}.bundle`),
  ];
  const { status, stderr } = await pan(cluster, name, "node", "renew", name, ...files, "--replace");
  assert.equal(status, 0, stderr);
  await startAgent(cluster, name);
}

/** What a member knows of another: its addresses, and how it knows them. */
async function knownAddresses(
  cluster: LabCluster,
  at: string,
  of: string,
): Promise<(readonly [address: string, learned: string])[]> {
  const { peers } = await cluster.client(at).peers({});
  const found = peers.find(({ name }) => name === of);
  return (found?.addresses ?? []).map(({ address, learned }) => [address, learned]);
}

describe("a member of another cluster address", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await peeringCluster({ part: "peers-moved", kind: KIND });
  });
  after(() => cluster?.down());

  test("C16: all know it there, with its new dedicated MAC; the old one is nobody's any more", async () => {
    const [one, two, three] = members(cluster);
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    await meshWorks(cluster, KIND, BYTES, ring([one, two, three]));
    const capture = await Capture.start(cluster, client, "addressed");
    await moveTo(cluster, three, NEXT);
    await cluster.settled();
    const moved = { ...three, address4: NEXT };
    await meshWorks(cluster, KIND, BYTES, pairs([one, two, moved]));
    for (const { name } of [one, two]) {
      assert.deepEqual(await knownAddresses(cluster, name, three.name), [
        [NEXT, "keepalive"],
        [three.address6, "configured"],
      ]);
    }
    await pings(cluster, client, NEXT);
    assert.equal(await neighbour(cluster, client, NEXT), CM);
    assert.deepEqual(await capture.end([dedicated(KIND, moved), dedicated(KIND, three)]), []);
  });
});
