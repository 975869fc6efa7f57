// The switches' ports as the kernel has them: what faults change and what the status shows.
import { PanError } from "#base/error-codes.ts";
import { ipJson } from "./ip.ts";
import { netnsName } from "./record.ts";
import { type Host, interfaceOf, type Link, portOf, type Topology } from "./topology.ts";
import { BRIDGE } from "./wiring.ts";

/** One link of a host, seen from its switch. */
export interface Port {
  readonly host: Host;
  readonly link: Link;
  readonly name: string;
  /** The switch's namespace. */
  readonly netns: string;
}

/** What the kernel says about a port. */
export interface PortState {
  readonly up: boolean;
  /** 0 for who is on the switch itself, 1 and more for those who are cut off together. */
  readonly partition: number;
}

/** Every port of the hosts; with an interface named, only those. Throws PAN_NOT_FOUND. */
export function portsOf(lab: string, hosts: readonly Host[], only?: string): Port[] {
  const ports = hosts.flatMap((host) =>
    (host.links ?? [])
      .filter((link) => only === undefined || interfaceOf(link) === only)
      .map((link) => ({
        host,
        link,
        name: portOf(host, link),
        netns: netnsName(lab, link.switch),
      })),
  );
  if (ports.length > 0 || only === undefined) return ports;
  const names = hosts.map(({ name }) => name).join(", ");
  throw new PanError("PAN_NOT_FOUND", `${names} has no interface ${only}`);
}

/** Ports by the namespace of their switch, since iproute2 runs once for each. */
export function bySwitch(ports: readonly Port[]): Map<string, Port[]> {
  const groups = new Map<string, Port[]>();
  for (const port of ports) groups.set(port.netns, [...(groups.get(port.netns) ?? []), port]);
  return groups;
}

/** Further bridges of a switch that is partitioned: BR1, BR2 … */
export const partitionBridge = (index: number): string =>
  index === 0 ? BRIDGE : `${BRIDGE}${index}`;

interface IpLink {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly master?: string;
}

/** Links of a switch's namespace by name: ports that exist and bridges. */
export async function linksIn(netns: string): Promise<Map<string, IpLink>> {
  const links = (await ipJson(netns, ["link", "show"])) as readonly IpLink[];
  return new Map(links.map((link) => [link.ifname, link]));
}

/** Ports that exist, by switch namespace and name; those of dead hosts are missing. */
export async function portStates(
  lab: string,
  topology: Topology,
): Promise<Map<string, Map<string, PortState>>> {
  const states = new Map<string, Map<string, PortState>>();
  for (const { name } of topology.switches) {
    const netns = netnsName(lab, name);
    const links = await linksIn(netns);
    const ports = [...links.values()].map((link): [string, PortState] => [
      link.ifname,
      { up: link.flags.includes("UP"), partition: Number(link.master?.slice(BRIDGE.length) ?? 0) },
    ]);
    states.set(netns, new Map(ports));
  }
  return states;
}
