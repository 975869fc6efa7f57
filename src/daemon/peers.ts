// Members that share one MAC (part C), on this node: keeps the host list in the kernel, from the configuration, from what
// keepalives tell and from the addresses that the machine has, and says what is known of each peer.
import type { Logger } from "pino";
import type { IpAddress, MacAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { dedicatedMac, isGroupMac, PEER_MAC_KINDS, peerMac, type PeerMacs } from "#base/peering.ts";
import { virtualAddresses } from "#config/config.ts";
import type { ClusterConfig, NodeConfig, PeeringConfig } from "#config/schema.ts";
import type { View } from "#core/membership/types.ts";
import {
  hostList,
  outdated,
  sourceMacs,
  type HostList,
  type HostRow,
} from "#core/peering/host-list.ts";
import type { PeerLeak } from "#core/peering/leaks.ts";
import { ownAddresses } from "#core/peering/own-addresses.ts";
import { QuerierMemory, type Queriers } from "#core/peering/queriers.ts";
import type { PeerReason } from "#core/peering/reasons.ts";
import { PEER_DEDICATED } from "#driver/bpf/peer-abi.gen.ts";
import { peerPrefix, type PeerSettings } from "#driver/bpf/peer-settings.ts";
import { PeerPrograms } from "#driver/bpf/peer-programs.ts";
import type { LeakCount, OwnEntry, PeerCount } from "#driver/bpf/peer-table.ts";
import type { Count } from "#driver/bpf/types.ts";
import { PeerFrames } from "#driver/host/peer-frames.ts";
import { QuerierWatch } from "#driver/host/querier-watch.ts";
import { libc } from "#driver/libc.ts";
import type { Neighbour } from "#driver/netlink/neighbour-message.ts";
import { Rtnetlink } from "#driver/netlink/rtnetlink.ts";
import type { HostFacts } from "./host-facts.ts";
import type { OwnMacs } from "./perform.ts";

export interface PeersOptions {
  readonly self: NodeConfig;
  readonly facts: HostFacts;
  readonly config: () => ClusterConfig;
  /** Map own_addresses of the packet program. */
  readonly ownAddressesFd: number;
  readonly log: Pick<Logger, "warn">;
}

/** One address of another node. */
export interface PeerRow extends HostRow {
  readonly name: string;
  /** What this node's own stack has found out about it. */
  readonly neighbour?: Neighbour;
}

export interface PeersReport {
  readonly peering: PeeringConfig;
  readonly clusterMac: MacAddress;
  readonly own: readonly OwnEntry[];
  readonly rows: readonly PeerRow[];
  readonly refused: readonly HostRow[];
  /** Listed as this node's, and not on the machine. */
  readonly missing: readonly IpAddress[];
  readonly counts: ReadonlyMap<NodeId, PeerCount>;
  readonly reasons: Readonly<Record<PeerReason, Count>>;
  readonly leaks: ReadonlyMap<PeerLeak, LeakCount>;
  /** Of the cluster's networks, as far as they were heard lately. */
  readonly queriers: Queriers;
}

const NUD_PERMANENT = 0x80;

/** Who lives is known for so long after it was said: several repairs. */
const INFORMED_NS = 10_000_000_000n;

interface OwnAddress extends OwnEntry {
  /** Index of its interface. */
  readonly link: number;
}

export class Peers {
  readonly #options: PeersOptions;
  /** Choices follow the configuration; which MAC the interface has was decided at the start. */
  readonly #primary: IpAddress;
  readonly #netlink: Rtnetlink;
  readonly #programs: PeerPrograms;
  readonly #frames: PeerFrames;
  readonly #watch: QuerierWatch;
  readonly #heard = new QuerierMemory();
  #list: HostList = { rows: [], refused: [] };
  #own: readonly OwnAddress[] = [];
  #view: View | undefined;
  #warned = "";

  private constructor(options: PeersOptions, peering: PeeringConfig) {
    this.#options = options;
    this.#primary = peering.primary;
    this.#netlink = Rtnetlink.open();
    this.#observe();
    const interfaces = this.#interfaces;
    this.#programs = PeerPrograms.open(interfaces, options.ownAddressesFd, this.#settings());
    this.#frames = new PeerFrames(interfaces);
    this.#watch = new QuerierWatch(interfaces);
    this.#write();
  }

  /** The programs are on the interfaces afterwards; then the interfaces may have the cluster MAC. */
  static open(options: PeersOptions): Peers | undefined {
    const { peering } = options.config();
    return peering === undefined ? undefined : new Peers(options, peering);
  }

  /** Those that have the cluster MAC; the cluster interface first. */
  get #interfaces(): string[] {
    const { facts } = this.#options;
    return [facts, ...facts.arms].map((port) => port.interface);
  }

  get ownMacs(): OwnMacs {
    const { facts } = this.#options;
    const { clusterMac, dedicated } = this.#settings();
    return { linkMac: facts.linkMac ?? clusterMac, dedicated };
  }

  /**
   * Once the interfaces have the cluster MAC: neighbours learn where this node is now, peers its dedicated MACs, and switches the
   * port of these, from frames that go nowhere.
   */
  announce(): void {
    const { clusterMac, outsiderSource } = this.#settings();
    this.#teach();
    for (const { address, link } of this.#own) {
      this.#frames.announce({ address, mac: clusterMac }, outsiderSource, link);
    }
  }

  viewChanged(view: View): void {
    this.#view = view;
    this.refresh();
  }

  /** Also after a change of the configuration. */
  refresh(): void {
    this.#observe();
    const isOther = this.#programs.change(this.#settings());
    this.#write();
    if (isOther) this.announce();
  }

  /** Every few seconds: addresses come and go, switches forget, and a peer that was started anew does not know who asked it before (C15). */
  repair(): void {
    this.refresh();
    const { clusterMac } = this.#settings();
    this.#teach();
    this.queriers(); // takes what has come
    if (!this.#peering.sourceCheck) return;
    for (const row of this.#others()) {
      // what is for the MAC of a dead node is flooded once a switch has forgotten it
      const to = row.live ? row : { address: row.address };
      this.#frames.ask(to, { address: this.#options.self.address, mac: clusterMac });
    }
  }

  /** A switch that learned the shared MAC (C11) would send what is for all members to the last one that taught it. */
  #teach(): void {
    const { dedicated, shared } = this.#settings();
    this.#frames.teach(dedicated.filter((mac) => !isGroupMac(mac) && mac !== shared));
  }

  /** Of the cluster's networks, as far as they were heard lately. */
  queriers(): Queriers {
    const now = performance.now();
    this.#heard.hear(this.#watch.heard(), now);
    return this.#heard.at(now);
  }

  report(): PeersReport {
    const { config } = this.#options;
    const names = new Map(config().nodes.map(({ id, name }) => [id, name]));
    const neighbours = new Map(this.#netlink.neighbours().map((each) => [each.address, each]));
    const rows = this.#others().map((row) => {
      const neighbour = neighbours.get(row.address);
      const name = names.get(row.node) ?? String(row.node);
      return { ...row, name, ...(neighbour === undefined ? {} : { neighbour }) };
    });
    const { table } = this.#programs;
    const own = new Set(this.#own.map(({ address }) => address));
    const ownRows = this.#list.rows.filter(({ node }) => node === this.#options.self.id);
    return {
      peering: this.#peering,
      clusterMac: this.#settings().clusterMac,
      own: this.#own,
      rows,
      refused: this.#list.refused,
      missing: ownRows.map(({ address }) => address).filter((address) => !own.has(address)),
      counts: new Map(rows.map(({ node }) => [node, table.countOf(node)])),
      reasons: table.reasons(),
      leaks: table.leaks(),
      queriers: this.queriers(),
    };
  }

  /** The programs go on, and nobody tells them any more who lives: a local responder must not answer (C13). */
  close(): void {
    try {
      const others = this.#others().map((row) => ({ ...row, live: false }));
      this.#programs.table.write(others, this.#own);
      this.#programs.informed(0n);
    } finally {
      this.#frames.close();
      this.#watch.close();
      this.#programs.close();
      this.#netlink.close();
    }
  }

  #others(): HostRow[] {
    return this.#list.rows.filter(({ node }) => node !== this.#options.self.id);
  }

  /** Turned off while this agent runs: it goes on as it started until it is started again. */
  get #peering(): PeeringConfig {
    const { peering } = this.#options.config();
    this.#last = peering ?? this.#last;
    const last = this.#last;
    if (last === undefined) throw new RangeError("Peers exist where there is peering");
    return { ...last, primary: this.#primary };
  }
  #last: PeeringConfig | undefined;

  get #macs(): PeerMacs {
    const { mac: kind, sharedMac } = this.#peering;
    return {
      kind,
      primary: this.#primary,
      ...(sharedMac === undefined ? {} : { sharedMac }),
    };
  }

  #observe(): void {
    const { self, config } = this.#options;
    const current = config();
    const nodes = current.nodes.map((node) => ({ ...node, addresses: node.addresses ?? [] }));
    const macs = this.#macs;
    const before = this.#list;
    this.#list = hostList(nodes, this.#view?.members ?? [], macs);
    this.#forget(outdated(before, this.#list));
    const listed = new Map(
      this.#list.rows.flatMap((row) => (row.node === self.id ? [[row.address, row.mac]] : [])),
    );
    const first = dedicatedMac(macs, this.#self, self.address);
    this.#own = ownAddresses(this.#netlink.addresses(), {
      first: self.address,
      listed: new Set(listed.keys()),
      virtual: new Set(virtualAddresses(current)),
      links: new Set(this.#interfaces.map((name) => libc.ifNameToIndex(name))),
    }).map(({ address, link }) => ({ address, link, mac: listed.get(address) ?? first }));
  }

  /** What an operator has made permanent stays. */
  #forget(addresses: readonly IpAddress[]): void {
    if (addresses.length === 0) return;
    const asked = new Set(addresses);
    for (const each of this.#netlink.neighbours()) {
      const isFixed = (each.state & NUD_PERMANENT) !== 0;
      if (asked.has(each.address) && !isFixed) this.#netlink.forgetNeighbour(each);
    }
  }

  get #self(): NodeConfig {
    const { self, config } = this.#options;
    return config().nodes.find(({ id }) => id === self.id) ?? self;
  }

  #settings(): PeerSettings {
    const { self, facts } = this.#options;
    const { primary } = this.#peering;
    const macs = this.#macs;
    const told = dedicatedMac(macs, this.#self, self.address);
    const { outsiders, peers } = sourceMacs(self.id, macs, told);
    const known = peerMac(self.id, primary);
    return {
      clusterMac: facts.linkMac ?? known,
      outsiderSource: outsiders,
      peerSource: peers,
      dedicated: this.#dedicated(known, told),
      ...(macs.kind === "shared" ? { shared: told } : {}),
      prefix: peerPrefix(macs, told),
      choices: this.#peering,
    };
  }

  /** Those that peers are told of, and those of the other kinds: the kind may change while peers still send to the one before. */
  #dedicated(known: MacAddress, told: MacAddress): MacAddress[] {
    const own = this.#own.filter(({ address }) => this.#isListed(address));
    const others = PEER_MAC_KINDS.filter((kind) => kind !== "shared").flatMap((kind) =>
      own.map(({ address }) => dedicatedMac({ ...this.#macs, kind }, this.#self, address)),
    );
    const all = [known, told, ...this.#own.map(({ mac }) => mac), ...others];
    return [...new Set(all)].slice(0, PEER_DEDICATED);
  }

  #isListed(address: IpAddress): boolean {
    const { address: first, addresses = [] } = this.#self;
    return address === first || addresses.includes(address);
  }

  #write(): void {
    const { log } = this.#options;
    const noRoom = this.#programs.table.write(this.#others(), this.#own);
    this.#programs.informed(process.hrtime.bigint() + INFORMED_NS);
    const refused = this.#list.refused.map(({ address, mac }) => `${address} (${mac})`);
    const trouble = JSON.stringify([noRoom, refused]);
    if (trouble === this.#warned) return;
    this.#warned = trouble;
    if (noRoom.peers > 0) {
      log.warn({ left: noRoom.peers }, "addresses of peers that found no room are outsiders'");
    }
    if (noRoom.own > 0) {
      const left = this.#own.slice(-noRoom.own).map(({ address }) => address);
      log.warn(
        { left },
        "own addresses that found no room: what comes to the cluster MAC for them is dropped",
      );
    }
    if (refused.length > 0) {
      log.warn({ refused }, "another node has the same address or dedicated MAC (C14)");
    }
  }
}
