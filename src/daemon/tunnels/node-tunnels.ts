// Nodes beyond this segment (B11, docs/adr/0022): which they are, by the configuration, and how packets get there, by the kernel's routes
// and neighbours, which may change at any time. The packet program is told.
import { ipBytes, macBytes } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import { believedMtu } from "#core/steering/path-mtus.ts";
import type { Datapath } from "#driver/bpf/datapath.ts";
import type { NodeTunnel } from "#driver/bpf/tunnel-map.ts";
import { type NextHop, NextHops } from "#driver/netlink/next-hops.ts";
import { type Link, Rtnetlink } from "#driver/netlink/rtnetlink.ts";
import type { Trouble } from "../trouble.ts";
import { Complaints } from "./complaints.ts";

/** Routes and neighbours change seldom; a neighbour that is used so often stays known. */
const LOOK_EVERY_MS = 2000;
/** While the kernel finds out where a machine is, at first. */
const LOOK_AGAIN_MS = 100;
const LOOKS_SOON = 20;

export interface NodeTunnelsOptions {
  readonly self: NodeId;
  readonly config: () => ClusterConfig;
  readonly datapath: Pick<Datapath, "setTunnels">;
  readonly trouble: Trouble;
}

/** Of two nodes one at least is beyond the other's segment. Undefined: neither is. */
const kindBetween = (self: NodeConfig, other: NodeConfig): NodeTunnel["kind"] | undefined =>
  other.delivery ?? self.delivery;

interface FarNode {
  readonly node: NodeConfig;
  readonly kind: NodeTunnel["kind"];
}

/** As the smallest that anybody says. */
const smallest = (...values: readonly (number | undefined)[]): number =>
  Math.min(...values.flatMap((value) => value ?? []), 65_535);

export class NodeTunnels {
  readonly #options: NodeTunnelsOptions;
  readonly #hops = NextHops.open();
  readonly #netlink = Rtnetlink.open();
  #tunnels: readonly NodeTunnel[] = [];
  /** Once there have been such nodes. */
  #complaints: Complaints | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isTold = false;
  /** Looks since all was known. */
  #inVain = 0;

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
    let hasFailed = true;
    trouble.guard("find the way to nodes beyond the segment", () => {
      this.#look();
      hasFailed = false;
    });
    if (this.#tunnels.length === 0 && !hasFailed) return;
    const isComplete = !hasFailed && this.#tunnels.every(({ nextMac }) => nextMac !== undefined);
    this.#inVain = isComplete ? 0 : this.#inVain + 1;
    const isSoon = !isComplete && this.#inVain <= LOOKS_SOON;
    this.#timer = setTimeout(() => this.refresh(), isSoon ? LOOK_AGAIN_MS : LOOK_EVERY_MS);
  }

  /**
   * The packet program is told at the first look in any case: an earlier agent may have left ways of its own there. Throws when all
   * others have been seen to, where the kernel refuses to say how one node is reached.
   */
  #look(): void {
    const { self: id, config } = this.#options;
    const { nodes } = config();
    const self = nodes.find((node) => node.id === id);
    if (self === undefined) return;
    const far = nodes.flatMap((node) => {
      const kind = node.id === id ? undefined : kindBetween(self, node);
      return kind === undefined ? [] : [{ node, kind }];
    });
    if (far.length === 0 && this.#tunnels.length === 0 && this.#isTold) return;
    this.#isTold = true;
    if (far.length > 0) this.#listen();
    this.#tell(self, far);
  }

  /** To routers that complain. */
  #listen(): void {
    this.#complaints ??= new Complaints({
      tunnels: () => this.#tunnels,
      changed: () => this.refresh(),
      trouble: this.#options.trouble,
    });
  }

  #tell(self: NodeConfig, far: readonly FarNode[]): void {
    const { datapath } = this.#options;
    const links = new Map(this.#netlink.links().map((link) => [link.index, link]));
    const failures: unknown[] = [];
    const hopTo = (node: NodeConfig): NextHop | undefined => {
      try {
        return this.#hops.find(node.address);
      } catch (error) {
        failures.push(error);
        return undefined;
      }
    };
    this.#tunnels = far.map(({ node, kind }) => {
      const hop = hopTo(node);
      const link = hop && links.get(hop.link);
      return { node: node.id, kind, ...this.#way(self, node, hop, link) };
    });
    datapath.setTunnels(this.#tunnels, ipBytes(self.address), self.clampMss === true);
    if (failures.length > 0) throw failures[0];
  }

  #way(
    self: NodeConfig,
    node: NodeConfig,
    hop: NextHop | undefined,
    link: Link | undefined,
  ): Omit<NodeTunnel, "node" | "kind"> {
    const destination = ipBytes(node.address);
    const told = this.#complaints?.mtuTo(destination);
    const learned = hop?.mtu === undefined ? undefined : believedMtu(hop.mtu);
    const isKnown = hop?.mac !== undefined && link?.mac !== undefined;
    return {
      source: ipBytes(self.address),
      destination,
      nextMac: isKnown ? macBytes(hop.mac) : undefined,
      ownMac: link?.mac === undefined ? new Uint8Array(6) : macBytes(link.mac),
      link: link?.index ?? 0,
      mtu: smallest(link?.mtu, learned, told, node.pathMtu, self.pathMtu),
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#complaints?.close();
    this.#hops.close();
    this.#netlink.close();
  }
}
