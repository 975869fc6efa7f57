// Which nodes a configuration trusts (A2): those that it names, with a certificate that it does not revoke. A certificate of the CA
// alone is not enough for anything: the key of a machine that was taken out may still be good for years.
import { type IpAddress, parseIp } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import type { NodeId } from "#base/ids.ts";
import type { ClusterConfig } from "#config/schema.ts";
import type { AdmissionRefusal } from "#driver/control/server.ts";
import { revocationSet } from "#driver/identity/certificate.ts";

/** Who somebody says to be, by a certificate that was checked. */
export interface NodeClaim {
  readonly id: NodeId;
  readonly name: string;
  readonly address: IpAddress;
}

export interface Trust {
  /** "id name address" of each node. */
  readonly nodes: ReadonlySet<string>;
  /** Serial numbers, lower-case hex. */
  readonly revoked: ReadonlySet<string>;
}

const claimText = ({ id, name, address }: NodeClaim): string => `${id} ${name} ${address}`;

/** @param revoked every revoked serial number, also those that the configuration does not list */
export const trustIn = (config: ClusterConfig, revoked: readonly string[]): Trust => ({
  nodes: new Set(config.nodes.map(claimText)),
  revoked: revocationSet(revoked),
});

/** Whether a node or certificate that was trusted before is not any more: what it knows must be replaced. */
export function lostSomebody(before: Trust, now: Trust): boolean {
  const gone = [...before.nodes].some((node) => !now.nodes.has(node));
  return gone || [...now.revoked].some((serial) => !before.revoked.has(serial));
}

/** Everybody who was trusted at either time. */
export const eitherTrust = (one: Trust, other: Trust): Trust => ({
  nodes: new Set([...one.nodes, ...other.nodes]),
  revoked: new Set([...one.revoked].filter((serial) => other.revoked.has(serial))),
});

/** Whether a node with a good certificate may use the control channel. */
export function refusalOf(
  config: ClusterConfig,
  claim: NodeClaim,
  remoteAddress: string,
): AdmissionRefusal | undefined {
  if (!isListed(config, claim)) return "not-admitted";
  return parseIp(remoteAddress) === claim.address ? undefined : "wrong-address";
}

export const isListed = ({ nodes }: ClusterConfig, claim: NodeClaim): boolean =>
  nodes.some((node) => claimText(node) === claimText(claim));

/** PAN_NODE_REMOVED when the configuration does not name this node as its bundle does. */
export function requireListed(config: ClusterConfig, claim: NodeClaim): void {
  if (isListed(config, claim)) return;
  throw new PanError(
    "PAN_NODE_REMOVED",
    `The cluster's configuration does not name node ${claim.name} (id ${claim.id}, ${claim.address}) any more; if it is to be one again, add it with \`pan node add\`, delete config.json in its state folder and start the agent with the new configuration; if not, run \`pan agent --teardown\``,
  );
}
