// `pan doctor`: what of this host and its network is not as the cluster needs it, and what to do. Gathering is apart from judging: each
// judgement is a function of facts.
import type { Diagnosis } from "#api/peers.ts";
import { compareIp, familyOf, type IpAddress, type MacAddress } from "#base/address.ts";
import { isGroupMac, type PeerRewrite } from "#base/peering.ts";
import type { HostRow } from "#core/peering/host-list.ts";
import { named, QUERIER_PRESENT_MS, starved, type Queriers } from "#core/peering/queriers.ts";
import { overheadOf, type TunnelKind } from "#wire/tunnel.ts";
import { judgeLeaks, type LeakFact } from "./leak-findings.ts";
import type { PeerRow } from "./peers.ts";

type Finding = Diagnosis["findings"][number];

/** Every link carries packets of so many bytes (RFC 8200 section 5). */
const IPV6_MINIMUM = 1280;

export interface InterfaceFacts {
  readonly name: string;
  readonly mac: MacAddress | undefined;
  /** What it has to be. */
  readonly wanted: MacAddress;
  readonly up: boolean;
  readonly programs: readonly { readonly name: string; readonly attached: boolean }[];
  /** IPv6 addresses that duplicate address detection has taken out of use. */
  readonly duplicates: readonly IpAddress[];
  /** The link-local address that the kernel makes of the cluster MAC, if it is there: other members' make the same. */
  readonly madeOfClusterMac: IpAddress | undefined;
  /** Settings that the kernel goes by: the larger of the interface's and that of all. */
  readonly sysctls: readonly SysctlFact[];
}

export interface SysctlFact {
  readonly name: string;
  readonly value: number;
  readonly wanted: number;
}

export interface PeeringFacts {
  readonly clusterMac: MacAddress;
  /** This node's, of the kind that is in force. */
  readonly dedicated: readonly MacAddress[];
  readonly rows: readonly PeerRow[];
  readonly refused: readonly HostRow[];
  /** Listed as this node's, and not on the machine. */
  readonly missing: readonly IpAddress[];
  readonly queriers: Queriers;
  readonly rewrite: PeerRewrite;
  /** Listed addresses of live peers that do not answer, and those of which not even the MAC is known. */
  readonly unreachable: readonly {
    readonly name: string;
    readonly address: IpAddress;
    readonly resolved: boolean;
  }[];
  readonly leaks: readonly LeakFact[];
}

export interface ClusterFacts {
  /** Name of the node that this one takes for the master. */
  readonly master: string | undefined;
  /** Configured nodes that are no members now, and are meant to be. */
  readonly absent: readonly string[];
  /** Settings that the agent goes by once it has started again. */
  readonly waiting: readonly string[];
}

export interface DoctorFacts {
  readonly cluster: ClusterFacts;
  readonly interfaces: readonly InterfaceFacts[];
  /** Live members that a frame to the cluster MAC did not reach; undefined: not asked, since members do not share one. */
  readonly flooding:
    | { readonly mac: MacAddress; readonly missed: readonly string[]; readonly others: number }
    | undefined;
  readonly peering: PeeringFacts | undefined;
  /** To nodes that are not on this node's segment (B11). */
  readonly tunnels: readonly TunnelFacts[];
}

export interface TunnelFacts {
  readonly name: string;
  readonly address: string;
  readonly kind: TunnelKind;
  /** The next machine on the way is known. */
  readonly known: boolean;
  /** Longest packet that fits, without the outer header. */
  readonly longest: number;
}

export function diagnose({
  cluster,
  interfaces,
  flooding,
  peering,
  tunnels,
}: DoctorFacts): Finding[] {
  return [
    ...judgeCluster(cluster),
    ...interfaces.flatMap(judgeInterface),
    ...tunnels.map(judgeTunnel),
    ...(flooding === undefined ? [] : [judgeFlooding(flooding)]),
    ...(peering === undefined ? [] : judgePeering(peering)),
  ];
}

const ok = (check: string, found: string): Finding => ({ check, verdict: "ok", found });
const bad = (
  verdict: "warning" | "wrong",
  check: string,
  found: string,
  remedy: string,
): Finding => ({ check, verdict, found, remedy });

