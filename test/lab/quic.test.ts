// A14: QUIC connections are found by the ids that their servers chose, whatever becomes of the client's port and of the tables; by
// forwarding, and where every member filters.
import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";
import { LineClient } from "./line-client.ts";

const PORT = 443;
const CONNECTIONS = 24;
const SLOTS = 64;
const program = (name: string): string => path.join(import.meta.dirname, name);
const GROUPS = `groups:
  - name: h3
    policy: quic
    slots: ${SLOTS}
    services: ["udp ${STANDARD.vip4}:${PORT}", "udp [${STANDARD.vip6}]:${PORT}"]
`;

const servers = (answers: readonly string[], kind: string): string[] =>
  answers.map((answer) => {
    const [name = "", what] = answer.split(" ");
    assert.equal(what, kind, answer);
    return name;
  });

describe("QUIC", { skip }, () => {
  for (const method of ["forward", "multicast"] as const) {
    test(`A14: a connection stays with its server when the client's port and the tables change (${method})`, async () => {
      const cluster = await LabCluster.up({
        name: labName(`quic-${method.slice(0, 1)}`),
        members: 3,
        groups: GROUPS,
        extraConfig: `${CALM}delivery: { method: ${method} }\n`,
        programs: ({ name, number }) => [
          {
            name: "quic-server",
            argv: [
              ...[process.execPath, program("quic-server.ts"), name, String(number)],
              ...[String(PORT), STANDARD.vip4, STANDARD.vip6],
            ],
          },
        ],
        downOnExit: true,
      });
      try {
        await cluster.settled();
        for (const vip of [STANDARD.vip4, STANDARD.vip6]) await stay(cluster, vip);
      } finally {
        await cluster.down();
      }
    });
  }
});

async function stay(cluster: LabCluster, vip: string): Promise<void> {
  const clients = new LineClient(cluster.lab, "quic-client.ts", CONNECTIONS, PORT, vip);
  const at = servers(await clients.answers(), "handshake");
  assert.ok(new Set(at).size > 1, `all connections are at ${at[0]}`);
  assert.deepEqual(servers(await clients.say("ask"), "short"), at, "from other ports");
  const api = cluster.client(await cluster.master());
  const params = { group: "h3" };
  await api.setWeight({ params: { ...params, node: "m1" }, body: { weight: 0 } });
  await api.drain({ params: { node: "m2" } });
  // the interface node may be any of them, and may be the last to know
  for (const member of cluster.members) {
    const hasAll = ({ groups }: Status): boolean =>
      (groups[0]?.shares ?? []).some(({ node, slots }) => node === "m3" && slots === SLOTS);
    await cluster.until("m3 has every slot", hasAll, member);
  }
  assert.deepEqual(servers(await clients.say("ask"), "short"), at, "after the slots have moved");
  const later = servers(await clients.say("open"), "handshake");
  assert.deepEqual(new Set(later), new Set(["m3"]), "new ones go by the tables");
  await api.setWeight({ params: { ...params, node: "m1" }, body: { weight: 1 } });
  await api.undrain({ params: { node: "m2" } });
  await cluster.settled();
  const all = servers(await clients.say("ask"), "short");
  assert.deepEqual(all, [...at, ...later]);
  clients.end();
}
