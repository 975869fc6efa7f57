// As many IPv4 services as the packet program was loaded for: those that find no room in the buckets are found too, and
// each comes and goes by itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import type { ServiceKey, Tables } from "#core/steering/tables.ts";
import { ACK, ethernet, ipv4, tcp } from "#core/steering/testing/frames.ts";
import { ROUTER_MAC, SELF } from "#core/steering/testing/vector.ts";
import { SteerProgram } from "./steer-program.ts";

const SERVICES = 512;
const VIP = "10.0.0.100";
const PORTS = Array.from({ length: SERVICES }, (_, index) => 1000 + index);

const NO_LEASE = { leased: false, accepting: false };

function tablesOf(ports: readonly number[]): Tables {
  const services = ports.map((port): ServiceKey => ({ protocol: "tcp", vip: ip(VIP), port }));
  const owners = new Uint16Array(4).fill(2);
  const former = new Uint16Array(12);
  return {
    version: { epoch: 1, counter: 1, master: SELF.id },
    hashKey: [1, 2],
    hash: "keyed",
    delivery: { method: "forward", primary: undefined },
    nodes: [{ id: nodeId(2), mac: mac("02:50:00:00:00:02") }],
    vips: [ip(VIP)],
    groups: [
      { name: "web", policy: "weighted", holds: false, services, owners, former, home: owners },
    ],
  };
}

function frameTo(port: number): Uint8Array {
  const packet = ipv4(
    { source: "192.0.2.1", destination: VIP },
    6,
    tcp({ from: 40_000, to: port }, ACK),
  );
  return ethernet({ to: SELF.mac, from: ROUTER_MAC }, 0x0800, packet);
}

for (const hook of ["xdp", "tc"] as const) {
  test(`B2, B14: ${hook}: every service is found, in a bucket or beside it, until it is taken away`, () => {
    const program = new SteerProgram(hook, SELF.id, mac(SELF.mac), { serviceCapacity: SERVICES });
    const isServed = (port: number): boolean =>
      program.run(frameTo(port)).reason === "forward-owner";
    try {
      program.prepare(tablesOf(PORTS), NO_LEASE);
      const apart = program.servicesApart;
      assert.ok(apart > 0 && apart < SERVICES / 4, `${apart} services are not in buckets`);
      assert.deepEqual(PORTS.filter(isServed), PORTS);
      const odd = PORTS.filter((port) => port % 2 === 1);
      program.prepare(tablesOf(odd), NO_LEASE);
      assert.deepEqual(PORTS.filter(isServed), odd);
      program.prepare(tablesOf(PORTS), NO_LEASE);
      assert.deepEqual(PORTS.filter(isServed), PORTS);
      program.prepare(tablesOf([]), NO_LEASE);
      assert.equal(program.servicesApart, 0);
      assert.deepEqual(PORTS.filter(isServed), []);
    } finally {
      program.close();
    }
  });
}
