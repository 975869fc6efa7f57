// Gathers what the doctor judges: looks at this host, and asks the network. Changes nothing.
import { connect } from "node:net";
import type { Diagnosis } from "#api/peers.ts";
import { linkLocalOf } from "#base/address.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import type { View } from "#core/membership/types.ts";
import type { Delivery } from "#core/steering/tables.ts";
import { occupied } from "#driver/bpf/attachment.ts";
import { findNetdev, hasCarrier } from "#driver/bpf/netdev.ts";
import type { Hook } from "#driver/bpf/types.ts";
import { ARP_SETTINGS, effectiveSysctl } from "#driver/host/arp-settings.ts";
import { monotonicMs } from "#driver/cluster/cluster-socket.ts";
import type { SwitchProbe } from "#driver/host/switch-probe.ts";
import { Rtnetlink } from "#driver/netlink/rtnetlink.ts";
import { overheadOf } from "#wire/tunnel.ts";
import {
  type ClusterFacts,
  diagnose,
  type DoctorFacts,
  type InterfaceFacts,
  type PeeringFacts,
} from "./doctor.ts";
import type { HostFacts, PortFacts } from "./host-facts.ts";
import type { LeakFact } from "./leak-findings.ts";
import type { PeerRow, Peers, PeersReport } from "./peers.ts";
import { toldMac } from "./perform.ts";
import type { NodeTunnels } from "./tunnels/node-tunnels.ts";

export interface Patient {
  readonly self: NodeConfig;
  readonly facts: HostFacts;
  readonly store: { readonly current: { readonly config: ClusterConfig } };
  readonly view: () => View | undefined;
  readonly datapath: { readonly hook: Hook };
  /** Settings that the agent goes by once it has started again. */
  readonly waiting: readonly string[];
  /** As clients are told. */
  readonly delivery: () => Delivery;
  readonly peers?: Peers | undefined;
  readonly probe: SwitchProbe;
  readonly tunnels: Pick<NodeTunnels, "to">;
}

const PROBE_MS = 300;
const CONNECT_MS = 1000;
const CONNECTIONS_AT_ONCE = 64;
const IFA_F_DADFAILED = 0x08;

export async function examine(patient: Patient): Promise<Diagnosis> {
  const [flooding, peering] = await Promise.all([
    askSwitch(patient),
    patient.peers === undefined ? undefined : askPeers(patient, patient.peers),
  ]);
  const facts: DoctorFacts = {
    cluster: lookAtCluster(patient),
    interfaces: lookAtInterfaces(patient),
    flooding,
    peering,
    tunnels: tunnelsOf(patient),
  };
  return { findings: diagnose(facts) };
}

function lookAtCluster({ view, store, waiting }: Patient): ClusterFacts {
  const { nodes } = store.current.config;
  const { master, members = [] } = view() ?? {};
  const present = new Set(members.map(({ id }) => id));
  return {
    master: nodes.find(({ id }) => id === master)?.name,
    absent: nodes
      .filter(({ id, maintenance }) => !present.has(id) && maintenance !== true)
      .map(({ name }) => name),
    waiting,
  };
}

const tunnelsOf = ({ store, tunnels }: Patient): DoctorFacts["tunnels"] =>
  store.current.config.nodes.flatMap(({ id, name, address }) => {
    const tunnel = tunnels.to(id);
    if (tunnel === undefined) return [];
    const { kind, mtu, nextMac } = tunnel;
    const known = nextMac !== undefined;
    return [{ name, address, kind, known, longest: mtu - overheadOf(kind) }];
  });

