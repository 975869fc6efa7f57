// The how-tos are run as they stand: every block marked "sh" and a machine, in order (howto-machines.ts). A comment
// <!-- shows: … --> below a block says what its output must come to contain, blanks counting as one; the block is
// repeated until it does, unless it says "shows once".
import { after, before, describe } from "node:test";
import { Lab } from "#lab/lab.ts";
import { STANDARD, standardTopology } from "#lab/standard.ts";
import type { Host } from "#lab/topology.ts";
import { blocksOf, declareBlocks, Machines, splitBlocks } from "./howto-machines.ts";

const skip = process.getuid?.() === 0 ? false : "namespaces need root";

/** Blocks after which the cluster of the first page is what the troubleshooting page looks at. */
const RUNNING_UNTIL = "## Replace a machine";

describe("how-to: first cluster, troubleshooting and applications in it", { skip }, () => {
  let machines: Machines;
  let lab: Lab;
  before(async () => {
    const admin: Host = { name: "admin" };
    const topology = standardTopology({ members: 3, extraHosts: [admin] });
    lab = await Lab.up(topology, { name: `t${process.pid}-howto`, downOnExit: true });
    machines = new Machines(lab);
    const names = ["admin", STANDARD.client, "m1", "m2", "m3"];
    await Promise.all(names.map((name) => machines.add(name)));
  });
  after(async () => {
    machines.remove();
    await lab.down();
  });
  const [built, rest] = splitBlocks("docs/howto/first-cluster.md", RUNNING_UNTIL);
  const inBetween = [
    ...blocksOf("docs/howto/troubleshooting.md"),
    ...blocksOf("docs/howto/applications.md"),
  ];
  declareBlocks([...built, ...inBetween, ...rest], () => machines);
});

describe("how-to: try it in a lab", { skip }, () => {
  let machines: Machines;
  before(async () => {
    machines = new Machines(undefined);
    await machines.add("here");
  });
  after(() => {
    machines.run("here", "pan lab down --name try");
    machines.remove();
  });
  declareBlocks(blocksOf("docs/howto/try-it-in-a-lab.md"), () => machines);
});
