// Maps tunnels and tunnel_ends: how frames go to nodes beyond this segment, and whose encapsulated packets are taken (B11,
// docs/adr/0022). A tunnel is complete before its node is marked in map nodes, and outlives the mark.
import type { NodeId } from "#base/ids.ts";
import { overheadOf, type Tunnel, type TunnelKind } from "#wire/tunnel.ts";
import { Mapping } from "../libc.ts";
import { NODES, TUNNEL, TUNNEL_GENEVE, TUNNEL_IPIP } from "./abi.gen.ts";
import { bpfCheck, libbpf } from "./libbpf.ts";
import { readHashMap } from "./service-map.ts";
import { macNumber, type NodeMap, type StateMap } from "./shared-maps.ts";

/** One node's. */
export interface NodeTunnel extends Tunnel {
  readonly node: NodeId;
  /** Index of this node's interface on the way. */
  readonly link: number;
}

export interface TunnelMapFds {
  readonly tunnels: number;
  readonly tunnelEnds: number;
}

const KINDS: Readonly<Record<TunnelKind, number>> = { ipip: TUNNEL_IPIP, geneve: TUNNEL_GENEVE };
const ADDRESS_SIZE = 4;
const ID_SIZE = 4;

export class TunnelMap {
  readonly #mapping: Mapping;
  readonly #view: DataView;
  readonly #endsFd: number;
  readonly #nodes: NodeMap;
  readonly #state: StateMap;

  constructor(fds: TunnelMapFds, nodes: NodeMap, state: StateMap) {
    this.#mapping = new Mapping(fds.tunnels, NODES * TUNNEL.size);
    const { buffer, byteOffset, byteLength } = this.#mapping.bytes;
    this.#view = new DataView(buffer, byteOffset, byteLength);
    this.#endsFd = fds.tunnelEnds;
    this.#nodes = nodes;
    this.#state = state;
  }

  /**
   * These nodes are beyond the segment, and no others.
   * @param address of this node, to which their packets come; four bytes
   * @param clamped whether servers here announce no longer segments than what fits into all of these tunnels
   */
  set(tunnels: readonly NodeTunnel[], address: Uint8Array, clamped = false): void {
    for (const tunnel of tunnels) this.#write(tunnel);
    this.#nodes.tunnelled = new Set(tunnels.map(({ node }) => node));
    this.#setEnds(tunnels);
    const fitting = tunnels.map(({ mtu, kind }) => mtu - overheadOf(kind));
    this.#state.longestPacket = clamped && fitting.length > 0 ? Math.min(...fitting) : 0;
    this.#state.tunnelAddress = tunnels.length === 0 ? new Uint8Array(ADDRESS_SIZE) : address;
  }

  /** Without a next machine nothing is sent while the rest of it changes. */
  #write(tunnel: NodeTunnel): void {
    const base = tunnel.node * TUNNEL.size;
    const next = tunnel.nextMac === undefined ? 0n : macNumber(tunnel.nextMac);
    const row = new Uint8Array(TUNNEL.size);
    const view = new DataView(row.buffer);
    view.setBigUint64(TUNNEL.ownMac, macNumber(tunnel.ownMac), true);
    row.set(tunnel.source, TUNNEL.source);
    row.set(tunnel.destination, TUNNEL.destination);
    view.setUint32(TUNNEL.link, tunnel.link, true);
    view.setUint16(TUNNEL.mtu, tunnel.mtu, true);
    row[TUNNEL.kind] = KINDS[tunnel.kind];
    const rest = row.subarray(TUNNEL.ownMac);
    const at = base + TUNNEL.ownMac;
    const present = this.#mapping.bytes.subarray(at, at + rest.byteLength);
    if (!rest.every((byte, index) => present[index] === byte)) {
      this.#view.setBigUint64(base + TUNNEL.nextMac, 0n, true);
      present.set(rest);
    }
    this.#view.setBigUint64(base + TUNNEL.nextMac, next, true);
  }

  #setEnds(tunnels: readonly NodeTunnel[]): void {
    const wanted = new Map(
      tunnels.map(({ node, destination }) => [Buffer.from(destination).toString("hex"), node]),
    );
    for (const [key] of readHashMap(this.#endsFd, ADDRESS_SIZE, ID_SIZE)) {
      if (!wanted.has(key.toString("hex"))) libbpf().deleteElem(this.#endsFd, Buffer.from(key));
    }
    for (const [key, node] of wanted) {
      const value = Buffer.alloc(ID_SIZE);
      value.writeUInt32LE(node);
      bpfCheck(
        libbpf().updateElem(this.#endsFd, Buffer.from(key, "hex"), value, 0),
        "take packets of a node beyond the segment",
      );
    }
  }

  close(): void {
    this.#mapping.unmap();
  }
}
