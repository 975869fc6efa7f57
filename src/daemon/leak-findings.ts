// What the doctor says of MACs that were seen where they must not be (C8): a switch that learns the cluster MAC keeps clients' frames from all
// members but one, and who has learned a dedicated MAC goes past the cluster.
import type { Diagnosis } from "#api/peers.ts";
import type { IpAddress, MacAddress } from "#base/address.ts";
import type { PeerLeak } from "#core/peering/leaks.ts";

type Finding = Diagnosis["findings"][number];

/** Frames that show a MAC where it must not be, and the last one of them. */
export interface LeakFact {
  readonly leak: PeerLeak;
  readonly packets: number;
  readonly agoMs: number;
  readonly mac: MacAddress;
  /** Whom it said that it is from, and the node that this is. */
  readonly address?: IpAddress;
  readonly name?: string;
}

/** Longer than switches and neighbour caches remember; what is older has mended itself. */
const FRESH_MS = 600_000;
const CHECK = "leaked MACs";

export function judgeLeaks(leaks: readonly LeakFact[]): Finding[] {
  const fresh = leaks.filter(({ agoMs }) => agoMs < FRESH_MS);
  if (fresh.length === 0) {
    const found = `none was seen in the last ${FRESH_MS / 60_000} minutes`;
    return [{ check: CHECK, verdict: "ok", found }];
  }
  return fresh.map((fact) => ({ check: CHECK, ...JUDGEMENTS[fact.leak](fact) }));
}

const JUDGEMENTS: Record<PeerLeak, (fact: LeakFact) => Omit<Finding, "check">> = {
  "cluster-source": (fact) => ({
    verdict: "wrong",
    found: `${times(fact)} came from the cluster MAC ${fact.mac}, ${last(fact)}: switches that learn it send clients' frames to one port only`,
    remedy:
      "a member sends without peer_egress: start its agent again (pan doctor there); any other machine needs a MAC of its own. " +
      "Then clear the switch's address table",
  }),
  "own-source": (fact) => ({
    verdict: "wrong",
    found: `${times(fact)} came from this node's own MAC ${fact.mac}, ${last(fact)}`,
    remedy:
      "another machine has this node's id or MAC (a copy of it?), or two interfaces of this node are on one network, or that has a loop: no two may share a MAC of a node",
  }),
  outsider: (fact) => ({
    verdict: "warning",
    found: `${times(fact)} came to this node's dedicated MAC from ${fact.mac}, which is no member's, ${last(fact)}`,
    remedy:
      "empty that machine's neighbour cache (ip neigh flush all) and remove a static entry; a member on which peering is not in force forgets by itself. " +
      "With MACs of groups, set peering.rewrite to initiator",
  }),
};

const times = ({ packets }: LeakFact): string => (packets === 1 ? "a frame" : `${packets} frames`);

function last({ agoMs, address, name }: LeakFact): string {
  const from = address === undefined ? "" : `, from ${address}`;
  return `the last one ${Math.round(agoMs / 1000)} s ago${from}${name === undefined ? "" : ` (${name})`}`;
}
