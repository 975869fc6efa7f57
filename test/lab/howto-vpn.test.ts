// The how-to of the VPN cluster, run as it stands: members with an arm in the clients' network and one in the office's,
// four clients, and a web server in the office.
import { after, before, describe } from "node:test";
import { Lab } from "#lab/lab.ts";
import { webServer } from "#lab/standard.ts";
import type { Host, Topology } from "#lab/topology.ts";
import { blocksOf, declareBlocks, Machines } from "./howto-machines.ts";

const skip = process.getuid?.() === 0 ? false : "namespaces need root";
const MEMBERS = [1, 2, 3];
const CLIENTS = [1, 2, 3, 4];

const member = (number: number): Host => ({
  name: `m${number}`,
  links: [
    { switch: "outside", addresses: [`10.77.0.1${number}/24`] },
    { switch: "inside", interface: "eth1", addresses: [`10.88.0.1${number}/24`] },
  ],
});
const client = (number: number): Host => ({
  name: `c${number}`,
  links: [{ switch: "outside", addresses: [`10.77.0.2${number}/24`] }],
});
const office: Host = {
  name: "office",
  links: [{ switch: "inside", addresses: ["10.88.0.2/24"] }],
  run: [webServer()],
};
const TOPOLOGY: Topology = {
  switches: [{ name: "outside" }, { name: "inside" }],
  hosts: [...MEMBERS.map(member), ...CLIENTS.map(client), office, { name: "admin" }],
};

describe("A20: how-to: VPN cluster", { skip }, () => {
  let machines: Machines;
  let lab: Lab;
  before(async () => {
    lab = await Lab.up(TOPOLOGY, { name: `t${process.pid}-vpn`, downOnExit: true });
    machines = new Machines(lab);
    await Promise.all(TOPOLOGY.hosts.map(({ name }) => machines.add(name)));
  });
  after(async () => {
    machines.remove();
    await lab.down();
  });
  declareBlocks(blocksOf("docs/howto/vpn-cluster.md"), () => machines);
});
