// What the doctor says of which facts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, linkLocalOf, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { diagnose, type DoctorFacts, type InterfaceFacts, type PeeringFacts } from "./doctor.ts";

const CM = mac("02:bf:0a:4d:00:64");
const MASKED = mac("02:10:01:4d:00:64");
const GROUP = mac("03:bf:0a:4d:00:0b");
const eth0: InterfaceFacts = {
  name: "eth0",
  mac: CM,
  wanted: CM,
  up: true,
  programs: [
    { name: "steer_tc", attached: true },
    { name: "peer_egress", attached: true },
  ],
  duplicates: [],
  madeOfClusterMac: undefined,
  sysctls: [{ name: "arp_ignore", value: 1, wanted: 1 }],
};
const row = (neighbour: string) => ({
  address: ip("10.77.0.12"),
  node: nodeId(2),
  mac: mac("02:10:02:4d:00:64"),
  source: "keepalive" as const,
  live: true,
  name: "m2",
  neighbour: { link: 2, address: ip("10.77.0.12"), mac: mac(neighbour), state: 2 },
});
const two = { name: "m2", address: ip("10.77.0.12") };
const peering: PeeringFacts = {
  clusterMac: CM,
  dedicated: [MASKED],
  rows: [row("02:10:02:4d:00:64")],
  refused: [],
  missing: [],
  queriers: {},
  rewrite: "responder",
  unreachable: [],
  leaks: [],
};
const healthy: DoctorFacts = {
  cluster: { master: "m1", absent: [], waiting: [] },
  interfaces: [eth0],
  flooding: { mac: CM, missed: [], others: 2 },
  peering,
  tunnels: [],
};
const found = (facts: Partial<DoctorFacts>): string =>
  diagnose({ ...healthy, ...facts })
    .map(
      ({ verdict, check, found: what, remedy = "" }) => `${verdict} ${check}: ${what} | ${remedy}`,
    )
    .join("\n");

test("C8: a host and a network as they should be have no findings but good ones", () => {
  assert.deepEqual(
    diagnose(healthy).filter(({ verdict }) => verdict !== "ok"),
    [],
  );
});

test("C1, C8: what is wrong is said with what to do", () => {
  const cases: readonly [Partial<DoctorFacts>, RegExp][] = [
    [
      { cluster: { master: undefined, absent: ["m2", "m3"], waiting: ["peering"] } },
      /wrong cluster: this node has no master.*\nwarning cluster: .*m2, m3.*\nwarning cluster: .*not followed yet: peering \| start the agents/,
    ],
    [{ peering: { ...peering, rows: [] } }, /ok reaching peers: no live member to ask/],
    [
      { interfaces: [{ ...eth0, up: false }] },
      /wrong interface eth0: it is down \| ip link set eth0 up/,
    ],
    [
      { interfaces: [{ ...eth0, mac: MASKED }] },
      /its MAC is 02:10:01.* and not 02:bf.*start the agent/,
    ],
    [
      { interfaces: [{ ...eth0, programs: [{ name: "peer_egress", attached: false }] }] },
      /without peer_egress/,
    ],
    [
      { interfaces: [{ ...eth0, duplicates: [ip("fe80::1")] }] },
      /another host has fe80::1.*accept_dad/,
    ],
    [
      { interfaces: [{ ...eth0, madeOfClusterMac: linkLocalOf(CM) }] },
      /warning interface eth0: .*fe80::bf:aff:fe4d:64 is made of the cluster MAC.*addr_gen_mode to 1/,
    ],
    [
      { interfaces: [{ ...eth0, sysctls: [{ name: "arp_ignore", value: 8, wanted: 1 }] }] },
      /wrong interface eth0: .*arp_ignore come to 8 and not to 1.*set net\.ipv4\.conf\.all\.arp_ignore to 0/,
    ],
    [
      { flooding: { mac: CM, missed: ["m3"], others: 2 } },
      /wrong switch and cluster MAC: .*does not reach m3 \| .*static entry of 02:bf/,
    ],
    [
      { peering: { ...peering, missing: [ip("fd77::11")] } },
      /wrong address fd77::11: .*the machine does not have it.*add it to its interface/,
    ],
    [
      { peering: { ...peering, rows: [row(CM)] } },
      /10\.77\.0\.12 of m2 is at the cluster MAC.*flush/,
    ],
    [
      { peering: { ...peering, dedicated: [GROUP], queriers: { igmp: ip("0.0.0.0") } } },
      /warning IGMP and MLD queriers: .*lose IPv4 frames to 03:bf.*set peering\.mac to masked/,
    ],
    [
      { peering: { ...peering, dedicated: [GROUP], queriers: { mld: ip("fe80::1") } } },
      /warning IGMP and MLD queriers: fe80::1 \(MLD\) asks .*lose IPv6 frames to 03:bf.*, while IPv4 passes/,
    ],
    [
      { peering: { ...peering, dedicated: [GROUP] } },
      /warning dedicated MACs and outsiders: .*set peering\.rewrite to initiator/,
    ],
    [
      { peering: { ...peering, unreachable: [{ ...two, resolved: false }] } },
      /wrong reaching peers: m2 does not answer ARP for 10\.77\.0\.12/,
    ],
    [
      { peering: { ...peering, dedicated: [GROUP], unreachable: [{ ...two, resolved: true }] } },
      /m2 answers ARP for 10\.77\.0\.12, and no IPv4 comes back \| .*set peering\.mac to masked/,
    ],
    [
      {
        peering: {
          ...peering,
          unreachable: [{ name: "m2", address: ip("fd77::12"), resolved: true }],
        },
      },
      /m2 answers neighbour discovery for fd77::12, and no IPv6 comes back \| .*filter/,
    ],
  ];
  for (const [facts, words] of cases) assert.match(found(facts), words);
});

