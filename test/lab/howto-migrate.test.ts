// The how-to for those who come from keepalived or IPVS, run as it stands (howto-machines.ts), and the example of the importer's own
// tests, judged by keepalived itself.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Lab } from "#lab/lab.ts";
import { STANDARD, standardTopology } from "#lab/standard.ts";
import type { Host } from "#lab/topology.ts";
import { root } from "#tools/steps.ts";
import { blocksOf, declareBlocks, Machines } from "./howto-machines.ts";

const skip = process.getuid?.() === 0 ? false : "namespaces need root";

describe("how-to: coming from keepalived or IPVS", { skip }, () => {
  let machines: Machines;
  let lab: Lab;
  before(async () => {
    // it needs no address: only keepalived, which looks at the interface
    const admin: Host = { name: "admin", links: [{ switch: STANDARD.switch }] };
    const topology = standardTopology({ members: 2, extraHosts: [admin] });
    lab = await Lab.up(topology, { name: `t${process.pid}-migrate`, downOnExit: true });
    machines = new Machines(lab);
    await Promise.all(["admin", STANDARD.client, "m1", "m2"].map((name) => machines.add(name)));
  });
  after(async () => {
    machines.remove();
    await lab.down();
  });

  test("the example of the importer is valid to keepalived", () => {
    const folder = path.join(root, "examples/import");
    const { status, output } = machines.run("m1", `cd ${folder}; keepalived -t -f keepalived.conf`);
    assert.deepEqual({ status, output }, { status: 0, output: "" });
  });

  declareBlocks(blocksOf("docs/howto/migrate.md"), () => machines);
});