function lookAtInterfaces({ facts, datapath: { hook }, peers }: Patient): InterfaceFacts[] {
  const netlink = Rtnetlink.open();
  try {
    const addresses = netlink.addresses();
    return [facts, ...facts.arms].map((port: PortFacts) => {
      const device = findNetdev(port.interface);
      const link = device?.ifindex ?? 0;
      const places = occupied(link, hook);
      const programs = [
        { name: `steer_${hook}`, attached: places.steer },
        { name: "mask_egress", attached: places.mask },
        ...(peers === undefined
          ? []
          : [
              { name: "peer_ingress", attached: places.peerIn },
              { name: "peer_egress", attached: places.peerOut },
            ]),
      ];
      const present = addresses.filter((each) => each.link === link);
      const ofMac = port.linkMac && linkLocalOf(port.linkMac);
      return {
        name: port.interface,
        mac: device?.mac,
        wanted: port.linkMac ?? port.mac,
        up: hasCarrier(port.interface),
        programs,
        duplicates: present
          .filter(({ flags }) => (flags & IFA_F_DADFAILED) !== 0)
          .map(({ address }) => address),
        madeOfClusterMac: present.find(({ address }) => address === ofMac)?.address,
        sysctls: ARP_SETTINGS.map(({ name, value: wanted }) => ({
          name,
          wanted,
          value: effectiveSysctl(port.interface, name),
        })),
      };
    });
  } finally {
    netlink.close();
  }
}

async function askSwitch(patient: Patient): Promise<DoctorFacts["flooding"]> {
  const mac = toldMac(patient.delivery());
  if (mac === undefined) return undefined;
  const others = othersOf(patient);
  const reached = await patient.probe.ask(mac, PROBE_MS);
  const missed = others.filter(({ id }) => !reached.has(id)).map(({ name }) => name);
  return { mac, missed, others: others.length };
}

function othersOf({ self, view, store }: Patient) {
  const names = new Map(store.current.config.nodes.map(({ id, name }) => [id, name]));
  return (view()?.members ?? [])
    .filter(({ id }) => id !== self.id)
    .map(({ id, address }) => ({ id, address, name: names.get(id) ?? String(id) }));
}

async function askPeers(patient: Patient, peers: Peers): Promise<PeeringFacts> {
  const { port } = patient.store.current.config.cluster;
  const silent = await silentAmong(peers.report().rows, port);
  // asking has filled the neighbour cache
  const report = peers.report();
  return {
    clusterMac: report.clusterMac,
    dedicated: [...new Set(report.own.map(({ mac }) => mac))],
    rewrite: report.peering.rewrite,
    rows: report.rows,
    refused: report.refused,
    missing: report.missing,
    queriers: report.queriers,
    unreachable: silent.map(({ name, address }) => ({
      name,
      address,
      resolved: isResolved(report, address),
    })),
    leaks: leaksIn(report, patient),
  };
}

/** Addresses of live members, of both families and of every interface, that nothing comes back from. */
async function silentAmong(rows: readonly PeerRow[], port: number): Promise<PeerRow[]> {
  const silent: PeerRow[] = [];
  const live = rows.filter((row) => row.live);
  for (let at = 0; at < live.length; at += CONNECTIONS_AT_ONCE) {
    const some = live.slice(at, at + CONNECTIONS_AT_ONCE);
    const answers = await Promise.all(some.map(({ address }) => answersTcp(address, port)));
    silent.push(...some.filter((_, index) => answers[index] !== true));
  }
  return silent;
}

function leaksIn({ leaks }: PeersReport, { store }: Patient): LeakFact[] {
  const { nodes } = store.current.config;
  return Array.from(leaks, ([leak, { seenMs, ...count }]) => {
    const node = nodes.find(
      ({ address, addresses = [] }) =>
        count.address !== undefined && [address, ...addresses].includes(count.address),
    );
    const name = node === undefined ? {} : { name: node.name };
    return { leak, agoMs: Math.max(0, monotonicMs() - seenMs), ...count, ...name };
  });
}

const isResolved = ({ rows }: PeersReport, address: string): boolean =>
  rows.find((row) => row.address === address)?.neighbour?.mac !== undefined;

/** Whether anything comes back, also a refusal. */
function answersTcp(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_MS });
    const end = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED"));
  });
}