test("C8: a MAC that was seen where it must not be is told of for ten minutes, with what to do", () => {
  const leak = { packets: 3, agoMs: 5000, mac: CM, address: ip("10.77.0.13"), name: "m3" };
  const told = (...leaks: PeeringFacts["leaks"]): string =>
    found({ peering: { ...peering, leaks } });
  assert.match(
    told({ ...leak, leak: "cluster-source" }),
    /^wrong leaked MACs: 3 frames came from the cluster MAC 02:bf.*5 s ago, from 10\.77\.0\.13 \(m3\).* \| .*start its agent again/m,
  );
  assert.match(
    told({ leak: "own-source", packets: 1, agoMs: 0, mac: MASKED }),
    /^wrong leaked MACs: a frame came from this node's own MAC 02:10:01.*the last one 0 s ago \| another machine/m,
  );
  assert.match(
    told({ ...leak, leak: "outsider", mac: mac("02:00:00:00:00:aa") }),
    /^warning leaked MACs: .*from 02:00:00:00:00:aa, which is no member's.* \| empty that machine's neighbour cache/m,
  );
  assert.match(
    told({ ...leak, leak: "outsider", agoMs: 600_000 }),
    /^ok leaked MACs: none was seen in the last 10 minutes/m,
  );
});

test("C8: a querier does not matter where dedicated MACs are unicast", () => {
  const facts = { peering: { ...peering, queriers: { igmp: ip("0.0.0.0") } } };
  assert.match(found(facts), /ok IGMP and MLD queriers: do not matter/);
});

test("B11: the way to a node beyond the segment: how long packets may be, and whether it is known at all", () => {
  const way = {
    name: "m3",
    address: "10.99.0.13",
    kind: "ipip",
    known: true,
    longest: 1480,
  } as const;
  assert.match(
    found({ tunnels: [way] }),
    /^ok way to m3: by ipip, for packets of up to 1480 bytes/m,
  );
  assert.match(
    found({ tunnels: [{ ...way, known: false }] }),
    /^wrong way to m3: .*nothing is sent \| see `ip route get 10.99.0.13`/m,
  );
  assert.match(found({ tunnels: [{ ...way, longest: 1280 }] }), /^ok way to m3: /m);
  assert.match(
    found({ tunnels: [{ ...way, kind: "geneve", longest: 1256 }] }),
    /^warning way to m3: .*up to 1256 bytes: IPv6 needs 1280.* \| .*`ip route get 10.99.0.13`.* at least 1324$/m,
  );
});
