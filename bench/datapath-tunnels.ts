// What packets cost that go to nodes beyond the segment, or come from them (B11, docs/adr/0022), and those of groups with the policy quic
// (A14), beside a table-1 hit of the same run. `node bench/datapath-tunnels.ts` runs this part of the datapath benchmark alone; root is
// needed.
import { assert } from "#base/assert.ts";
import { mac, macBytes } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import type { Tables } from "#core/steering/tables.ts";
import { encapsulate } from "#core/steering/tunnels.ts";
import { connectionId, longHeader, shortHeader } from "#core/steering/testing/quic.ts";
import type { NodeTunnel } from "#driver/bpf/tunnel-map.ts";
import type { TunnelKind } from "#wire/tunnel.ts";
import {
  type CostTable,
  leastInTurn,
  partAlone,
  SMALL,
  type SubjectProgram,
} from "./datapath-cost.ts";
import { padded, quicKind, SELF, TABLE_1, TABLE_1_IPV6 } from "./datapath-traffic.ts";
import type { PacketKind } from "./packet-cost.ts";

/** Every packet of a run is of another flow, by chance. */
const SPREAD = { flows: 10_000, services: 1 };
const PASS = 2;
const RUNS_OF_A_TURN = 20;
const PACKETS = 100_000;
const KINDS: readonly TunnelKind[] = ["ipip", "geneve"];
const OWN_ADDRESS = Uint8Array.of(10, 8, 0, 1);
/** Where test runs of XDP come in: the loopback interface. What leaves by it is XDP_TX, as by a node's only interface. */
const LINK = 1;

const addressOf = (node: number): Uint8Array => Uint8Array.of(10, 99, 0, node);

/** To all nodes of the tables. */
const tunnelsOf = (kind: TunnelKind): NodeTunnel[] =>
  Array.from({ length: SMALL.nodes }, (_, index) => ({
    ...{ node: nodeId(2 + index), kind, link: LINK, mtu: 1500 },
    ...{ source: OWN_ADDRESS, destination: addressOf(2 + index) },
    nextMac: macBytes(mac("02:50:00:00:00:fe")),
    ownMac: macBytes(SELF.mac),
  }));

/** As node 2 sends it to this one. */
function arriving(kind: PacketKind, tunnel: TunnelKind): PacketKind {
  const sent = encapsulate(
    kind.frame,
    {
      ...{ kind: tunnel, source: addressOf(2), destination: OWN_ADDRESS, mtu: 1500 },
      ...{ nextMac: macBytes(SELF.mac), ownMac: new Uint8Array(6) },
    },
    1,
    nodeId(2),
  );
  assert("frame" in sent, "it fits");
  const more = sent.frame.byteLength - kind.frame.byteLength;
  const moved = (offset: number): number => offset + more;
  return {
    name: kind.name,
    frame: padded(sent.frame),
    returned: PASS,
    sourceOffset: moved(kind.sourceOffset),
    sourcePortOffset: moved(kind.sourcePortOffset),
    vipOffset: moved(kind.vipOffset),
    vipPortOffset: moved(kind.vipPortOffset),
  };
}

const everythingHere = (tables: Tables): Tables => ({
  ...tables,
  groups: tables.groups.map((group) => ({
    ...group,
    owners: group.owners.map(() => SELF.id),
  })),
});

interface Case {
  readonly name: string;
  readonly kind: PacketKind;
  readonly tunnels?: TunnelKind;
  readonly change?: (tables: Tables) => Tables;
}

const HIT: Case = { name: "TCP, table 1 (what these are compared with)", kind: TABLE_1 };

const tunnelCases = (kind: PacketKind): Case[] =>
  KINDS.flatMap((tunnels) => [
    { name: `${kind.name}, into a tunnel (${tunnels})`, kind, tunnels },
    {
      name: `${kind.name}, out of a tunnel (${tunnels}), taken by its owner`,
      kind: arriving(kind, tunnels),
      tunnels,
      change: everythingHere,
    },
  ]);

const CASES: readonly Case[] = [
  HIT,
  ...tunnelCases(TABLE_1),
  ...tunnelCases(TABLE_1_IPV6),
  { name: "QUIC, to the node that it names", kind: quicKind(shortHeader(connectionId(3))) },
  { name: "QUIC, an Initial: by its slot", kind: quicKind(longHeader(0, connectionId(3))) },
];

export function costOfTunnels(table: CostTable, subject: SubjectProgram): void {
  const least = leastInTurn(CASES, ({ kind, tunnels, change }) => {
    subject.publish(SMALL, change);
    subject.setTunnels(tunnels === undefined ? [] : tunnelsOf(tunnels), OWN_ADDRESS);
    return table.measure(kind, SPREAD, { runs: RUNS_OF_A_TURN, packets: PACKETS });
  });
  subject.setTunnels([], OWN_ADDRESS);
  const [hit = 0] = least;
  for (const [index, { name }] of CASES.entries()) {
    const value = least[index] ?? 0;
    table.rows.push({ name, value, unit: "ns/packet", ratio: value / hit });
  }
}

if (import.meta.main) {
  partAlone("Data path: tunnels and QUIC, as multiples of a table-1 hit", costOfTunnels);
}
