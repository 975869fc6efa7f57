// What this agent has changed on its host, on disk before it is changed, so that a later process can undo
// exactly that, also after SIGKILL. Addresses, sysctls and listened MACs end with the boot or the network namespace; a
// journal of another one is therefore of no use and is dropped. For the same reason nothing is flushed to
// the disk's platters: a crash that loses the file has undone the changes as well.
import { mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseIp, parseMac, type IpAddress, type MacAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";

const FILE = "host-changes.json";
const FORMAT = 1;

export type SysctlName = "arp_ignore" | "arp_announce" | "rp_filter";

/** An address that we added, or are about to. */
export interface JournalAddress {
  readonly device: string;
  readonly address: IpAddress;
}

/** net.ipv4.conf.<device>.<name>: what it was, and what we set it to. */
export interface JournalSysctl {
  readonly device: string;
  readonly name: SysctlName;
  readonly before: number;
  readonly after: number;
}

/** A MAC address beside its own that we made an interface listen to, or are about to. */
export interface JournalMac {
  readonly device: string;
  readonly mac: MacAddress;
}

/** The MAC of an interface, which became the cluster MAC (C1): what it was, and what we set it to. */
export interface JournalLink {
  readonly device: string;
  readonly before: MacAddress;
  readonly after: MacAddress;
}

export interface Journal {
  readonly addresses: readonly JournalAddress[];
  readonly sysctls: readonly JournalSysctl[];
  readonly macs: readonly JournalMac[];
  readonly links: readonly JournalLink[];
}

export const EMPTY_JOURNAL: Journal = { addresses: [], sysctls: [], macs: [], links: [] };

/** One boot of one machine and one network namespace in it. */
export interface HostIdentity {
  readonly bootId: string;
  /** "net:[4026531840]" */
  readonly netns: string;
}

/** Of the namespace the thread is in now. */
export function hostIdentity(): HostIdentity {
  return {
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    netns: readlinkSync("/proc/thread-self/ns/net"),
  };
}

export const encodeJournal = (identity: HostIdentity, journal: Journal): string =>
  `${JSON.stringify({ format: FORMAT, ...identity, ...journal }, null, 2)}\n`;

/** Undefined: the text is not a journal. */
export function decodeJournal(
  text: string,
): { identity: HostIdentity; journal: Journal } | undefined {
  const value = parseObject(text);
  if (value?.["format"] !== FORMAT) return undefined;
  const { bootId, netns, addresses, sysctls, macs = [], links = [] } = value; // earlier agents knew no MACs
  if (typeof bootId !== "string" || typeof netns !== "string") return undefined;
  if (!Array.isArray(addresses) || !Array.isArray(sysctls)) return undefined;
  if (!Array.isArray(macs) || !Array.isArray(links)) return undefined;
  const journal = {
    addresses: addresses.map(toAddress),
    sysctls: sysctls.map(toSysctl),
    macs: macs.map(toMac),
    links: links.map(toLink),
  };
  const entries = Object.values(journal).flat();
  const whole = entries.every((entry) => entry !== undefined);
  return whole ? { identity: { bootId, netns }, journal: journal as Journal } : undefined;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return toObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const toObject = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;

function toAddress(entry: unknown): JournalAddress | undefined {
  const { device, address } = toObject(entry) ?? {};
  const ip = typeof address === "string" ? parseIp(address) : undefined;
  return typeof device === "string" && ip !== undefined ? { device, address: ip } : undefined;
}

function toSysctl(entry: unknown): JournalSysctl | undefined {
  const { device, name, before, after } = toObject(entry) ?? {};
  if (name !== "arp_ignore" && name !== "arp_announce") return undefined;
  const numbers = typeof before === "number" && typeof after === "number";
  return typeof device === "string" && numbers ? { device, name, before, after } : undefined;
}

function toMac(entry: unknown): JournalMac | undefined {
  const { device, mac: text } = toObject(entry) ?? {};
  const mac = typeof text === "string" ? parseMac(text) : undefined;
  return typeof device === "string" && mac !== undefined ? { device, mac } : undefined;
}

function toLink(entry: unknown): JournalLink | undefined {
  const { device, before, after } = toObject(entry) ?? {};
  const [old, own] = [before, after].map((text) =>
    typeof text === "string" ? parseMac(text) : undefined,
  );
  if (typeof device !== "string" || old === undefined || own === undefined) return undefined;
  return { device, before: old, after: own };
}

/** The journal's file in the state folder. */
export class JournalFile {
  readonly #path: string;
  readonly #identity: HostIdentity;

  constructor(stateFolder: string, identity: HostIdentity) {
    mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
    this.#path = path.join(stateFolder, FILE);
    this.#identity = identity;
  }

  /** Empty when there is none of this boot and namespace. Throws PAN_STATE_UNREADABLE. */
  read(): Journal {
    const text = this.#text();
    if (text === undefined) return EMPTY_JOURNAL;
    const stored = decodeJournal(text);
    if (stored === undefined) {
      throw new PanError(
        "PAN_STATE_UNREADABLE",
        `${this.#path} is not a journal of host changes: remove virtual addresses and ARP settings that an earlier agent left behind, then delete the file`,
      );
    }
    const { bootId, netns } = stored.identity;
    const current = bootId === this.#identity.bootId && netns === this.#identity.netns;
    return current ? stored.journal : EMPTY_JOURNAL;
  }

  /** Replaces the journal in one step: a reader sees the old one or the new one. */
  write(journal: Journal): void {
    const next = `${this.#path}.next`;
    writeFileSync(next, encodeJournal(this.#identity, journal), { mode: 0o600 });
    renameSync(next, this.#path);
  }

  remove(): void {
    rmSync(this.#path, { force: true });
    rmSync(`${this.#path}.next`, { force: true });
  }

  #text(): string | undefined {
    try {
      return readFileSync(this.#path, "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new PanError("PAN_STATE_UNREADABLE", `Cannot read ${this.#path}`, { cause });
    }
  }
}