function judgeCluster({ master, absent, waiting }: ClusterFacts): Finding[] {
  const check = "cluster";
  const findings: Finding[] = [];
  if (master === undefined) {
    const remedy =
      "see whether the nodes reach each other: interfaces up, the same cluster.port and keys, no filter and no IGMP snooping between them";
    findings.push(
      bad("wrong", check, "this node has no master, so nothing can be changed", remedy),
    );
  }
  if (absent.length > 0) {
    const found = `configured, and no members: ${absent.join(", ")}`;
    const remedy = "start their agents; pan status there says why one is not taken";
    findings.push(bad("warning", check, found, remedy));
  }
  if (waiting.length > 0) {
    const found = `configured, and not followed yet: ${waiting.join(", ")}`;
    findings.push(bad("warning", check, found, "start the agents again, one after the other"));
  }
  if (findings.length > 0) return findings;
  return [ok(check, `${master} is master, and every configured node is a member`)];
}

function judgeTunnel({ name, address, kind, known, longest }: TunnelFacts): Finding {
  const check = `way to ${name}`;
  if (!known) {
    const remedy = `see \`ip route get ${address}\`, and whether the next machine there answers ARP`;
    return bad("wrong", check, "the next machine is not known, and nothing is sent", remedy);
  }
  const found = `by ${kind}, for packets of up to ${longest} bytes`;
  if (longest >= IPV6_MINIMUM) return ok(check, found);
  return bad(
    "warning",
    check,
    `${found}: IPv6 needs ${IPV6_MINIMUM}, and clients send no shorter ones`,
    `give the interface that \`ip route get ${address}\` names an MTU of at least ${IPV6_MINIMUM + overheadOf(kind)}`,
  );
}

function judgeInterface(facts: InterfaceFacts): Finding[] {
  const check = `interface ${facts.name}`;
  const findings: Finding[] = [];
  const missing = facts.programs.filter(({ attached }) => !attached).map(({ name }) => name);
  if (!facts.up) findings.push(bad("wrong", check, "it is down", `ip link set ${facts.name} up`));
  if (facts.mac !== facts.wanted) {
    const found = `its MAC is ${facts.mac ?? "unknown"} and not ${facts.wanted}`;
    findings.push(bad("wrong", check, found, "somebody changed it; start the agent again"));
  }
  if (missing.length > 0) {
    const found = `without ${missing.join(", ")}`;
    findings.push(bad("wrong", check, found, "somebody removed them; start the agent again"));
  }
  if (facts.duplicates.length > 0) {
    const found = `another host has ${facts.duplicates.join(", ")} (duplicate address detection)`;
    const remedy = `set net.ipv6.conf.${facts.name}.accept_dad to 0 where members share one MAC, then add the address again`;
    findings.push(bad("warning", check, found, remedy));
  }
  findings.push(
    ...judgeLinkLocal(facts),
    ...facts.sysctls.flatMap((each) => judgeSysctl(facts, each)),
  );
  if (findings.length > 0) return findings;
  return [ok(check, `up, MAC ${facts.wanted}, with ${facts.programs.length} programs`)];
}

function judgeLinkLocal({ name, madeOfClusterMac: address }: InterfaceFacts): Finding[] {
  if (address === undefined) return [];
  const found = `its link-local address ${address} is made of the cluster MAC, as other members' would be`;
  const remedy =
    `set net.ipv6.conf.${name}.addr_gen_mode to 1, remove ${address}, ` +
    "and add one of its own (docs/howto/peers.md)";
  return [bad("warning", `interface ${name}`, found, remedy)];
}

/** The agent sets the interface's own; what is set for all interfaces may be larger. */
function judgeSysctl(
  { name: device }: InterfaceFacts,
  { name, value, wanted }: SysctlFact,
): Finding[] {
  if (value === wanted) return [];
  const found = `net.ipv4.conf.{all,${device}}.${name} come to ${value} and not to ${wanted}: ARP for virtual addresses is not answered as the cluster needs it`;
  const remedy = `set net.ipv4.conf.all.${name} to 0 and net.ipv4.conf.${device}.${name} to ${wanted}`;
  return [bad("wrong", `interface ${device}`, found, remedy)];
}

function judgeFlooding({ mac, missed, others }: NonNullable<DoctorFacts["flooding"]>): Finding {
  const check = "switch and cluster MAC";
  if (others === 0) return ok(check, "no other member to ask");
  if (missed.length === 0)
    return ok(check, `a frame to ${mac} reaches every other member (${others})`);
  const remedy =
    `the switch has learned ${mac} behind one port, or does not flood unknown addresses: clear its address table, or give it a static entry of ${mac} ` +
    "for all ports of members (docs/howto/peers.md)";
  return bad("wrong", check, `a frame to ${mac} does not reach ${missed.join(", ")}`, remedy);
}

