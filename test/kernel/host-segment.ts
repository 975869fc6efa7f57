// A network segment of namespaces for the tests of src/driver/host: a switch with the hosts "client",
// "m1" and "m2", each with an eth0, dedicated addresses and no addresses beside those.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ip, mac, type IpAddress, type MacAddress } from "#base/address.ts";
import { inNetns } from "#driver/libc.ts";

export type HostName = "client" | "m1" | "m2";

interface Host {
  readonly mac: MacAddress;
  readonly ip4: IpAddress;
  readonly ip6: IpAddress;
}

export const HOSTS: Readonly<Record<HostName, Host>> = {
  client: { mac: mac("02:00:00:00:00:01"), ip4: ip("10.9.0.1"), ip6: ip("fd00:9::1") },
  m1: { mac: mac("02:00:00:00:00:11"), ip4: ip("10.9.0.11"), ip6: ip("fd00:9::11") },
  m2: { mac: mac("02:00:00:00:00:12"), ip4: ip("10.9.0.12"), ip6: ip("fd00:9::12") },
};
export const VIP4 = ip("10.9.0.100");
export const VIP6 = ip("fd00:9::100");
export const VIPS: readonly IpAddress[] = [VIP4, VIP6];

const names = Object.keys(HOSTS) as HostName[];

export class Segment {
  /** Empty; for state folders. Goes with the segment. */
  readonly folder: string;
  readonly #prefix: string;

  constructor(label: string) {
    this.#prefix = `pt-${label}-${process.pid}`;
    this.folder = mkdtempSync(path.join(tmpdir(), `${this.#prefix}-`));
    try {
      this.#build();
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  remove(): void {
    for (const name of [...names, "sw"]) {
      try {
        execFileSync("ip", ["netns", "del", this.namespace(name)], { stdio: "ignore" });
      } catch {
        // not made yet, when building it failed
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  namespace(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  /** Runs a synchronous function with this thread in the host's namespace. */
  on<T>(host: HostName, run: () => T): T {
    return inNetns(`/run/netns/${this.namespace(host)}`, run);
  }

  /** `ip <args>` on the host; its output. */
  ip(host: string, ...args: readonly string[]): string {
    return execFileSync("ip", ["-n", this.namespace(host), ...args], { encoding: "utf8" });
  }

  /** Arguments for spawn("ip", …) that run a command on the host. */
  command(host: HostName, ...command: readonly string[]): string[] {
    return ["netns", "exec", this.namespace(host), ...command];
  }

  /** Whether one echo request is answered. */
  ping(host: HostName, target: IpAddress, ...options: readonly string[]): boolean {
    const args = this.command(host, "ping", "-n", "-c1", "-W1", ...options, target);
    try {
      execFileSync("ip", args, { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  }

  sysctl(host: HostName, name: string): string {
    return this.on(host, () => readFileSync(`/proc/sys/net/${name}`, "utf8").trim());
  }

  setSysctl(host: HostName, name: string, value: number): void {
    this.on(host, () => writeFileSync(`/proc/sys/net/${name}`, `${value}`));
  }

  /** The MAC address in the host's neighbour cache. */
  neighbourOf(host: HostName, address: IpAddress): string | undefined {
    const text = this.ip(host, "neigh", "show", "to", address, "dev", "eth0");
    return /lladdr (\S+)/.exec(text)?.[1];
  }

  /** Addresses, routes and ARP settings: everything that the agent might leave changed. */
  snapshot(host: HostName): string {
    const addresses = this.ip(host, "-d", "address", "show").replaceAll(
      /(valid|preferred)_lft \d+sec/g,
      "",
    );
    const routes = ["-4", "-6"].map((family) =>
      this.ip(host, family, "route", "show", "table", "all"),
    );
    const settings = ["arp_ignore", "arp_announce"].flatMap((name) =>
      ["all", "eth0", "lo"].map((device) => this.sysctl(host, `ipv4/conf/${device}/${name}`)),
    );
    const listened = execFileSync("bridge", ["-n", this.namespace(host), "fdb", "show"], {
      encoding: "utf8",
    });
    return [addresses, ...routes.map(sortLines), settings.join(" "), sortLines(listened)].join(
      "\n",
    );
  }

  #build(): void {
    for (const name of [...names, "sw"]) {
      execFileSync("ip", ["netns", "add", this.namespace(name)]);
    }
    this.ip("sw", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0");
    this.ip("sw", "link", "set", "br0", "up");
    for (const name of names) this.#connect(name);
  }

  #connect(name: HostName): void {
    const { mac: address, ip4, ip6 } = HOSTS[name];
    // Duplicate address detection of the link-local addresses would only cost a second.
    for (const scope of ["all", "default"])
      this.setSysctl(name, `ipv6/conf/${scope}/accept_dad`, 0);
    const peer = ["peer", "name", "eth0", "address", address, "netns", this.namespace(name)];
    this.ip("sw", "link", "add", name, "type", "veth", ...peer);
    this.ip("sw", "link", "set", name, "master", "br0", "up");
    this.ip(name, "link", "set", "lo", "up");
    this.ip(name, "address", "add", `${ip4}/24`, "dev", "eth0");
    this.ip(name, "link", "set", "eth0", "up");
    this.ip(name, "address", "add", `${ip6}/64`, "dev", "eth0", "nodad");
  }
}

const sortLines = (text: string): string => text.split("\n").sort().join("\n");

/** Waits, generously, until something that the kernel does on its own has happened. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
