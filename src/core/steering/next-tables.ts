// Turns what the cluster should look like into the next version of its tables (B1, B3, B7, B8): who owns which
// slot, and who owned it before.
import type { IpAddress } from "#base/address.ts";
import type { NodeId, TableVersion } from "#base/ids.ts";
import type { NodeRow, Policy, ServiceKey, Tables } from "./tables.ts";

/** A configuration node of a group: it may serve. */
export interface DesiredNode {
  readonly id: NodeId;
  /** Share of the slots relative to the other nodes; whole number, 0 = none. */
  readonly weight: number;
  /** False: down, drained, or without a running instance (B7). */
  readonly serves: boolean;
}

export interface DesiredGroup {
  readonly name: string;
  readonly policy: Policy;
  /** A power of two, 2 … 65 536. */
  readonly slots: number;
  readonly services: readonly ServiceKey[];
  readonly nodes: readonly DesiredNode[];
}

export interface Desired {
  readonly hashKey: readonly [number, number];
  readonly vips: readonly IpAddress[];
  readonly groups: readonly DesiredGroup[];
  /** Every node that frames can be sent to, also drained ones, whose connections live on. */
  readonly nodes: readonly NodeRow[];
}

/** The tables that follow `previous`. The same desired state again changes nothing but the version. */
