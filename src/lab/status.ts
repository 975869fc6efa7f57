// What a lab is like now, asked of the kernel: no file claims what may have changed meanwhile.
import { existsSync } from "node:fs";
import { lossOf } from "./loss.ts";
import { portsOf, portStates, type PortState } from "./ports.ts";
import { inhabitants, stateOf } from "./processes.ts";
import { folderOf, hostFolder, netnsName, netnsPath, startedProcesses } from "./record.ts";
import { type Host, interfaceOf, macOf, type Topology } from "./topology.ts";

export interface LinkStatus {
  readonly interface: string;
  readonly switch: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  /** Of the switch's port; false too when the host is dead. */
  readonly up: boolean;
  /** 0 on the switch itself; hosts reach only hosts of the same number. */
  readonly partition: number;
  readonly lossPercent: number;
}

export interface ProgramStatus {
  readonly name: string;
  /** Of the last start; missing when it was never started. */
  readonly pid?: number;
  readonly state: "running" | "frozen" | "ended";
}

export interface HostStatus {
  readonly name: string;
  readonly state: "running" | "frozen" | "dead";
  readonly folder: string;
  readonly links: readonly LinkStatus[];
  readonly programs: readonly ProgramStatus[];
}

export interface LabStatus {
  readonly name: string;
  readonly folder: string;
  readonly switches: readonly string[];
  readonly hosts: readonly HostStatus[];
}

export async function labStatus(lab: string, topology: Topology): Promise<LabStatus> {
  const ports = await portStates(lab, topology);
  const hosts: HostStatus[] = [];
  for (const host of topology.hosts) {
    hosts.push({
      name: host.name,
      state: hostState(lab, host),
      folder: hostFolder(lab, host.name),
      links: await linksOf(lab, host, ports),
      programs: programsOf(lab, host),
    });
  }
  const switches = topology.switches.map(({ name }) => name);
  return { name: lab, folder: folderOf(lab), switches, hosts };
}

function hostState(lab: string, host: Host): HostStatus["state"] {
  const netns = netnsPath(netnsName(lab, host.name));
  if (!existsSync(netns)) return "dead";
  const states = inhabitants(netns).map(stateOf);
  return states.length > 0 && states.every((state) => state === "frozen") ? "frozen" : "running";
}

async function linksOf(
  lab: string,
  host: Host,
  states: ReadonlyMap<string, ReadonlyMap<string, PortState>>,
): Promise<LinkStatus[]> {
  return Promise.all(
    portsOf(lab, [host]).map(async ({ link, netns, name }) => {
      const state = states.get(netns)?.get(name);
      return {
        interface: interfaceOf(link),
        switch: link.switch,
        mac: macOf(host, link),
        addresses: link.addresses ?? [],
        up: state?.up ?? false,
        partition: state?.partition ?? 0,
        lossPercent: state === undefined ? 0 : await lossOf(netns, name),
      };
    }),
  );
}

function programsOf(lab: string, host: Host): ProgramStatus[] {
  const started = startedProcesses(lab).filter((id) => id.host === host.name);
  return (host.run ?? []).map(({ name }) => {
    const last = started.findLast(({ program }) => program === name);
    if (last === undefined) return { name, state: "ended" };
    return { name, pid: last.pid, state: stateOf(last) };
  });
}
