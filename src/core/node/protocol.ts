// What the node's controller hears (inputs) and what it decides (effects). Both are plain values: the daemon performs the
// effects on a real host, a simulator on virtual ones.
import type { IpAddress } from "#base/address.ts";
import type { NodeId, TableVersion } from "#base/ids.ts";
import type { Departure, Member, View } from "#core/membership/types.ts";
import type { SlotRef } from "#core/steering/assignment.ts";
import type { HealthReport } from "#wire/control/health-report.ts";
import type { FlowReport } from "#wire/control/flow-report.ts";
import type { SlotReport } from "#wire/control/slot-report.ts";
import type { Delivery, Tables } from "#core/steering/tables.ts";
import type { ClusterSpec } from "./cluster-spec.ts";

export type Input =
  | { readonly type: "view-changed"; readonly view: View }
  | { readonly type: "departure-confirmed"; readonly id: NodeId; readonly reason: Departure }
  | { readonly type: "spec-changed"; readonly spec: ClusterSpec }
  | { readonly type: "tables-received"; readonly tables: Tables }
  | { readonly type: "tables-acknowledged"; readonly id: NodeId; readonly version: TableVersion }
  /** Somebody else may have announced the VIPs (A5). */
  | { readonly type: "announce-wanted" }
  /** A15: packets are held whose slots have no owner. May come again for the same slot. */
  | { readonly type: "slots-wanted"; readonly slots: readonly SlotRef[] }
  /** A8, B4: a member's measurements, and this node's own, every two seconds. */
  | { readonly type: "slots-reported"; readonly id: NodeId; readonly report: SlotReport }
  /** B7: which instances work on a member, or on this node itself. */
  | { readonly type: "health-reported"; readonly id: NodeId; readonly report: HealthReport }
  /** B4: connections of a member, or of this node, in slots of others. */
  | { readonly type: "flows-reported"; readonly id: NodeId; readonly report: FlowReport }
  | { readonly type: "deadline-reached" };

export type Effect =
  /**
   * Put the VIPs where they belong on this host (B5: loopback; those that this node is the interface node of it also answers for), and
   * listen to the cluster MAC of this delivery (A13).
   */
  | {
      readonly type: "place-vips";
      readonly vips: readonly IpAddress[];
      readonly answered: readonly IpAddress[];
      readonly delivery: Delivery;
    }
  /** Tell neighbours that the VIPs are at the MAC of this delivery. */
  | {
      readonly type: "announce-vips";
      readonly vips: readonly IpAddress[];
      readonly delivery: Delivery;
    }
  /** Tell switches that this node is in the cluster's IPv4 group (A13.3). */
  | { readonly type: "report-group"; readonly group: IpAddress }
  /** Make the local packet program forward by these tables. */
  | { readonly type: "install-tables"; readonly tables: Tables }
  /** Send these tables to every member but these, who take frames that others are to take from now on (docs/adr/0012). */
  | {
      readonly type: "replicate-tables";
      readonly tables: Tables;
      readonly withheld: readonly NodeId[];
    }
  /** Send them to those, too: the others take these frames now. */
  | { readonly type: "release-tables"; readonly tables: Tables; readonly to: readonly NodeId[] }
  | { readonly type: "acknowledge-tables"; readonly version: TableVersion }
  /** Open the control channel to the master, or close it where there is none to follow. */
  | { readonly type: "follow"; readonly master: Member | undefined };
