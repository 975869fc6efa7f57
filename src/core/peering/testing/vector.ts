// The example of spec and sources: Host 1 = 12.12.4.101, Host 2 = 12.12.4.102, an outsider, and the cluster MAC
// 02-bf-aa-bb-cc-dd. Contexts of both hosts, in the published form: every Ethernet source stays the cluster MAC.
import { ip, ipBytes, mac, macBytes, type IpAddress } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { derivedMac, type PeerChoices } from "#base/peering.ts";
import { hex } from "#wire/testing/hex.ts";
import type { PeeringContext } from "../rules.ts";

export const CM = mac("02:bf:aa:bb:cc:dd");
export const HOSTS = [
  { id: nodeId(1), addresses: [ip("12.12.4.101"), ip("fd12::101")] },
  { id: nodeId(2), addresses: [ip("12.12.4.102"), ip("fd12::102")] },
] as const;

export const PUBLISHED: PeerChoices = {
  rewrite: "responder",
  recognise: "mac",
  learnFromRequests: true,
  localResponder: false,
  sourceCheck: false,
};

export interface Host {
  readonly id: number;
  readonly addresses: readonly IpAddress[];
}

/** How one of the two sees the other, with derived multicast MACs. */
export function contextOf(
  self: Host,
  choices: Partial<PeerChoices> = {},
  more: Partial<PeeringContext> = {},
): PeeringContext {
  const rows = HOSTS.flatMap((host) =>
    host.addresses.map((address) => ({ host, address, mac: macBytes(derivedMac(address)) })),
  );
  const find = (address: Uint8Array) =>
    rows.find((row) => hex(ipBytes(row.address)) === hex(address));
  return {
    choices: { ...PUBLISHED, ...choices },
    clusterMac: macBytes(CM),
    outsiderSource: macBytes(CM),
    peerSource: macBytes(CM),
    dedicated: self.addresses.map((address) => macBytes(derivedMac(address))),
    shared: undefined,
    own: (address) => {
      const row = find(address);
      return row?.host.id === self.id ? row.mac : undefined;
    },
    peer: (address) => {
      const row = find(address);
      if (row === undefined || row.host.id === self.id) return undefined;
      return { node: row.host.id, mac: row.mac, live: true };
    },
    macOf: (node) => rows.find(({ host }) => host.id === node && node !== self.id)?.mac,
    nodeOfMac: (wanted) =>
      rows.find((row) => row.host.id !== self.id && hex(row.mac) === hex(wanted))?.host.id,
    informed: true,
    asked: new Set(),
    ...more,
  };
}
