// What `pan peers` and `pan doctor` show (part C): the other members as this node reaches them where all share one MAC, and
// what of the host and the network is not as it should be.
import { type Static, Type } from "typebox";
import { Count } from "./shapes.ts";

const Frames = Type.Object({ packets: Type.Integer(), bytes: Type.Integer() });

export const PeerAddress = Type.Object({
  address: Type.String(),
  mac: Type.String({ description: "Dedicated MAC by which members reach it" }),
  learned: Type.Union([Type.Literal("configured"), Type.Literal("keepalive")]),
  neighbour: Type.Optional(
    Type.String({ description: "MAC that this node's own stack has for it; absent: none" }),
  ),
});

export const Peer = Type.Object({
  id: Type.Integer(),
  name: Type.String(),
  live: Type.Boolean({ description: "Whether it is a member now" }),
  addresses: Type.Array(PeerAddress),
  lastSeenMs: Type.Optional(
    Type.Integer({ description: "Milliseconds since its last frame to this node; absent: none" }),
  ),
  received: Frames,
  sent: Frames,
});

export const PeersStatus = Type.Object(
  {
    peering: Type.Optional(
      Type.Object(
        {
          clusterMac: Type.String({ description: "MAC of this node's interfaces" }),
          mac: Type.String({ description: "Kind of dedicated MACs" }),
          dedicated: Type.Array(Type.String(), { description: "This node's" }),
          refused: Type.Array(Type.String(), {
            description: "Addresses whose dedicated MAC is another node's (C14)",
          }),
          querier: Type.Optional(
            Type.String({
              description:
                "IGMP querier of the cluster's networks; absent: none was heard in the last 255 seconds",
            }),
          ),
          mldQuerier: Type.Optional(Type.String({ description: "The same of MLD, for IPv6" })),
          counts: Type.Array(Count, {
            description: "Frames since the programs were made, by reason",
          }),
        },
        { description: "Absent: interfaces keep their own MACs" },
      ),
    ),
    configured: Type.Boolean({
      description:
        "Whether the configuration has a section `peering`; an agent follows it from its next start on",
    }),
    peers: Type.Array(Peer),
  },
  { title: "PeersStatus" },
);
export type PeersStatus = Static<typeof PeersStatus>;

export const Diagnosis = Type.Object(
  {
    findings: Type.Array(
      Type.Object({
        check: Type.String(),
        verdict: Type.Union([Type.Literal("ok"), Type.Literal("warning"), Type.Literal("wrong")]),
        found: Type.String(),
        remedy: Type.Optional(Type.String({ description: "What to do; absent where all is well" })),
      }),
    ),
  },
  { title: "Diagnosis" },
);
export type Diagnosis = Static<typeof Diagnosis>;
