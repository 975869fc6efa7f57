// What membership tells the rest of the node. The machine itself is in machine.ts.
import type { IpAddress, MacAddress } from "#base/address.ts";
import type { ConfigVersion, NodeId, TableVersion } from "#base/ids.ts";
import type { Instant } from "#base/time.ts";

/** joining → offering → master and joining → member; both can fall back to joining (A3, A4). */
export type Role = "joining" | "offering" | "member" | "master";

/** A member as the master sees it, and as its keepalives tell every other member (A7). */
export interface Member {
  readonly id: NodeId;
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

/** What a node knows of its cluster after a transition. Published whole: there are no partial updates. */
export interface View {
  readonly role: Role;
  /** Rises with every mastership; the high part of a table version. */
  readonly epoch: number;
  readonly master: NodeId;
  /** The member that takes over when the master dies: the lowest address after the master's. */
  readonly secondary: NodeId;
  /** Sorted by address; contains this node once it is a member or master. */
  readonly members: readonly Member[];
  /** The adaptive interval in force between keepalives, in milliseconds (A17). */
  readonly keepaliveIntervalMs: number;
  readonly config: ConfigVersion;
  /** Version of the tables that the master last announced. */
  readonly tables: TableVersion;
}

/** How well a node hears another one (A17): the master every member, a member the master. */
export interface Hearing {
  readonly id: NodeId;
  /** Estimated lost share of its keepalives. */
  readonly loss: number;
  /** When its last message arrived in the kernel. */
  readonly heardAt: Instant;
}

/** Why a member is no longer one. */
export type Departure =
  | "silent" // its watchdog ran out: machine dead, frozen or cut off (A9)
  | "agent-down" // its machine answers, its agent does not: connections there still live
  | "left" // it said so (shutdown, exit request obeyed)
  | "refused"; // configuration or certificate no longer accepted
