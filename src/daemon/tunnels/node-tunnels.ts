// Nodes beyond this segment (B11, docs/adr/0022): which they are, by the configuration, and how packets get there, by the kernel's routes
// and neighbours, which may change at any time. The packet program is told.
import { ipBytes, macBytes } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import type { Datapath } from "#driver/bpf/datapath.ts";
import type { NodeTunnel } from "#driver/bpf/tunnel-map.ts";
import { NextHops } from "#driver/netlink/next-hops.ts";
import { type Link, Rtnetlink } from "#driver/netlink/rtnetlink.ts";
import type { Trouble } from "../trouble.ts";

/** Routes and neighbours change seldom; a neighbour that is used so often stays known. */
const LOOK_EVERY_MS = 2000;
/** While the kernel finds out where a machine is. */
const LOOK_AGAIN_MS = 100;

export interface NodeTunnelsOptions {
  readonly self: NodeId;
  readonly config: () => ClusterConfig;
  readonly datapath: Pick<Datapath, "setTunnels">;
  readonly trouble: Trouble;
}

/** Of two nodes one at least is beyond the other's segment. Undefined: neither is. */
export const kindBetween = (self: NodeConfig, other: NodeConfig): NodeTunnel["kind"] | undefined =>
  other.delivery ?? self.delivery;

/** As the smallest that anybody says. */
const smallest = (...values: readonly (number | undefined)[]): number =>
  Math.min(...values.flatMap((value) => value ?? []), 65_535);

export class NodeTunnels {
  readonly #options: NodeTunnelsOptions;
  readonly #hops = NextHops.open();
  readonly #netlink = Rtnetlink.open();
  #tunnels: readonly NodeTunnel[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** Throws PAN_SYSCALL. */
  constructor(options: NodeTunnelsOptions) {
    this.#options = options;
    this.refresh();
  }

  /** How packets get to a node; undefined: it is on this segment. */
  to(node: NodeId): NodeTunnel | undefined {
    return this.#tunnels.find((tunnel) => tunnel.node === node);
  }

  /** At the start, when the configuration has changed, and then every few seconds as long as there are such nodes. */
  refresh(): void {
    clearTimeout(this.#timer);
    const { trouble } = this.#options;
    trouble.guard("find the way to nodes beyond the segment", () => this.#look());
    if (this.#tunnels.length === 0) return;
    const isComplete = this.#tunnels.every(({ nextMac }) => nextMac !== undefined);
    this.#timer = setTimeout(() => this.refresh(), isComplete ? LOOK_EVERY_MS : LOOK_AGAIN_MS);
  }

  #look(): void {
    const { self: id, config, datapath } = this.#options;
    const { nodes } = config();
    const self = nodes.find((node) => node.id === id);
    const others = nodes.filter((node) => self !== undefined && node.id !== id);
    const far = others.filter(
      (node) => self !== undefined && kindBetween(self, node) !== undefined,
    );
    if (self === undefined || (far.length === 0 && this.#tunnels.length === 0)) return;
    const links = new Map(this.#netlink.links().map((link) => [link.index, link]));
    this.#tunnels = far.flatMap((node) => this.#tunnelTo(self, node, links) ?? []);
    datapath.setTunnels(this.#tunnels, ipBytes(self.address));
  }

  #tunnelTo(
    self: NodeConfig,
    node: NodeConfig,
    links: ReadonlyMap<number, Link>,
  ): NodeTunnel | undefined {
    const kind = kindBetween(self, node);
    if (kind === undefined) return undefined;
    const hop = this.#hops.find(node.address);
    const link = hop && links.get(hop.link);
    const isKnown = hop?.mac !== undefined && link?.mac !== undefined;
    return {
      node: node.id,
      kind,
      source: ipBytes(self.address),
      destination: ipBytes(node.address),
      nextMac: isKnown && hop.mac !== undefined ? macBytes(hop.mac) : undefined,
      ownMac: link?.mac === undefined ? new Uint8Array(6) : macBytes(link.mac),
      link: link?.index ?? 0,
      mtu: smallest(link?.mtu, hop?.mtu, node.pathMtu, self.pathMtu),
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#hops.close();
    this.#netlink.close();
  }
}
