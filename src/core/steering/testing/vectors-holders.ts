// Stage announce where tables say which node answers for which VIP (B10, docs/adr/0025): the VIP's interface node alone, and only while
// it has heard the cluster lately; whether it is master does not matter.
import { ip } from "#base/address.ts";
import { NO_NODE, nodeId, type NodeId } from "#base/ids.ts";
import type { Tables } from "../tables.ts";
import { owned, SELF, stays, VIP4, VIP6, type Vector } from "./vector.ts";
import { ask6, whoHas } from "./vectors-reading.ts";

/** VIP4 and VIP6 at these nodes. */
function at(first: NodeId, second: NodeId): Tables {
  const tables = owned(1);
  const vips = [ip(VIP4), ip(VIP6)];
  return { ...tables, vips, vipHolders: { holders: [first, second], homes: [first, second] } };
}

const OTHER = nodeId(2);
const mine = { tables: at(SELF.id, OTHER), leased: false };
const theirs = { tables: at(OTHER, SELF.id), leased: true };
const unheard = { ...mine, accepting: false };

export const HOLDERS: readonly Vector[] = [
  stays("announce: ARP for a VIP of this node", whoHas(VIP4), "pass-announce", mine),
  stays("announce: ARP for its VIP, not heard", whoHas(VIP4), "drop-announce", unheard),
  stays(
    "announce: ARP for another node's VIP, to the master",
    whoHas(VIP4),
    "drop-announce",
    theirs,
  ),
  stays("announce: solicitation for a VIP of this node", ask6(VIP6), "pass-announce", theirs),
  stays("announce: solicitation for another node's VIP", ask6(VIP6), "drop-announce", mine),
  stays("announce: solicitation for its VIP, not heard", ask6(VIP6), "drop-announce", {
    ...theirs,
    accepting: false,
  }),
  stays("announce: ARP for a VIP on its way", whoHas(VIP4), "drop-announce", {
    tables: at(NO_NODE, SELF.id),
    leased: true,
  }),
  stays("announce: solicitation for a VIP on its way", ask6(VIP6), "drop-announce", {
    tables: at(SELF.id, NO_NODE),
    leased: true,
  }),
];
