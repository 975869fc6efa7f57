// The how-to about connections that outlive their server, run as it stands (howto-machines.ts), on a cluster that is up: a stock curl and
// a stock nc go on when their member loses its network.
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";
import { blocksOf, declareBlocks, Machines } from "./howto-machines.ts";

const GROUPS = `groups:
  - name: files
    services: ["tcp ${STANDARD.vip4}:8080"]
  - name: lines
    services: ["tcp ${STANDARD.vip4}:7000"]
`;

describe("A16: how-to: connections that outlive their server", { skip }, () => {
  let machines: Machines;
  let cluster: LabCluster;
  before(async () => {
    const name = labName("howtoses");
    cluster = await LabCluster.up({
      ...{ name, members: 3, groups: GROUPS, extraConfig: CALM, downOnExit: true },
    });
    await cluster.settled();
    machines = new Machines(cluster.lab);
    await machines.add(STANDARD.client);
    for (const member of cluster.members) {
      const folder = cluster.lab.folder(member);
      copyFileSync(path.join(cluster.folder, `${member}.bundle`), path.join(folder, "own.bundle"));
      await machines.add(member, folder);
      // where an agent that was installed has them
      const install = `umask 077; mkdir -p /etc/panoply; mv /run/panoply/own.bundle /etc/panoply/node.bundle`;
      const { status, output } = machines.run(member, install);
      assert.equal(status, 0, output);
    }
  });
  after(async () => {
    machines?.remove();
    await cluster?.down();
  });
  declareBlocks(blocksOf("docs/howto/sessions.md"), () => machines);
});
