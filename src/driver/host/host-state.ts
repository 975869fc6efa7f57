// What the agent does to its host's addresses, ARP settings and receive filters (B5, A3), and how it undoes it.
//
// Every member has every VIP on lo, so that its own stack accepts packets for it. The interface node of a VIP has
// it on the cluster interface as well, so that its kernel answers ARP and Neighbor Solicitations;
// whether such requests reach the kernel at all is the packet program's business (docs/adr/0003), so an
// address that stays behind does no harm.
//
// The VIPs never become the source of what the node sends of its own accord: IPv4 ones have scope
// "host", IPv6 ones a preferred lifetime of 0 (as /128 they would otherwise win by longest match), and
// no duplicate address detection, which all members but one would fail.
//
// With arms (A22), an interface has only the VIPs of its own network (ports.ts).
//
// The MAC addresses that an interface listens to beside its own are in receive-filter.ts; its own, where that is the cluster
// MAC, in link-macs.ts.
//
// Repeatable: apply() compares what is there with what should be. What is ours is known by a mark on the
// address (IFA_PROTO, since Linux 5.18) or, on older kernels, by the journal alone; an address that was
// there before us is used and left.
import { familyOf, type IpAddress, type MacAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { ADDRESS_FLAGS, ADDRESS_SCOPES, Rtnetlink } from "../netlink/rtnetlink.ts";
import { ARP_SETTINGS, pathSettings, readSysctl, writeSysctl } from "./arp-settings.ts";
import {
  EMPTY_JOURNAL,
  hostIdentity,
  JournalFile,
  type Journal,
  type JournalAddress,
  type JournalMac,
  type JournalSysctl,
  type SysctlName,
} from "./host-journal.ts";
import { isAtLeast, runningKernel } from "./kernel-release.ts";
import { planLinkMacs, setLinkMac } from "./link-macs.ts";
import { announceAt } from "./peer-frames.ts";
import { type Network, nowhere, portOf } from "./ports.ts";
import { planMacs, type DesiredMacs } from "./receive-filter.ts";

/** Our mark in IFA_PROTO ("ip -d address" shows it as a number). 0–3 are the kernel's own. */
export const OUR_ADDRESS_PROTOCOL = 80;
const LOOPBACK = "lo";

export interface DesiredHost {
  readonly vips: readonly IpAddress[];
  /** Those of them that this node's kernel answers for. */
  readonly answered: readonly IpAddress[];
  /** MAC addresses that the interfaces listen to beside their own. */
  readonly macs: DesiredMacs;
}

export type Change =
  | { readonly type: "mac-added"; readonly device: string; readonly mac: MacAddress }
  | { readonly type: "mac-removed"; readonly device: string; readonly mac: MacAddress }
  | { readonly type: "link-mac"; readonly device: string; readonly mac: MacAddress }
  | { readonly type: "address-added"; readonly device: string; readonly address: IpAddress }
  | { readonly type: "address-removed"; readonly device: string; readonly address: IpAddress }
  | {
      readonly type: "sysctl-changed";
      readonly device: string;
      readonly name: SysctlName;
      readonly before: number;
      readonly after: number;
    };

export interface HostStateOptions {
  /** The cluster interface, such as "eth0". */
  readonly interface: string;
  /** More interfaces that carry client traffic; each has the VIPs of its own network (A22). */
  readonly arms?: readonly string[];
  /** Private interfaces to other nodes (B11): silent about the VIPs, and without them. */
  readonly paths?: readonly string[];
  /** Holds host-changes.json; made when missing. */
  readonly stateFolder: string;
}

/** An address as found, by keyOf(). */
interface Found extends JournalAddress {
  readonly ours: boolean;
}

const keyOf = ({ device, address }: JournalAddress): string => `${device} ${address}`;
const fullLength = (address: IpAddress): number => (familyOf(address) === 4 ? 32 : 128);

export class HostState {
  /** The cluster interface first. */
  readonly #interfaces: readonly string[];
  readonly #paths: readonly string[];
  readonly #file: JournalFile;
  readonly #netlink: Rtnetlink;
  readonly #marksAreKept = isAtLeast(runningKernel(), 5, 18);
  #journal: Journal;
  /** By name; refreshed by each #observe(), since an interface may have been made anew. */
  #links = new Map<string, number>();
  /** Of the interfaces; refreshed likewise. */
  #networks: Network[] = [];

  private constructor(options: HostStateOptions) {
    this.#interfaces = [options.interface, ...(options.arms ?? [])];
    this.#paths = options.paths ?? [];
    this.#file = new JournalFile(options.stateFolder, hostIdentity());
    this.#journal = this.#file.read();
    this.#netlink = Rtnetlink.open();
  }

  /** For the network namespace the thread is in now. Changes nothing. Throws PAN_STATE_UNREADABLE. */
  static open(options: HostStateOptions): HostState {
    return new HostState(options);
  }

  /** What is on the host of an earlier agent that could not tidy up, or of this one. */
  get journal(): Journal {
    return this.#journal;
  }

  /**
   * Makes the host as desired and says what had to be changed: nothing when repeated.
   * Everything that can be done is done before the first failure is thrown (PAN_NETLINK, PAN_SYSCALL;
   * PAN_INTERFACE_MISSING before anything).
   */
  apply(desired: DesiredHost): Change[] {
    const found = this.#observe();
    for (const name of this.#interfaces) requireLink(name, this.#links);
    const attempt = new Attempt();
    const wanted = this.#wanted(desired, attempt);
    const wantedKeys = new Set(wanted.map(keyOf));
    const ours = [...found.values()].filter((entry) => entry.ours);
    const surplus = ours.filter((entry) => !wantedKeys.has(keyOf(entry)));
    const missing = wanted.filter((entry) => !found.has(keyOf(entry)));
    const sysctls = this.#missingSysctls();
    const recorded = this.#journal.macs;
    const macs = planMacs(this.#netlink, this.#interfaces, desired.macs, {
      recorded,
      links: this.#links,
    });
    this.#record([...ours, ...missing], sysctls, [...recorded, ...macs.missing]);
    // Silence about the VIPs comes before the VIPs.
    for (const entry of sysctls) attempt.change(() => setSysctl(entry));
    for (const entry of macs.missing) attempt.change(() => this.#listen(entry));
    for (const entry of macs.surplus) attempt.change(() => this.#stopListening(entry));
    for (const entry of missing) attempt.change(() => this.#add(entry));
    for (const entry of surplus.toReversed()) attempt.change(() => this.#remove(entry));
    this.#restoreSysctls(attempt, ({ device }) => !this.#silent.includes(device));
    const changes = attempt.finish();
    this.#record(
      [...ours, ...missing].filter((entry) => wantedKeys.has(keyOf(entry))),
      [],
      [...macs.kept, ...macs.missing],
    );
    return changes;
  }

  /**
   * Gives every interface the cluster MAC (C1). The egress programs must be there: no frame may leave with it as its source.
   * PAN_HOST_SETTING when a driver does not take it while the link is up.
   */
  takeMac(mac: MacAddress): Change[] {
    const links = this.#netlink.links();
    const { entries, missing } = planLinkMacs(links, this.#interfaces, mac, this.#journal.links);
    this.#writeLinks([...entries, ...this.#journal.links.filter((old) => isNotOf(entries, old))]);
    return missing.flatMap((entry) => this.#setMac(entry.device, entry.after) ?? []);
  }

  /** Gives interfaces back the MACs that they had, unless somebody has set another one since; neighbours are told. */
  releaseMacs(): Change[] {
    const links = this.#netlink.links();
    const found = [...this.#observe().values()];
    const changes = this.#journal.links.flatMap(({ device, before, after }) => {
      const present = links.find(({ name }) => name === device)?.mac;
      if (present !== after || before === after) return [];
      const change = this.#setMac(device, before);
      const own = found.filter((each) => each.device === device && !each.ours);
      announceAt(
        device,
        own.map(({ address }) => address),
        before,
      );
      return change ?? [];
    });
    if (this.#journal.links.length > 0) this.#writeLinks([]);
    return changes;
  }

  #setMac(device: string, mac: MacAddress): Change | undefined {
    const link = this.#netlink.link(device);
    if (link === undefined) return undefined;
    setLinkMac(this.#netlink, link, mac);
    return { type: "link-mac", device, mac };
  }

  #writeLinks(links: Journal["links"]): void {
    this.#journal = { ...this.#journal, links };
    this.#file.write(this.#journal);
  }

  /** Undoes what this agent, or an earlier one that was killed, has done. Repeatable. */
  revert(): Change[] {
    const ours = [...this.#observe().values()].filter((entry) => entry.ours);
    const attempt = new Attempt();
    attempt.changes(() => this.releaseMacs());
    for (const entry of ours.toReversed()) attempt.change(() => this.#remove(entry));
    for (const entry of this.#journal.macs) attempt.change(() => this.#stopListening(entry));
    this.#restoreSysctls(attempt, () => true);
    const changes = attempt.finish();
    this.#journal = EMPTY_JOURNAL;
    this.#file.remove();
    return changes;
  }

  /** Leaves the host as it is. */
  close(): void {
    this.#netlink.close();
  }

  /** Addresses of all devices; those on lo first. */
  #observe(): Map<string, Found> {
    const links = this.#netlink.links();
    this.#links = new Map(links.map(({ name, index }) => [name, index]));
    const names = new Map(links.map(({ name, index }) => [index, name]));
    const recorded = new Set(this.#journal.addresses.map(keyOf));
    const found = new Map<string, Found>();
    this.#networks = [];
    for (const { link, address, prefixLength, protocol } of this.#netlink.addresses()) {
      const device = names.get(link);
      if (device === undefined) continue;
      if (this.#interfaces.includes(device)) this.#networks.push({ device, address, prefixLength });
      const key = keyOf({ device, address });
      const marked = this.#marksAreKept ? protocol === OUR_ADDRESS_PROTOCOL : recorded.has(key);
      const ours = marked && prefixLength === fullLength(address);
      // The same address may be there twice, with an operator's prefix length and with ours.
      if (ours || !found.has(key)) found.set(key, { device, address, ours });
    }
    return found;
  }

  /** Every VIP on lo; those that this node answers for also on the interface in whose network they are. */
  #wanted({ vips, answered }: DesiredHost, attempt: Attempt): JournalAddress[] {
    const onLoopback = [...new Set(vips)].map((address) => ({ device: LOOPBACK, address }));
    const onInterfaces = [...new Set(answered)].flatMap((address) => {
      const device = this.portOf(address);
      if (device === undefined) attempt.fail(nowhere(address, this.#interfaces));
      return device === undefined ? [] : [{ device, address }];
    });
    return [...onLoopback, ...onInterfaces];
  }

  /**
   * The interface that answers for a VIP, by the addresses that apply() has found. Without arms that is the cluster interface,
   * whatever its network is.
   */
  portOf(vip: IpAddress): string | undefined {
    const [only] = this.#interfaces;
    return this.#interfaces.length === 1 ? only : portOf(vip, this.#networks);
  }

  get #silent(): readonly string[] {
    return [...this.#interfaces, ...this.#paths];
  }

  #missingSysctls(): JournalSysctl[] {
    return this.#silent.flatMap((device) => {
      const wanted = this.#paths.includes(device) ? pathSettings(device) : ARP_SETTINGS;
      return wanted.flatMap(({ name, value }) => {
        const before = readSysctl(device, name);
        if (before === undefined || before === value) return [];
        return [{ device, name, before, after: value }];
      });
    });
  }

  /** Writes the journal when it differs: these addresses and MACs, and these sysctls over those known. */
  #record(
    addresses: readonly JournalAddress[],
    sysctls: readonly JournalSysctl[],
    macs: readonly JournalMac[],
  ): void {
    const kept = this.#journal.sysctls.filter(
      (old) => !sysctls.some((entry) => entry.device === old.device && entry.name === old.name),
    );
    const next: Journal = {
      addresses: addresses.map(({ device, address }) => ({ device, address })),
      sysctls: [...kept, ...sysctls],
      macs: macs.map(({ device, mac }) => ({ device, mac })),
      links: this.#journal.links,
    };
    if (JSON.stringify(next) === JSON.stringify(this.#journal)) return;
    this.#file.write(next);
    this.#journal = next;
  }

  #listen({ device, mac }: JournalMac): Change | undefined {
    const link = this.#links.get(device);
    const listens = link !== undefined && this.#netlink.listenToMac(link, mac);
    return listens ? { type: "mac-added", device, mac } : undefined;
  }

  #stopListening({ device, mac }: JournalMac): Change | undefined {
    const link = this.#links.get(device);
    const stopped = link !== undefined && this.#netlink.stopListening(link, mac);
    return stopped ? { type: "mac-removed", device, mac } : undefined;
  }

  #add({ device, address }: JournalAddress): Change | undefined {
    const link = this.#links.get(device);
    if (link === undefined) return undefined;
    const { noDad, noPrefixRoute } = ADDRESS_FLAGS;
    const quiet =
      familyOf(address) === 4
        ? { scope: ADDRESS_SCOPES.host }
        : { flags: noDad | noPrefixRoute, preferredSeconds: 0 };
    const added = this.#netlink.addAddress({
      link,
      address,
      prefixLength: fullLength(address),
      protocol: OUR_ADDRESS_PROTOCOL,
      ...quiet,
    });
    return added ? { type: "address-added", device, address } : undefined;
  }

  #remove({ device, address }: JournalAddress): Change | undefined {
    const link = this.#links.get(device);
    if (link === undefined) return undefined;
    const prefixLength = fullLength(address);
    const removed = this.#netlink.removeAddress({ link, address, prefixLength });
    return removed ? { type: "address-removed", device, address } : undefined;
  }

  /** Puts back what we set, unless somebody has set it to something else since, and forgets it. */
  #restoreSysctls(attempt: Attempt, which: (entry: JournalSysctl) => boolean): void {
    const chosen = this.#journal.sysctls.filter(which);
    for (const { device, name, before, after } of chosen) {
      attempt.change(() =>
        readSysctl(device, name) === after
          ? setSysctl({ device, name, before: after, after: before })
          : undefined,
      );
    }
    if (attempt.failed || chosen.length === 0) return;
    const sysctls = this.#journal.sysctls.filter((entry) => !chosen.includes(entry));
    this.#journal = { ...this.#journal, sysctls };
    this.#file.write(this.#journal);
  }
}

