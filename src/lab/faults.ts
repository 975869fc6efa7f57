// What can go wrong with hosts and links, on demand. A host is killed the way a machine dies: it falls
// silent first and only then ends, so that no kernel or program can say goodbye for it.
import { existsSync } from "node:fs";
import { PanError } from "#base/error-codes.ts";
import { type Deafness, estrange } from "./estrangement.ts";
import { ipBatch } from "./ip.ts";
import { startProgram } from "./launch.ts";
import { addLoss, lossOf, removeLoss, segmentFrames } from "./loss.ts";
import { bySwitch, linksIn, partitionBridge, type Port, portsOf } from "./ports.ts";
import { inhabitants, killAllSync, type ProcessId, signal, stateOf } from "./processes.ts";
import {
  hostFolder,
  type LabRecord,
  netnsName,
  netnsPath,
  removeAgentLock,
  startedProcesses,
  unmountBelow,
} from "./record.ts";
import type { Host } from "./topology.ts";
import { BRIDGE, bridgeLines, buildHost } from "./wiring.ts";

export class Faults {
  readonly #record: LabRecord;

  constructor(record: LabRecord) {
    this.#record = record;
  }

  /**
   * The host dies: its links go down at the switch, then all its processes end, then its network and
   * its mounts are gone. Its folder stays, as a disk would. Throws PAN_NOT_FOUND, PAN_LAB_FAULT.
   */
  async kill(name: string): Promise<void> {
    const host = this.#alive(name);
    const ports = bySwitch(portsOf(this.#record.name, [host]));
    for (const [netns, group] of ports) {
      await ipBatch(
        group.map((port) => `link set dev ${port.name} down`),
        netns,
      );
    }
    killAllSync(() => this.#processes(host));
    unmountBelow(hostFolder(this.#record.name, name));
    for (const [netns, group] of ports) {
      await ipBatch(
        group.map((port) => `link del dev ${port.name}`),
        netns,
      );
    }
    removeAgentLock(netnsName(this.#record.name, name));
    await ipBatch([`netns del ${netnsName(this.#record.name, name)}`]);
  }

  /** The host boots again: links without faults, on the switch itself, and its programs from the start. */
  async revive(name: string): Promise<void> {
    const host = this.#host(name);
    const { name: lab } = this.#record;
    if (existsSync(netnsPath(netnsName(lab, name)))) {
      throw new PanError("PAN_LAB_FAULT", `Host ${name} is not dead; only dead hosts are revived`);
    }
    const lossy = await this.#losesAnything();
    await buildHost(lab, host);
    if (lossy) await segmentFrames(lab, portsOf(lab, [host]), true);
    for (const program of host.run ?? []) await startProgram({ lab, host: name }, program);
  }

  /** Stops all processes of the host where they are; its kernel goes on answering ARP and ping. */
  async freeze(name: string): Promise<void> {
    const host = this.#alive(name);
    // twice: what was forked during the first round has a stopped parent in the second
    for (let round = 0; round < 2; round++) {
      for (const id of this.#processes(host)) signal(id, "SIGSTOP");
    }
  }

  async thaw(name: string): Promise<void> {
    for (const id of this.#processes(this.#alive(name))) signal(id, "SIGCONT");
  }

  /** Takes the host's links (or the one of that interface) down at the switch, or up again. */
  async link(name: string, state: "up" | "down", only?: string): Promise<void> {
    const ports = portsOf(this.#record.name, [this.#alive(name)], only);
    for (const [netns, group] of bySwitch(ports)) {
      await ipBatch(
        group.map((port) => `link set dev ${port.name} ${state}`),
        netns,
      );
    }
  }

  /** Takes the host's link of that interface off its switch in silence: its carrier stays. Or puts it back. */
  async unplug(name: string, only: string, out: boolean): Promise<void> {
    const ports = portsOf(this.#record.name, [this.#alive(name)], only);
    for (const [netns, group] of bySwitch(ports)) {
      const lines = group.map(
        (port) => `link set dev ${port.name} ${out ? "nomaster" : `master ${BRIDGE}`}`,
      );
      await ipBatch(lines, netns);
    }
  }

  /**
   * Splits every switch so that only hosts of one group reach each other. Hosts in no group stay with
   * the first. A former partition is replaced. Throws PAN_LAB_FAULT, PAN_NOT_FOUND.
   */
  async partition(groups: readonly (readonly string[])[]): Promise<void> {
    const names = groups.flat();
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) {
      throw new PanError("PAN_LAB_FAULT", `${twice} is in two groups; a host can be in one only`);
    }
    if (groups.length < 2 || groups.some((group) => group.length === 0)) {
      const message = `A partition needs two groups or more, with a host in each: "m1,m2 | m3,m4"`;
      throw new PanError("PAN_LAB_FAULT", message);
    }
    const hosts = groups.map((group) => group.map((name) => this.#host(name)));
    await this.heal();
    for (const [netns, links] of await this.#switches()) {
      const lines = [];
      for (let index = 1; index < groups.length; index++) {
        lines.push(...bridgeLines(partitionBridge(index)));
        for (const { name, netns: home } of portsOf(this.#record.name, hosts[index] ?? [])) {
          const here = home === netns && links.has(name);
          if (here) lines.push(`link set dev ${name} master ${partitionBridge(index)}`);
        }
      }
      await ipBatch([...lines, `link set dev ${BRIDGE} type bridge fdb_flush`], netns);
    }
  }

  /**
   * Hosts of different groups do not hear each other (or, from the first, those of the first are not heard by the others), and everybody else
   * hears all of them; without groups that is over. Throws PAN_LAB_FAULT.
   */
  async estrange(
    groups: readonly (readonly string[])[],
    deafness: Deafness = "both-ways",
  ): Promise<void> {
    const { name: lab, topology } = this.#record;
    if (groups.length === 0) return estrange([portsOf(lab, topology.hosts)]);
    await estrange(
      groups.map((group) =>
        portsOf(
          lab,
          group.map((name) => this.#host(name)),
        ),
      ),
      deafness,
    );
  }

  /** Undoes `partition`: all ports are on the switch itself again, and nothing is learned. */
  async heal(): Promise<void> {
    for (const [netns, links] of await this.#switches()) {
      const lines = [...links.values()]
        .filter(({ master }) => master !== undefined && master !== BRIDGE)
        .map(({ ifname }) => `link set dev ${ifname} master ${BRIDGE}`);
      const bridges = [...links.keys()].filter((name) => /^BR\d+$/.test(name));
      lines.push(...bridges.map((name) => `link del dev ${name}`));
      lines.push(`link set dev ${BRIDGE} type bridge fdb_flush`);
      await ipBatch(lines, netns);
    }
  }

  /**
   * Loses this share of the frames from and to a host (each direction by itself) or to and from all
   * hosts; 0 ends it. While anything is lost, all hosts send segments one by one. Throws PAN_LAB_FAULT.
   */
  async loss(name: string, percent: number): Promise<void> {
    if (!(percent >= 0 && percent <= 100)) {
      throw new PanError("PAN_LAB_FAULT", `${percent} is not a percentage; use 0 to 100`);
    }
    const { name: lab, topology } = this.#record;
    const hosts =
      name === "all" ? topology.hosts.filter((h) => this.#isAlive(h)) : [this.#alive(name)];
    const ports = portsOf(lab, hosts);
    if (percent === 0) await removeLoss(ports);
    else await addLoss(lab, ports, percent);
    await segmentFrames(lab, portsOf(lab, topology.hosts), await this.#losesAnything());
  }

  /** Always refused: Linux delays frames with netem only, which many kernels (this lab's, too) lack. */
  async delay(_name: string, _delayMs: number): Promise<never> {
    const message =
      "The lab cannot delay frames. To try a slow or dying network use loss, freeze or link down";
    return Promise.reject(new PanError("PAN_LAB_FAULT", message));
  }

  #host(name: string): Host {
    const { hosts } = this.#record.topology;
    const found = hosts.find((host) => host.name === name);
    if (found !== undefined) return found;
    const known = hosts.map((host) => host.name).join(", ");
    throw new PanError("PAN_NOT_FOUND", `The lab has no host "${name}". It has ${known}`);
  }

  #isAlive(host: Host): boolean {
    return existsSync(netnsPath(netnsName(this.#record.name, host.name)));
  }

  #alive(name: string): Host {
    const host = this.#host(name);
    if (this.#isAlive(host)) return host;
    throw new PanError("PAN_LAB_FAULT", `Host ${name} is dead; revive it first`);
  }

  #processes(host: Host): ProcessId[] {
    const { name: lab } = this.#record;
    const started = startedProcesses(lab)
      .filter((id) => id.host === host.name && stateOf(id) !== "ended")
      .map(({ pid, startTime }) => ({ pid, startTime }));
    const found = inhabitants(netnsPath(netnsName(lab, host.name)));
    const extra = started.filter((id) => found.every(({ pid }) => pid !== id.pid));
    return [...found, ...extra];
  }

  async #switches(): Promise<Map<string, Awaited<ReturnType<typeof linksIn>>>> {
    const { name: lab, topology } = this.#record;
    const switches = new Map<string, Awaited<ReturnType<typeof linksIn>>>();
    for (const { name } of topology.switches) {
      switches.set(netnsName(lab, name), await linksIn(netnsName(lab, name)));
    }
    return switches;
  }

  async #losesAnything(): Promise<boolean> {
    const { name: lab, topology } = this.#record;
    const alive = topology.hosts.filter((host) => this.#isAlive(host));
    const shares = await Promise.all(
      portsOf(lab, alive).map(async ({ netns, name }: Port) => lossOf(netns, name)),
    );
    return shares.some((percent) => percent > 0);
  }
}
