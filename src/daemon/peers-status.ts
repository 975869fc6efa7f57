// What `pan peers` shows, from what is known of peers.
import type { PeersStatus } from "#api/peers.ts";
import { monotonicMs } from "#driver/cluster/cluster-socket.ts";
import type { ClusterConfig } from "#config/schema.ts";
import type { PeersReport } from "./peers.ts";

/** @param report undefined: this node's interfaces keep their MACs */
export function peersStatus(
  report: PeersReport | undefined,
  config: Pick<ClusterConfig, "peering">,
  nowMs = monotonicMs(),
): PeersStatus {
  const configured = config.peering !== undefined;
  if (report === undefined) return { configured, peers: [] };
  const { peering, clusterMac, own, rows, refused, counts, reasons, queriers } = report;
  const ids = [...new Set(rows.map(({ node }) => node))];
  return {
    configured,
    peering: {
      clusterMac,
      mac: peering.mac,
      dedicated: [...new Set(own.map(({ mac }) => mac))],
      refused: refused.map(({ address }) => address),
      ...(queriers.igmp === undefined ? {} : { querier: queriers.igmp }),
      ...(queriers.mld === undefined ? {} : { mldQuerier: queriers.mld }),
      counts: Object.entries(reasons)
        .filter(([reason]) => reason !== "pass-other")
        .map(([reason, { packets }]) => ({ reason, count: packets })),
    },
    peers: ids.map((id) => {
      const addresses = rows.filter(({ node }) => node === id);
      const { in: received, out: sent, seenMs } = counts.get(id) ?? NOTHING;
      return {
        id,
        name: addresses[0]?.name ?? String(id),
        live: addresses.some(({ live }) => live),
        addresses: addresses.map(({ address, mac, source, neighbour }) => ({
          address,
          mac,
          learned: source,
          ...(neighbour?.mac === undefined ? {} : { neighbour: neighbour.mac }),
        })),
        ...(seenMs === undefined ? {} : { lastSeenMs: Math.max(0, Math.round(nowMs - seenMs)) }),
        received: { ...received },
        sent: { ...sent },
      };
    }),
  };
}

const NOTHING = {
  in: { packets: 0, bytes: 0 },
  out: { packets: 0, bytes: 0 },
  seenMs: undefined,
} as const;
