// The how-to of the firewall cluster, run as it stands: two members between two networks, a server with sixteen addresses outside, a
// PC inside.
import path from "node:path";
import { after, before, describe } from "node:test";
import { Lab } from "#lab/lab.ts";
import type { Host, Program, Topology } from "#lab/topology.ts";
import { blocksOf, declareBlocks, Machines } from "./howto-machines.ts";

const skip = process.getuid?.() === 0 ? false : "namespaces need root";

const server: Program = {
  name: "web",
  argv: [process.execPath, path.join(import.meta.dirname, "checksum-server.ts")],
  ready: { tcp: 80 },
};
const member = (number: number): Host => ({
  name: `m${number}`,
  links: [
    { switch: "outside", addresses: [`10.77.0.1${number}/24`] },
    { switch: "inside", interface: "eth1", addresses: [`10.88.0.1${number}/24`] },
  ],
});
const TOPOLOGY: Topology = {
  switches: [{ name: "outside" }, { name: "inside" }],
  hosts: [
    member(1),
    member(2),
    {
      name: "server",
      links: [
        {
          switch: "outside",
          addresses: Array.from({ length: 16 }, (_, index) => `10.77.0.${21 + index}/24`),
        },
      ],
      run: [server],
    },
    { name: "pc", links: [{ switch: "inside", addresses: ["10.88.0.2/24"] }], run: [server] },
    { name: "admin" },
  ],
};

describe("A22: how-to: firewall cluster", { skip }, () => {
  let machines: Machines;
  let lab: Lab;
  before(async () => {
    lab = await Lab.up(TOPOLOGY, { name: `t${process.pid}-fw`, downOnExit: true });
    machines = new Machines(lab);
    await Promise.all(TOPOLOGY.hosts.map(({ name }) => machines.add(name)));
  });
  after(async () => {
    machines.remove();
    await lab.down();
  });
  declareBlocks(blocksOf("docs/howto/firewall-cluster.md"), () => machines);
});
