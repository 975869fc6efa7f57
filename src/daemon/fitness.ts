// What can end while an agent runs: its certificate, and the interface under its packet program.
import { PanError } from "#base/error-codes.ts";
import { findNetdev } from "#driver/bpf/netdev.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import type { HostFacts } from "./host-facts.ts";

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
export function requireInterface({ interface: name, mac }: HostFacts, ifindex: number): void {
  const found = findNetdev(name);
  if (found?.ifindex === ifindex && found.mac === mac) return;
  throw new PanError(
    "PAN_INTERFACE_MISSING",
    `The network interface ${name} ${found === undefined ? "is gone" : "is another one now"}; start the agent again when it is there`,
  );
}