const isNotOf = (entries: Journal["links"], { device }: { readonly device: string }): boolean =>
  entries.every((entry) => entry.device !== device);

function requireLink(name: string, links: ReadonlyMap<string, number>): void {
  if (links.has(name)) return;
  throw new PanError(
    "PAN_INTERFACE_MISSING",
    `There is no network interface ${name}: create it or correct the node's configuration`,
  );
}

function setSysctl(entry: JournalSysctl): Change {
  writeSysctl(entry.device, entry.name, entry.after);
  return { type: "sysctl-changed", ...entry };
}

/** A row of changes of which one may fail without keeping back the others. */
class Attempt {
  readonly #changes: Change[] = [];
  readonly #failures: unknown[] = [];

  get failed(): boolean {
    return this.#failures.length > 0;
  }

  change(make: () => Change | undefined): void {
    try {
      const change = make();
      if (change !== undefined) this.#changes.push(change);
    } catch (error) {
      this.#failures.push(error);
    }
  }

  changes(make: () => readonly Change[]): void {
    try {
      this.#changes.push(...make());
    } catch (error) {
      this.#failures.push(error);
    }
  }

  fail(error: unknown): void {
    this.#failures.push(error);
  }

  /** The changes made, or the first failure. */
  finish(): Change[] {
    if (this.failed) throw this.#failures[0];
    return this.#changes;
  }
}
