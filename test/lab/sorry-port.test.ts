// B7: a sorry server on another port than the service's: clients connect to the service's, and what they have goes on when the others are back.
import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";
import { askWeb, KeptConnections, shareOf, startWeb, stopWeb } from "./health-bench.ts";

const PORT = 8080;
const SLOTS = 64;
const CONNECTIONS = 8;
const GROUPS = `groups:
  - name: web
    slots: ${SLOTS}
    nodes: [{ name: m1 }, { name: m2 }]
    health: { intervalMs: 200, checks: [{ type: tcp }] }
    whenNone: sorry
    sorry: m3
    sorryPort: ${PORT}
    services: ["tcp ${STANDARD.vip4}:80", "tcp [${STANDARD.vip6}]:80"]
`;

describe("sorry server", { skip }, () => {
  test("B7: nobody serves: connections to the service's port reach the sorry server's, and stay there", async () => {
    const cluster = await LabCluster.up({
      name: labName("sorry"),
      members: 3,
      groups: GROUPS,
      extraConfig: `${CALM}datapath: { hook: tc }\n`,
      programs: () => [
        {
          name: "sorry",
          argv: [process.execPath, path.join(import.meta.dirname, "sorry-server.ts"), String(PORT)],
        },
      ],
      downOnExit: true,
    });
    // the sorry node is not in the list: what none of these has is its own
    const eachHas = (slots: number) =>
      cluster.until(
        `m1 and m2 have ${slots} slots each`,
        (status) =>
          status.groups[0]?.unassigned === 0 &&
          ["m1", "m2"].every((node) => shareOf(status, "web", node)?.slots === slots),
      );
    const answers = async (address: string): Promise<readonly string[]> => {
      const { by, failures } = await askWeb(cluster, 30, { address });
      assert.deepEqual(failures, [], address);
      return [...by.keys()].sort();
    };
    try {
      await eachHas(SLOTS / 2);
      const both = [STANDARD.vip4, `[${STANDARD.vip6}]`];
      for (const vip of both) assert.deepEqual(await answers(vip), ["m1", "m2"]);
      for (const member of ["m1", "m2"]) await stopWeb(cluster, member);
      await eachHas(0);
      // m3 has a web server on port 80, too: it is not asked
      for (const vip of both) assert.deepEqual(await answers(vip), ["sorry"]);
      const kept = await KeptConnections.open(cluster, CONNECTIONS);
      assert.equal(kept.of("sorry"), CONNECTIONS);
      for (const member of ["m1", "m2"]) await startWeb(cluster, member);
      await eachHas(SLOTS / 2);
      for (const vip of both) assert.deepEqual(await answers(vip), ["m1", "m2"]);
      assert.deepEqual(await kept.ask(), { "sorry ok": CONNECTIONS });
      await kept.close();
    } finally {
      await cluster.down();
    }
  });
});
