// Shapes that several parts of the contract share.
import { type Static, Type } from "typebox";

/** A service by what its packets carry (B1). */
export const ServiceName = Type.Object(
  {
    protocol: Type.Union([Type.Literal("tcp"), Type.Literal("udp"), Type.Literal("any")], {
      description: "any: whatever no other service of the address takes; its port is any",
    }),
    vip: Type.String({ maxLength: 45, description: "IPv4 or IPv6 address" }),
    port: Type.Union([Type.Integer({ minimum: 1, maximum: 65_535 }), Type.Literal("any")]),
  },
  { title: "Service", additionalProperties: false },
);
export type ServiceName = Static<typeof ServiceName>;

export const DeliveryMethod = Type.Union(
  [
    Type.Literal("forward"),
    Type.Literal("unicast"),
    Type.Literal("multicast"),
    Type.Literal("igmp"),
  ],
  { title: "DeliveryMethod" },
);

/** Every failure. `code` is for programs, `message` says to the operator what to do. */
export const Problem = Type.Object(
  { code: Type.String(), message: Type.String() },
  { title: "Problem" },
);
export type Problem = Static<typeof Problem>;

export const TableVersion = Type.Object(
  {
    epoch: Type.Integer(),
    counter: Type.Integer(),
    master: Type.Integer({ description: "Node id of the master that published it" }),
  },
  { title: "TableVersion" },
);

/** A drop or pass reason of the data plane or the control plane, and how often it was met. */
export const Count = Type.Object({ reason: Type.String(), count: Type.Integer() });
