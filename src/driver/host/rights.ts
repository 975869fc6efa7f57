// The rights (capabilities(7)) that the agent has: fewer than root's from the first moment on, and fewer still once it has started
// (docs/adr/0017). Capabilities belong to threads, and a thread can only give up its own.
import { readFileSync } from "node:fs";
import { check, libc } from "../libc.ts";

/** Bits of the capability sets (capability.h). */
export const CAPABILITIES = {
  CAP_SETPCAP: 8, // gives up what follows, also for programs that it starts
  CAP_NET_ADMIN: 12, // addresses, attaching packet programs, tc, net sysctls
  CAP_NET_RAW: 13, // packet sockets for announcements and address conflicts
  CAP_SYS_ADMIN: 21, // opens a packet program by its id: taking over after a restart
  CAP_SYS_NICE: 23, // the heart's priority
  CAP_PERFMON: 38, // loads packet programs
  CAP_BPF: 39, // loads packet programs, reads and writes their maps
} as const;
export type Capability = keyof typeof CAPABILITIES;

const ALL = Object.keys(CAPABILITIES) as Capability[];
export const NEEDED_TO_START: readonly Capability[] = ALL;
export const NEEDED_TO_RUN: readonly Capability[] = ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"];

const PR_CAPBSET_DROP = 24;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const CAPABILITY_VERSION_3 = 0x2008_0522;
const BITS = 64;

/** The sets of a thread, a bit for each capability. */
export interface Rights {
  readonly effective: bigint;
  readonly permitted: bigint;
  /** What a program that root starts can get at most. */
  readonly bounding: bigint;
  readonly ambient: bigint;
}

/** @param status text of /proc/<pid>/status */
export function rightsIn(status: string): Rights {
  const set = (name: string): bigint =>
    BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1] ?? "0"}`);
  return {
    effective: set("CapEff"),
    permitted: set("CapPrm"),
    bounding: set("CapBnd"),
    ambient: set("CapAmb"),
  };
}

/** Of the calling thread. */
export const ownRights = (): Rights => rightsIn(readFileSync("/proc/thread-self/status", "utf8"));

export const setOf = (names: readonly Capability[]): bigint =>
  names.reduce((set, name) => set | (1n << BigInt(CAPABILITIES[name])), 0n);

/** Of those that we know. */
export const namesIn = (set: bigint): Capability[] =>
  ALL.filter((name) => (set & setOf([name])) !== 0n);

const bitsOf = (set: bigint): number[] =>
  Array.from({ length: BITS }, (_, bit) => bit).filter((bit) => ((set >> BigInt(bit)) & 1n) !== 0n);

/** Whether starting the program anew with a smaller bounding set takes rights from all of its threads: as root it does. */
export function canStartWithFewer({ effective, bounding }: Rights, user: number): boolean {
  const surplus = bounding & ~setOf(NEEDED_TO_START);
  return user === 0 && surplus !== 0n && (effective & setOf(["CAP_SETPCAP"])) !== 0n;
}

function dropFromBounding(surplus: bigint): void {
  for (const bit of bitsOf(surplus)) {
    check(libc.prctl(PR_CAPBSET_DROP, bit, 0, 0, 0), `give up the right to capability ${bit}`);
  }
}

function clearAmbient(): void {
  const cleared = libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  check(cleared, "clear the ambient capabilities");
}

/**
 * Puts this process into its own place once more, with the rights that the start needs and no others, and does not come back.
 * Nothing at all happens where it has no more than those, or nothing would be gained. Only the main thread can do it, and nothing may
 * be open yet that has to stay.
 */
export function startWithFewerRights(): void {
  const rights = ownRights();
  if (!canStartWithFewer(rights, process.getuid?.() ?? -1) || process.execve === undefined) return;
  clearAmbient();
  dropFromBounding(rights.bounding & ~setOf(NEEDED_TO_START));
  setRights(rights.permitted & setOf(NEEDED_TO_START));
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, argv, process.env);
}

/**
 * The calling thread, threads and programs that it starts from now on, can do no more than these. The bounding set stays where
 * CAP_SETPCAP is missing: then root's programs can get what is in it.
 */
export function keepOnly(names: readonly Capability[]): void {
  const rights = ownRights();
  const kept = setOf(names);
  clearAmbient();
  if ((rights.effective & setOf(["CAP_SETPCAP"])) !== 0n) dropFromBounding(rights.bounding & ~kept);
  setRights(rights.permitted & kept);
}

/** Effective and permitted; the inheritable set is emptied. */
function setRights(set: bigint): void {
  const header = Uint32Array.of(CAPABILITY_VERSION_3, 0);
  const [low, high] = [Number(set & 0xffff_ffffn), Number(set >> 32n)];
  const data = Uint32Array.of(low, low, 0, high, high, 0);
  const bytes = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer);
  check(libc.capset(bytes(header), bytes(data)), "give up rights");
}
