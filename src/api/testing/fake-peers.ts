// What the agent port for tests says of peers and of the host.
import type { Diagnosis, PeersStatus } from "../peers.ts";

export const PEERS: PeersStatus = {
  configured: true,
  peering: {
    clusterMac: "02:bf:0a:4d:00:64",
    mac: "masked",
    dedicated: ["02:10:02:4d:00:64"],
    refused: ["fd77::7"],
    counts: [
      { reason: "take-peer", count: 1200 },
      { reason: "drop-unasked", count: 0 },
    ],
  },
  peers: [
    {
      id: 1,
      name: "alpha",
      live: true,
      addresses: [
        {
          address: "10.77.0.1",
          mac: "02:10:01:4d:00:64",
          learned: "keepalive",
          neighbour: "02:10:01:4d:00:64",
        },
        { address: "fd77::1", mac: "02:10:01:4d:00:64", learned: "configured" },
      ],
      lastSeenMs: 31,
      received: { packets: 1200, bytes: 1_800_000 },
      sent: { packets: 900, bytes: 90_000 },
    },
    {
      id: 3,
      name: "gamma",
      live: false,
      addresses: [{ address: "10.77.0.3", mac: "02:10:03:4d:00:64", learned: "configured" }],
      received: { packets: 0, bytes: 0 },
      sent: { packets: 0, bytes: 0 },
    },
  ],
};

export const DIAGNOSIS: Diagnosis = {
  findings: [
    { check: "interface eth0", verdict: "ok", found: "it has the cluster MAC" },
    {
      check: "IGMP querier",
      verdict: "warning",
      found: "one is on this network",
      remedy: "set peering.mac to masked",
    },
  ],
};
