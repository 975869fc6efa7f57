// As many services as the packet program was loaded for, by IPv4 and by IPv6: those that find no room in the buckets are found too,
// and each comes and goes by itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { NO_EXCEPTIONS, type ServiceKey, type Tables } from "#core/steering/tables.ts";
import { ACK, ethernet, ipv4, ipv6, tcp } from "#core/steering/testing/frames.ts";
import { ROUTER_MAC, SELF } from "#core/steering/testing/vector.ts";
import { SteerProgram } from "./steer-program.ts";

const SERVICES = 512;
const VIPS = ["10.0.0.100", "2001:db8::100"] as const;
type Vip = (typeof VIPS)[number];
const PORTS = Array.from({ length: SERVICES }, (_, index) => 1000 + index);

const NO_LEASE = { leased: false, accepting: false };

function tablesOf(vip: string, ports: readonly number[]): Tables {
  const services = ports.map((port): ServiceKey => ({ protocol: "tcp", vip: ip(vip), port }));
  const owners = new Uint16Array(4).fill(2);
  const former = new Uint16Array(12);
  return {
    version: { epoch: 1, counter: 1, master: SELF.id },
    hashKey: [1, 2],
    hash: "keyed",
    delivery: { method: "forward", primary: undefined },
    nodes: [{ id: nodeId(2), mac: mac("02:50:00:00:00:02") }],
    vips: [ip(vip)],
    groups: [
      {
        name: "web",
        policy: "weighted",
        holds: false,
        services,
        owners,
        former,
        home: owners,
        udpIdleMs: 0,
        exceptions: NO_EXCEPTIONS,
      },
    ],
  };
}

const merged = (one: Tables, two: Tables): Tables["groups"] =>
  one.groups.map((group, index) => ({
    ...group,
    services: [...group.services, ...(two.groups[index]?.services ?? [])],
  }));

function frameTo(vip: string, port: number): Uint8Array {
  const segment = tcp({ from: 40_000, to: port }, ACK);
  const link = { to: SELF.mac, from: ROUTER_MAC };
  if (vip.includes(":")) {
    return ethernet(link, 0x86dd, ipv6({ source: "2001:db8:1::7", destination: vip }, 6, segment));
  }
  return ethernet(link, 0x0800, ipv4({ source: "192.0.2.1", destination: vip }, 6, segment));
}

function everyServiceIsFound(program: SteerProgram, vip: Vip): void {
  const isServed = (port: number): boolean =>
    program.run(frameTo(vip, port)).reason === "forward-owner";
  program.prepare(tablesOf(vip, PORTS), NO_LEASE);
  const apart = program.servicesApart;
  assert.ok(apart > 0 && apart < SERVICES / 4, `${apart} services are not in buckets`);
  assert.deepEqual(PORTS.filter(isServed), PORTS);
  const odd = PORTS.filter((port) => port % 2 === 1);
  program.prepare(tablesOf(vip, odd), NO_LEASE);
  assert.deepEqual(PORTS.filter(isServed), odd);
  program.prepare(tablesOf(vip, PORTS), NO_LEASE);
  assert.deepEqual(PORTS.filter(isServed), PORTS);
  program.prepare(tablesOf(vip, []), NO_LEASE);
  assert.equal(program.servicesApart, 0);
  assert.deepEqual(PORTS.filter(isServed), []);
}

/** Two addresses that fold to the same 32 bits: found by trying, see foldAddress(). */
const SAME_FOLD = ["2001:db8:9245::20", "2001:db8:a913:1::a02b"] as const;

for (const hook of ["xdp", "tc"] as const) {
  for (const vip of VIPS) {
    test(`B2, B14: ${hook}: every service of ${vip} is found, in a bucket or beside it, until it is taken away`, () => {
      const program = new SteerProgram(hook, SELF.id, mac(SELF.mac), { serviceCapacity: SERVICES });
      try {
        everyServiceIsFound(program, vip);
      } finally {
        program.close();
      }
    });
  }

  test(`B2: ${hook}: of two IPv6 addresses that look the same in a bucket, each has its own services`, () => {
    const [served, other] = SAME_FOLD;
    const program = new SteerProgram(hook, SELF.id, mac(SELF.mac), { serviceCapacity: SERVICES });
    const reason = (vip: string): string => program.run(frameTo(vip, 1000)).reason;
    try {
      program.prepare(tablesOf(served, [1000]), NO_LEASE);
      assert.deepEqual([served, other].map(reason), ["forward-owner", "pass-no-service"]);
      const [one, two] = [tablesOf(served, [1000]), tablesOf(other, [1000])];
      const both = { ...one, vips: [...one.vips, ...two.vips], groups: merged(one, two) };
      program.prepare(both, NO_LEASE);
      assert.equal(program.servicesApart, 1);
      assert.deepEqual([served, other].map(reason), ["forward-owner", "forward-owner"]);
      program.prepare(two, NO_LEASE);
      assert.deepEqual([served, other].map(reason), ["pass-no-service", "forward-owner"]);
    } finally {
      program.close();
    }
  });
}
