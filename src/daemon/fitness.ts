// What can end while an agent runs: its certificate, and the interface under its packet program.
import { PanError } from "#base/error-codes.ts";
import { findNetdev, hasCarrier } from "#driver/bpf/netdev.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import type { PortFacts } from "./host-facts.ts";

const DAY_MS = 86_400_000;
const WARNING_DAYS = 30;

/** PAN_BUNDLE_REVOKED when this node's own certificate is among them. */
export function requireNotRevoked(identity: NodeIdentity, revoked: ReadonlySet<string>): void {
  if (!revoked.has(identity.serial)) return;
  throw new PanError(
    "PAN_BUNDLE_REVOKED",
    `This node's certificate was revoked; if it is to stay, make a new one with \`pan node renew ${identity.name}\``,
  );
}

/** For the log, in the last 30 days: an expired certificate is refused when nodes connect. */
export function certificateWarning({ notAfter }: NodeIdentity, now: Date): string | undefined {
  const days = Math.floor((notAfter.getTime() - now.getTime()) / DAY_MS);
  if (days >= WARNING_DAYS) return undefined;
  const when = days < 0 ? "has expired" : `expires in ${days} days`;
  return `this node's certificate ${when}: replace the bundle (\`pan node renew\`) and restart the agent`;
}

/** PAN_INTERFACE_MISSING when the interface is gone or another one has its name: the program and the sockets went with it. */
export function requireInterface(port: PortFacts, ifindex: number | undefined): void {
  const { interface: name, mac, linkMac = mac } = port;
  const found = findNetdev(name);
  if (found !== undefined && found.ifindex === ifindex && found.mac === linkMac) return;
  throw new PanError(
    "PAN_INTERFACE_MISSING",
    `The network interface ${name} ${found === undefined ? "is gone" : "is another one now"}; start the agent again when it is there`,
  );
}

/**
 * PAN_INTERFACE_DOWN when an arm has lost its link: what this node took in on its other interfaces would end here (A22). It leaves,
 * and somebody else takes its slots; started again, it waits for the link.
 */
export function requireCarrier(arms: readonly PortFacts[]): void {
  for (const { interface: name } of arms) {
    if (hasCarrier(name)) continue;
    throw new PanError(
      "PAN_INTERFACE_DOWN",
      `The arm ${name} has no link; start the agent again when it has`,
    );
  }
}
