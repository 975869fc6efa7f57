// B7 where every member receives every frame: while nobody serves a group, one member refuses its clients, and only one.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";
import { askWeb, stateOfInstance } from "./health-bench.ts";

const { vip4, vip6, client } = STANDARD;
const GROUPS = `groups:
  - name: web
    services: ["tcp ${vip4}:80", "tcp [${vip6}]:80"]
    health: { intervalMs: 200, timeoutMs: 1000, rise: 1, fall: 2, checks: [{ type: http, path: /ready }] }
`;
const TRIES = 5;

for (const method of ["unicast", "multicast"] as const) {
  describe(`health where every member filters: ${method}`, { skip }, () => {
    let cluster: LabCluster;

    const setReady = (isReady: boolean): void => {
      for (const member of cluster.members) {
        const file = path.join(cluster.lab.folder(member), "www/ready");
        if (isReady) writeFileSync(file, "yes\n");
        else rmSync(file, { force: true });
      }
    };
    const untilAll = async (state: string): Promise<void> => {
      const master = await cluster.master();
      await cluster.until(
        `all are ${state}`,
        (status) => cluster.members.every((name) => stateOfInstance(status, "web", name) === state),
        master,
      );
    };
    /** At every member: each of them decides about each frame. */
    const untilUnserved = async (isUnserved: boolean): Promise<void> => {
      for (const member of cluster.members) {
        await cluster.until(
          `nobody serves: ${isUnserved}`,
          ({ groups, cluster: { tables }, datapath: { version } }) =>
            (groups[0]?.unassigned === groups[0]?.slots) === isUnserved &&
            tables.epoch === version.epoch &&
            tables.counter === version.counter,
          member,
        );
      }
    };

    before(async () => {
      cluster = await LabCluster.up({
        name: labName(`hf-${method.slice(0, 5)}`),
        members: 3,
        groups: GROUPS,
        extraConfig: `${CALM}delivery: { method: ${method} }\n`,
        downOnExit: true,
      });
      setReady(true);
      await untilAll("up");
      await untilUnserved(false);
    });
    after(() => cluster?.down());

    test(`B7: nobody serves: each connection is refused once, by IPv4 and IPv6 (${method})`, async () => {
      setReady(false);
      await untilAll("down");
      await untilUnserved(true);
      const argv = [
        "tcpdump",
        "-i",
        "eth0",
        "-n",
        "-l",
        "--immediate-mode",
        "-c",
        String(2 * TRIES),
      ];
      const resets = "(ip and tcp[tcpflags] & tcp-rst != 0) or (ip6 and ip6[53] & 4 != 0)";
      const dump = cluster.lab.spawn(client, [...argv, resets], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      let seen = "";
      dump.stdout?.on("data", (text) => (seen += String(text)));
      await new Promise((resolve) => dump.stderr?.once("data", resolve));
      for (const address of [vip4, `[${vip6}]`]) {
        const { by, failures } = await askWeb(cluster, TRIES, { address });
        const refused = Array.from({ length: TRIES }, () => 7);
        assert.deepEqual([[...by], failures], [[], refused], "7: connection refused");
      }
      if (dump.exitCode === null) await new Promise((resolve) => dump.once("close", resolve));
      const clients = seen
        .trim()
        .split("\n")
        .map((line) => / > (\S+):/.exec(line)?.[1]);
      assert.equal(new Set(clients).size, 2 * TRIES, `one reset for each connection:\n${seen}`);
    });

    test(`B7: they serve again, and nothing is refused any more (${method})`, async () => {
      setReady(true);
      await untilAll("up");
      await untilUnserved(false);
      const { by, failures } = await askWeb(cluster, 60);
      assert.deepEqual([[...by.keys()].sort(), failures], [["m1", "m2", "m3"], []]);
    });
  });
}
