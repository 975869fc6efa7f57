// B12: UDP sessions of a group that asks for it stay at their node while their slots move, for as long as they are not idle.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";
import { LineClient } from "./line-client.ts";

const PORT = 5353;
const SESSIONS = 24;
const IDLE_MS = 4000;
const program = (name: string): string => path.join(import.meta.dirname, name);
const GROUPS = `groups:
  - name: voice
    slots: 64
    udpIdleTimeoutMs: ${IDLE_MS}
    nodes: [{ name: m1, weight: 1 }, { name: m2, weight: 0 }, { name: m3, weight: 0 }]
    services: ["udp ${STANDARD.vip4}:${PORT}"]
`;

describe("UDP sessions", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("udp"),
      members: 3,
      groups: GROUPS,
      extraConfig: CALM,
      programs: ({ name }) => [
        {
          name: "udp-echo",
          argv: [process.execPath, program("udp-echo.ts"), name, String(PORT), STANDARD.vip4],
        },
      ],
      downOnExit: true,
    });
    await cluster.until(
      "m1 owns every slot",
      (status) => status.groups[0]?.shares[0]?.slots === 64,
    );
  });
  after(() => cluster?.down());

  const sessions = (): LineClient =>
    new LineClient(cluster.lab, "udp-sessions.ts", SESSIONS, PORT, STANDARD.vip4);

  async function handOver(from: string, to: string): Promise<void> {
    const client = cluster.client(await cluster.master());
    const group = "voice";
    await client.setWeight({ params: { group, node: to }, body: { weight: 1 } });
    await client.setWeight({ params: { group, node: from }, body: { weight: 0 } });
    await cluster.until(`${to} owns every slot`, ({ groups }) =>
      (groups[0]?.shares ?? []).some((share) => share.node === to && share.slots === 64),
    );
  }

  const all = (name: string): string[] => Array.from({ length: SESSIONS }, () => name);

  test("B12: a session stays at its node while its slot moves twice; a new one goes to the owner", async () => {
    const old = sessions();
    assert.deepEqual(await old.say("ask"), all("m1"));
    await handOver("m1", "m2");
    assert.deepEqual(await old.say("ask"), all("m1"));
    await cluster.until("the sessions are pinned", ({ assignment }) => assignment.exceptions === SESSIONS); // prettier-ignore
    const later = sessions();
    assert.deepEqual(await later.say("ask"), all("m2"));
    await handOver("m2", "m3");
    assert.deepEqual(await old.say("ask"), all("m1"));
    assert.deepEqual(await later.say("ask"), all("m2"));
    // idle for longer than the group wants
    await cluster.until(
      "nothing is pinned any more",
      ({ assignment }) => assignment.exceptions === 0,
    );
    assert.deepEqual(await old.say("ask"), all("m3"));
    old.end();
    later.end();
  });
});
