// The peering programs on a test bench: loaded but attached to nothing, run over single frames by BPF_PROG_TEST_RUN, beside the
// model with the same host list.
import { ipBytes, mac, macBytes, type IpAddress, type MacAddress } from "#base/address.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import { dedicatedMac, peerMac, type PeerChoices, type PeerMacs } from "#base/peering.ts";
import { clusterMac } from "#base/delivery.ts";
import { hostList, sourceMacs, type HostRow } from "#core/peering/host-list.ts";
import type { PeerReason } from "#core/peering/reasons.ts";
import type { PeeringContext } from "#core/peering/rules.ts";
import { PEER_NAMES, type Direction } from "#driver/bpf/attachment.ts";
import { bpfCheck, libbpf } from "#driver/bpf/libbpf.ts";
import { PEER_CONFIG } from "#driver/bpf/peer-abi.gen.ts";
import { PEER_SETTINGS_MAP, writeDeadline, writeSettings } from "#driver/bpf/peer-programs.ts";
import { peerPrefix, type PeerSettings } from "#driver/bpf/peer-settings.ts";
import { Mapping } from "#driver/libc.ts";
import { PEER_MAPS, PeerTable, type PeerMapFds } from "#driver/bpf/peer-table.ts";
import { LoadedObject } from "#driver/bpf/program-loader.ts";
import { testRun } from "#driver/bpf/test-run.ts";
import { hex } from "#wire/testing/hex.ts";

const ACTIONS: ReadonlyMap<number, string> = new Map([
  [0xffff_ffff, "pass"],
  [-1, "pass"],
  [2, "drop"],
  [7, "turn"],
]);

const FOREVER = 0xffff_ffff_ffff_ffffn;

export interface BenchNode {
  readonly id: NodeId;
  readonly address: IpAddress;
  readonly addresses: readonly IpAddress[];
  readonly mac?: MacAddress;
}

/** One node's view of a cluster. */
export interface Bench {
  readonly self: BenchNode;
  readonly nodes: readonly BenchNode[];
  readonly live: readonly NodeId[];
  readonly macs: PeerMacs;
  readonly choices: PeerChoices;
  /** Nobody says any more who lives. */
  readonly left?: true;
}

const rowsOf = ({ nodes, live, macs }: Bench): readonly HostRow[] => {
  const members = nodes.filter(({ id }) => live.includes(id));
  return hostList(nodes, members, macs).rows;
};

export function settingsOf(bench: Bench): PeerSettings {
  const { self, macs, choices } = bench;
  const own = rowsOf(bench).filter(({ node }) => node === self.id);
  const told = dedicatedMac(macs, self, self.address);
  const sources = sourceMacs(self.id, macs, told);
  const dedicated = [...new Set([peerMac(self.id, macs.primary), ...own.map((row) => row.mac)])];
  return {
    clusterMac: clusterMac("unicast", macs.primary),
    outsiderSource: sources.outsiders,
    peerSource: sources.peers,
    dedicated,
    ...(macs.kind === "shared" ? { shared: told } : {}),
    prefix: peerPrefix(macs, told),
    choices,
  };
}

export function contextOf(bench: Bench): PeeringContext {
  const settings = settingsOf(bench);
  const rows = new Map(rowsOf(bench).map((row) => [hex(ipBytes(row.address)), row]));
  const others = [...rows.values()].filter(({ node }) => node !== bench.self.id);
  const shared = settings.shared === undefined ? undefined : macBytes(settings.shared);
  return {
    choices: bench.choices,
    clusterMac: macBytes(settings.clusterMac),
    outsiderSource: macBytes(settings.outsiderSource),
    peerSource: macBytes(settings.peerSource),
    dedicated: settings.dedicated.map(macBytes),
    shared,
    own: (address) => {
      const row = rows.get(hex(address));
      return row?.node === bench.self.id ? macBytes(row.mac) : undefined;
    },
    peer: (address) => {
      const row = rows.get(hex(address));
      if (row === undefined || row.node === bench.self.id) return undefined;
      return { node: row.node, mac: macBytes(row.mac), live: row.live };
    },
    macOf: (node) => {
      const last = others.filter((row) => row.node === node).at(-1);
      return last && macBytes(last.mac);
    },
    nodeOfMac: (bytes) => {
      const owners = others.filter((row) => hex(macBytes(row.mac)) === hex(bytes));
      const [first, ...more] = new Set(owners.map(({ node }) => node));
      return more.length > 0 ? 0 : first;
    },
    informed: bench.left !== true,
    asked: new Set(),
  };
}

export class PeerProgram {
  readonly #object: LoadedObject;
  readonly #table: PeerTable;
  #counts: ReturnType<PeerTable["reasons"]>;
  #leaks: ReturnType<PeerTable["leaks"]> = new Map();

  constructor(bench: Bench) {
    this.#object = LoadedObject.load("peer.o");
    const mapping = new Mapping(this.#object.mapFd(PEER_SETTINGS_MAP), PEER_CONFIG.size);
    writeSettings(mapping, settingsOf(bench));
    writeDeadline(mapping, bench.left === true ? process.hrtime.bigint() : FOREVER);
    mapping.unmap();
    const fds = PEER_MAPS.map((name) => [name, this.#object.mapFd(name)] as const);
    this.#table = new PeerTable(Object.fromEntries(fds) as Record<keyof PeerMapFds, number>);
    const rows = rowsOf(bench);
    const isOwn = ({ node }: HostRow): boolean => node === bench.self.id;
    this.#table.write(
      rows.filter((row) => !isOwn(row)),
      rows.filter(isOwn),
    );
    this.#counts = this.#table.reasons();
  }

  countOf(node: NodeId): ReturnType<PeerTable["countOf"]> {
    return this.#table.countOf(node);
  }

  leaks(): ReturnType<PeerTable["leaks"]> {
    return this.#table.leaks();
  }

  run(direction: Direction, frame: Uint8Array) {
    return this.#outcome(testRun(this.#object.programFd(PEER_NAMES[direction]), frame));
  }

  /** With a VLAN tag that lies beside the frame. */
  runTagged(direction: Direction, frame: Uint8Array) {
    const tag = LoadedObject.load("lab-tag.o");
    try {
      const number = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
      const program = this.#object.programFd(PEER_NAMES[direction]);
      const result = libbpf().updateElem(tag.mapFd("next"), number(0), number(program), 0);
      bpfCheck(result, "name the next program");
      return this.#outcome(testRun(tag.programFd("tag"), frame));
    } finally {
      tag.close();
    }
  }

  #outcome({ returned, bytes }: ReturnType<typeof testRun>) {
    const before = this.#counts;
    this.#counts = this.#table.reasons();
    const names = Object.keys(before) as PeerReason[];
    const reason = names.find((name) => this.#counts[name].packets > before[name].packets);
    const seen = this.#leaks;
    this.#leaks = this.#table.leaks();
    const grown = [...this.#leaks].filter(
      ([leak, { packets }]) => packets > (seen.get(leak)?.packets ?? 0),
    );
    return {
      leaks: grown.map(([leak]) => leak),
      action: ACTIONS.get(returned) ?? `returned ${returned}`,
      reason: reason ?? "pass-other",
      frame: bytes,
    };
  }

  close(): void {
    this.#object.close();
  }
}

export const benchNode = (
  id: number,
  address: IpAddress,
  addresses: readonly IpAddress[],
  own?: string,
): BenchNode => ({
  id: nodeId(id),
  address,
  addresses,
  ...(own === undefined ? {} : { mac: mac(own) }),
});
