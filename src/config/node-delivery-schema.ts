// How a node that is not on the segment of the virtual addresses is reached (B11, docs/adr/0022).
import { Type } from "typebox";
import { LOWEST_PATH_MTU } from "#base/path-mtu.ts";

export const NODE_DELIVERIES = ["direct", "ipip", "geneve"] as const;
export type NodeDeliveryKind = (typeof NODE_DELIVERIES)[number];

/** Of one entry of `nodes`. */
export const nodeDeliveryFields = {
  delivery: Type.Optional(
    Type.Enum(NODE_DELIVERIES, {
      description:
        "How frames reach the node. `direct`: it is on the segment of the virtual addresses. `ipip`, `geneve`: it is behind a router, and " +
        "packets travel encapsulated, to and from its `address` (B11). Such a node serves, and is never master nor interface node. Default: `direct`.",
    }),
  ),
  pathMtu: Type.Optional(
    Type.Integer({
      minimum: LOWEST_PATH_MTU,
      maximum: 65_535,
      description:
        "With a `delivery` other than `direct`: the longest IP packet, in bytes, that the networks between the node and the others carry. " +
        "Default: the MTU of the interface, or less where a router says so.",
    }),
  ),
  clampMss: Type.Optional(
    Type.Boolean({
      description:
        "With a `delivery` other than `direct`. True: servers on the node announce no longer TCP segments than fit into the tunnel (MSS clamping), for clients " +
        "that do not get ICMP errors. Default: false.",
    }),
  ),
};

/** Only what differs from `direct`. */
export interface NodeDelivery {
  readonly delivery?: Exclude<NodeDeliveryKind, "direct">;
  readonly pathMtu?: number;
  /** Only where it holds. */
  readonly clampMss?: true;
}
