// What a lab consists of: switches (Linux bridges), hosts (network namespaces), their links and the
// programs they run. Its schema is in a file of its own, which only who judges a topology has to load.
import { createHash } from "node:crypto";
import type { Static } from "typebox";
import type {
  HostSchema,
  LinkSchema,
  ProgramSchema,
  RouteSchema,
  TopologySchema,
} from "./topology-schema.ts";

/** Host names become parts of interface names, of which Linux allows 15 characters. */
export const NODE_NAME = "^[a-z][a-z0-9-]{0,10}$";
/** Lab names become parts of namespace names. */
export const LAB_NAME = "^[a-z][a-z0-9-]{0,19}$";

/** One end in a host, the other a port of a switch. Interface defaults to eth0, MTU to 1500. */
export type Link = Static<typeof LinkSchema>;
/** A route by a gateway; the directly connected ones come with the addresses. */
export type Route = Static<typeof RouteSchema>;
/**
 * A program of a host. In argv, env, file names and file contents @DIR@ stands for the host's own
 * folder, @HOST@ for its name, @LAB@ for the lab's. Files are written before the start, relative to
 * the folder. `ready`: wait until the TCP port is listened on and the file exists (default 10 s).
 */
export type Program = Static<typeof ProgramSchema>;
/** A network namespace with its own folder. Programs start in the order given and are not restarted. */
export type Host = Static<typeof HostSchema>;
/** Everything that `Lab.up` needs to know. */
export type Topology = Static<typeof TopologySchema>;

export const DEFAULT_INTERFACE = "eth0";
export const DEFAULT_MTU = 1500;

export const interfaceOf = (link: Link): string => link.interface ?? DEFAULT_INTERFACE;

/** The link's MAC address; without one given, a locally administered one that is always the same. */
export function macOf(host: Host, link: Link): string {
  if (link.mac !== undefined) return link.mac.toLowerCase();
  const digest = createHash("sha256")
    .update(`${host.name}/${interfaceOf(link)}`)
    .digest();
  return ["02", ...Array.from(digest.subarray(0, 5), (b) => b.toString(16).padStart(2, "0"))].join(
    ":",
  );
}

/** Name of the switch's port on which a host's link ends: p-m1, and p-m1.1 for the second link. */
export function portOf(host: Host, link: Link): string {
  const index = (host.links ?? []).indexOf(link);
  return index <= 0 ? `p-${host.name}` : `p-${host.name}.${index}`;
}
