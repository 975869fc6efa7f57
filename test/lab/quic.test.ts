// A14: QUIC connections are found by the ids that their servers chose, whatever becomes of the client's port and of the tables; by
// forwarding, and where every member filters.
import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, endProgram, labName, skip, until } from "./agent-bench.ts";
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

/** The server answers whatever it is sent. */
const CHECKED = `${GROUPS}    health: { checks: [{ type: udp, send: "are you there?", expect: unknown }], intervalMs: 200, timeoutMs: 100, fall: 2, rise: 2 }
`;

/** Each said "NAME KIND": whose connections were at `gone` hear that somebody else does not know them, all others go on. */
function assertReset(
  answers: readonly string[],
  at: readonly string[],
  gone: readonly string[],
): void {
  for (const [index, answer] of answers.entries()) {
    const name = at[index] ?? "";
    if (!gone.includes(name)) assert.equal(answer, `${name} short`);
    else
      assert.ok(answer.endsWith(" unknown") && !gone.includes(answer.split(" ")[0] ?? ""), answer);
  }
}

async function goBySlot(cluster: LabCluster, vip: string): Promise<void> {
  const clients = new LineClient(cluster.lab, "quic-client.ts", CONNECTIONS, PORT, vip);
  const at = servers(await clients.answers(), "handshake");
  assert.equal(new Set(at).size, 3, `of ${CONNECTIONS} connections some are at each member`);
  const master = await cluster.master();
  const [dead = "", drained = ""] = cluster.members.filter((member) => member !== master);
  await endProgram(cluster, dead, "quic-server", "SIGKILL");
  const hasNone = ({ groups }: Status): boolean =>
    (groups[0]?.shares ?? []).every(({ node, slots }) => node !== dead || slots === 0);
  for (const member of cluster.members) await cluster.until(`${dead} has no slot`, hasNone, member);
  assertReset(await clients.say("ask"), at, [dead]);
  const params = { node: drained };
  await cluster.client(master).drainWithin({ params, body: { deadlineMs: 1000 } });
  await cluster.until("the drain is over", ({ drain }) => drain.endsInMs === 0, drained);
  // until the last member has the tables that say so, its server, which runs, still answers
  await until(`${drained} is not asked any more`, async () =>
    (await clients.say("ask")).every((answer) => !answer.startsWith(drained)),
  );
  assertReset(await clients.say("ask"), at, [dead, drained]);
  clients.end();
}

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

interface Case {
  readonly method: "forward" | "multicast";
  readonly groups: string;
  readonly run: (cluster: LabCluster) => Promise<void>;
}

async function onCluster({ method, groups, run }: Case): Promise<void> {
  const cluster = await LabCluster.up({
    name: labName(`quic-${method.slice(0, 1)}`),
    members: 3,
    groups,
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
    await run(cluster);
  } finally {
    await cluster.down();
  }
}

describe("QUIC", { skip }, () => {
  for (const method of ["forward", "multicast"] as const) {
    test(`A14: a connection stays with its server when the client's port and the tables change (${method})`, async () => {
      await onCluster({
        method,
        groups: GROUPS,
        run: async (cluster) => {
          for (const vip of [STANDARD.vip4, STANDARD.vip6]) await stay(cluster, vip);
        },
      });
    });

    test(`A14: what names a node whose server is down, or whose drain is over, goes to whoever has the slot (${method})`, async () => {
      const vip = method === "forward" ? STANDARD.vip4 : STANDARD.vip6;
      await onCluster({ method, groups: CHECKED, run: (cluster) => goBySlot(cluster, vip) });
    });
  }
});
