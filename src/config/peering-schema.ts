// The section `peering` (part C): members share the cluster MAC.
import { Type } from "typebox";
import type { IpAddress, MacAddress } from "#base/address.ts";
import {
  PEER_MAC_KINDS,
  PEER_RECOGNITIONS,
  PEER_REWRITES,
  type PeerChoices,
  type PeerMacKind,
} from "#base/peering.ts";
import { Address, closed, Mac } from "./fields.ts";

export const Peering = Type.Object(
  {
    primary: Address(
      "The virtual address that the cluster MAC is made of: 02:bf and its last four bytes. Every interface has that MAC.",
    ),
    mac: Type.Enum(PEER_MAC_KINDS, {
      default: "masked",
      description:
        "Which dedicated MACs members have for each other (C3). `masked`: a unicast one of the node's id, which switches learn. " +
        "`multicast`: 03:bf and the address, which switches flood. `table`: `nodes[].mac`, and of nodes without one the masked MAC. `shared`: one for all.",
    }),
    sharedMac: Type.Optional(
      Mac(
        "The MAC of the kind `shared` (C11), where it is not to be 03:1f:ff and three bytes of `primary`.",
      ),
    ),
    rewrite: Type.Optional(
      Type.Enum(PEER_REWRITES, {
        description:
          "Who puts the dedicated MAC into a discovery reply (C7). Without it the responder, as published; where dedicated MACs are " +
          "MACs of groups, the initiator, so that no flooded reply tells them to outsiders (C8).",
      }),
    ),
    recognise: Type.Enum(PEER_RECOGNITIONS, {
      default: "mac",
      description:
        "By what a peer's frame is known (C9): `mac`, our dedicated MAC; `source`, also by a source address of the host list.",
    }),
    learnFromRequests: Type.Boolean({
      default: true,
      description:
        "False: a stack that is asked does not remember who asked, and asks itself (C10).",
    }),
    localResponder: Type.Boolean({
      default: false,
      description:
        "True: requests for live members are answered on the spot, without a frame on the wire (C13).",
    }),
    sourceCheck: Type.Boolean({
      default: false,
      description:
        "True: frames of a peer that never asked for this node are dropped (C15). Needs `learnFromRequests: false` and no local responder.",
    }),
  },
  {
    ...closed,
    description:
      "Every member's interface has the cluster MAC, and members reach each other by dedicated MACs (part C). Without this section interfaces keep their own " +
      "MACs. Whether there is one, and `primary`, an agent reads when it starts; the rest may be changed while everything runs.",
  },
);

/** Members share the cluster MAC (part C). */
export interface PeeringConfig extends PeerChoices {
  readonly primary: IpAddress;
  readonly mac: PeerMacKind;
  readonly sharedMac?: MacAddress;
}
