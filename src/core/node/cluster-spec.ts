// What the configuration asks of the cluster, in the core's own terms: no file, no YAML, no defaults left open.
import type { IpAddress } from "#base/address.ts";
import type { Assignment, Balance } from "#base/assignment.ts";
import type { DeliveryMethod, HashKind } from "#base/delivery.ts";
import type { NodeId } from "#base/ids.ts";
import type { Policy, ServiceKey } from "#core/steering/tables.ts";

export interface GroupSpec {
  readonly name: string;
  readonly policy: Policy;
  /** Number of slots, a power of two. */
  readonly slots: number;
  readonly services: readonly ServiceKey[];
  /** The configuration nodes (may serve) and their weights; weight 0 gets no slots. */
  readonly nodes: readonly { readonly id: NodeId; readonly weight: number }[];
  readonly assignment: Assignment;
  readonly balance: Balance;
  /** The first node of the list that serves has all slots (B3). */
  readonly ordered?: boolean;
  /** Only nodes whose health checks pass serve (B7). */
  readonly checked?: boolean;
  /** Nodes whose instance is out of service, whatever its checks say (B7). */
  readonly maintenance?: readonly NodeId[];
  /** What clients meet while nobody serves; absent: the interface node's own stack. */
  readonly whenNone?: WhenNone;
  /** How long a UDP session stays at its node after its last packet (B12); absent or 0: it follows the table. */
  readonly udpIdleMs?: number;
}

/** B7. all: every node that lives serves, whatever its checks say. sorry: this node serves. */
export type WhenNone =
  | { readonly type: "reset" | "drop" | "all" }
  | { readonly type: "sorry"; readonly node: NodeId };

/** VIPs are spread over these nodes (B10). */
export interface InterfaceNodesSpec {
  /** Shares by weight; every node of the configuration is here, those that get none with weight 0. */
  readonly nodes: readonly { readonly id: NodeId; readonly weight: number }[];
  /** VIPs with nodes of their own, best first. */
  readonly ranked: readonly { readonly vip: IpAddress; readonly nodes: readonly NodeId[] }[];
  /** A VIP does not leave a node that serves for one that returns. */
  readonly stays?: boolean;
}

export interface ClusterSpec {
  /** How frames reach the members (A13). */
  readonly method: DeliveryMethod;
  /** The VIP that cluster MACs are made of, where it was chosen: members have one as their interface's MAC (C1). */
  readonly primary?: IpAddress | undefined;
  readonly hash: HashKind;
  /** Every VIP, those of services included, without repetition. */
  readonly vips: readonly IpAddress[];
  /** Absent: the master is the interface node of all VIPs. */
  readonly interfaceNodes?: InterfaceNodesSpec;
  readonly groups: readonly GroupSpec[];
  /** Nodes that take no new connections, whatever their weight (B7). */
  readonly drained: readonly NodeId[];
}
