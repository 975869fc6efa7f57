// Which of a node's interfaces a virtual address belongs to (A22): the one that has an address of the same network; among several the
// most exact one. On a node with a single interface there is nothing to ask.
import { familyOf, ipBytes, type IpAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";

/** One address of an interface, with the length of its network's prefix. */
export interface Network {
  readonly device: string;
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/** Undefined: no interface is in the address's network. Single addresses (/32, /128) are no networks. */
export function portOf(vip: IpAddress, networks: readonly Network[]): string | undefined {
  const bits = familyOf(vip) === 4 ? 32 : 128;
  let best: Network | undefined;
  for (const network of networks) {
    if (network.prefixLength === bits || !contains(network, vip)) continue;
    if (network.prefixLength > (best?.prefixLength ?? -1)) best = network;
  }
  return best?.device;
}

function contains({ address, prefixLength }: Network, other: IpAddress): boolean {
  if (familyOf(address) !== familyOf(other)) return false;
  const [a, b] = [ipBytes(address), ipBytes(other)];
  for (let bit = 0; bit < prefixLength; bit += 8) {
    const mask = (0xff00 >> Math.min(8, prefixLength - bit)) & 0xff;
    const at = bit / 8;
    if ((((a[at] ?? 0) ^ (b[at] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

/** PAN_ADDRESS_MISSING: nobody could answer for the virtual address. */
export const nowhere = (vip: IpAddress, interfaces: readonly string[]): PanError =>
  new PanError("PAN_ADDRESS_MISSING", `${missingNetwork(vip, interfaces)}. ${REMEDY}`);

export const missingNetwork = (vip: IpAddress, interfaces: readonly string[]): string =>
  `No address of ${interfaces.join(", ")} is in the network of the virtual address ${vip}`;

export const REMEDY =
  "Give one of the interfaces an address of that network, or correct the virtual address or cluster.arms";