function judgePeering(facts: PeeringFacts): Finding[] {
  return [
    ...judgeNeighbours(facts),
    ...facts.refused.map(({ address, mac }) =>
      bad(
        "wrong",
        `address ${address}`,
        `its dedicated MAC ${mac} is another node's (C14)`,
        "change one of the addresses, or set peering.mac to masked",
      ),
    ),
    ...facts.missing.map((address) =>
      bad(
        "wrong",
        `address ${address}`,
        "it is listed as this node's, and the machine does not have it: a link that goes down loses IPv6 addresses",
        "add it to its interface, or take it out of nodes[].addresses",
      ),
    ),
    judgeQuerier(facts),
    ...judgeRewrite(facts),
    ...judgeReach(facts),
    ...judgeLeaks(facts.leaks),
  ];
}

/** A peer that the stack has at the cluster MAC, or at anything else than its dedicated one, gets what everybody gets. */
function judgeNeighbours({ rows, clusterMac }: PeeringFacts): Finding[] {
  const check = "neighbour cache";
  const wrong = rows
    .filter(
      ({ live, mac, neighbour }) => live && neighbour?.mac !== undefined && neighbour.mac !== mac,
    )
    .toSorted((a, b) => compareIp(a.address, b.address));
  if (wrong.length === 0)
    return [ok(check, "peers are at their dedicated MACs, where they are known")];
  return wrong.map(({ address, name, mac, neighbour }) => {
    const is = neighbour?.mac === clusterMac ? "the cluster MAC" : String(neighbour?.mac);
    const found = `${address} of ${name} is at ${is} and not at ${mac}`;
    return bad("warning", check, found, `ip neigh flush to ${address}`);
  });
}

function judgeQuerier({ queriers, dedicated }: PeeringFacts): Finding {
  const check = "IGMP and MLD queriers";
  if (!dedicated.some(isGroupMac)) return ok(check, "do not matter: dedicated MACs are unicast");
  const family = starved(queriers);
  if (family === "") {
    return ok(check, `none was heard in the last ${QUERIER_PRESENT_MS / 1000} seconds`);
  }
  const passes = { IPv4: ", while ARP and IPv6 pass", IPv6: ", while IPv4 passes" }[family] ?? "";
  const found = `${named(queriers)} asks for groups: switches that listen lose ${family} frames to ${dedicated.find(isGroupMac)}${passes}`;
  const remedy =
    "turn IGMP and MLD snooping off on the switch, or make the members' ports router ports; then, unless that is to stay, set peering.mac to masked";
  return bad("warning", check, found, remedy);
}

/** A reply to a group MAC is flooded: a host that takes all group frames (a virtual interface, a capture) learns what it tells. */
function judgeRewrite({ rewrite, dedicated }: PeeringFacts): Finding[] {
  const group = dedicated.find(isGroupMac);
  if (group === undefined || rewrite === "initiator") return [];
  const found = `replies tell ${group} and are flooded: hosts that take all group frames learn it`;
  const remedy = "set peering.rewrite to initiator, or peering.mac to masked";
  return [bad("warning", "dedicated MACs and outsiders", found, remedy)];
}

function judgeReach({ rows, unreachable, dedicated }: PeeringFacts): Finding[] {
  const check = "reaching peers";
  if (!rows.some(({ live }) => live)) return [ok(check, "no live member to ask")];
  if (unreachable.length === 0) return [ok(check, "every live member answers at every address")];
  return unreachable.map(({ name, address, resolved }) => {
    const [family, question] =
      familyOf(address) === 4 ? ["IPv4", "ARP"] : ["IPv6", "neighbour discovery"];
    if (!resolved) {
      const remedy = "see pan peers on both; the section peering must be the same on all members";
      return bad("wrong", check, `${name} does not answer ${question} for ${address}`, remedy);
    }
    const remedy = dedicated.some(isGroupMac)
      ? "a switch drops frames to group MACs: set peering.mac to masked"
      : "see whether a filter on the way drops TCP to the cluster's port";
    const found = `${name} answers ${question} for ${address}, and no ${family} comes back`;
    return bad("wrong", check, found, remedy);
  });
}
