// Puts a packet program on an interface, finds it there again and takes it away. The interface itself keeps the
// program: native XDP by netlink, or a filter on clsact. Replacing is atomic everywhere. The egress program (mask.ts) is
// always a filter on clsact.
import { PanError } from "#base/error-codes.ts";
import { libc } from "../libc.ts";
import { bpfCheck, bpfError, libbpf, Structure } from "./libbpf.ts";
import type { Netdev } from "./netdev.ts";
import { programName } from "./objects.ts";
import { filterCount, ingressQdisc } from "./tc-filters.ts";
import type { Hook } from "./types.ts";

/** Our place among the filters of clsact ingress. */
const TC_HANDLE = 0x7061;
const TC_PRIORITY = 50;
/** Behind the packet program and behind mask_egress. */
const TC_PEER_PRIORITY = 51;
/** Of the session program, behind all of them. */
const TC_SESSION_PRIORITY = 60;
const TC_INGRESS = 1;
const TC_EGRESS = 2;
const TC_BOTH = 3;
const TC_REPLACE = 1;
const XDP_NATIVE = 1 << 2;
const XDP_REPLACE = 1 << 4;
const EEXIST = 17;

export const PROGRAM_NAMES = { xdp: "steer_xdp", tc: "steer_tc" } as const;
export const MASK_NAME = "mask_egress";
export const PEER_NAMES = { in: "peer_ingress", out: "peer_egress" } as const;
/** Into the stack, or out of it. */
export type Direction = keyof typeof PEER_NAMES;
const PEER_POINTS = { in: TC_INGRESS, out: TC_EGRESS } as const;

const tcHook = (ifindex: number, point: number): Uint8Array =>
  new Structure(24).u64(0, 24).u32(8, ifindex).u32(12, point).bytes;

const tcOptions = (programFd: number, flags: number, priority: number): Structure =>
  new Structure(32)
    .u64(0, 32)
    .u32(8, programFd)
    .u32(12, flags)
    .u32(20, TC_HANDLE)
    .u32(24, priority);

function xdpProgramId(ifindex: number): number {
  const options = new Structure(32).u64(0, 32);
  if (libbpf().xdpQuery(ifindex, 0, options.bytes) < 0) return 0;
  return options.readU32(8) || options.readU32(12) || options.readU32(20);
}

function tcProgramId(ifindex: number, point: number, priority = TC_PRIORITY): number {
  const options = tcOptions(0, 0, priority);
  const result = libbpf().tcQuery(tcHook(ifindex, point), options.bytes);
  return result < 0 ? 0 : options.readU32(16);
}

/** The id of our program at a hook of an interface; undefined when something else or nothing is there. */
export function attachedProgram(ifindex: number, hook: Hook): number | undefined {
  const id = hook === "xdp" ? xdpProgramId(ifindex) : tcProgramId(ifindex, TC_INGRESS);
  return id !== 0 && programName(id) === PROGRAM_NAMES[hook] ? id : undefined;
}

/** The id of our egress program; undefined when something else or nothing is there. */
export function attachedMask(ifindex: number): number | undefined {
  const id = tcProgramId(ifindex, TC_EGRESS);
  return id !== 0 && programName(id) === MASK_NAME ? id : undefined;
}

/** The id of our peering program of that direction; undefined when something else or nothing is there. */
export function attachedPeer(ifindex: number, direction: Direction): number | undefined {
  const id = tcProgramId(ifindex, PEER_POINTS[direction], TC_PEER_PRIORITY);
  return id !== 0 && programName(id) === PEER_NAMES[direction] ? id : undefined;
}

/** Which places of an interface have a program, whosever: names are for who may open programs by their id (docs/adr/0017). */
export const occupied = (ifindex: number, hook: Hook) => ({
  steer: (hook === "xdp" ? xdpProgramId(ifindex) : tcProgramId(ifindex, TC_INGRESS)) !== 0,
  mask: tcProgramId(ifindex, TC_EGRESS) !== 0,
  peerIn: tcProgramId(ifindex, TC_INGRESS, TC_PEER_PRIORITY) !== 0,
  peerOut: tcProgramId(ifindex, TC_EGRESS, TC_PEER_PRIORITY) !== 0,
});

/** XDP only where it is native and pays: on veth it costs offloads and partial checksums. */
export function preferredHooks(
  device: Netdev,
  wanted: Hook | "auto",
): readonly [first: Hook, otherwise?: Hook] {
  if (wanted !== "auto") return [wanted];
  return device.driver === "veth" || device.driver === "" ? ["tc"] : ["xdp", "tc"];
}

function attachXdp(device: Netdev, programFd: number): void {
  const present = xdpProgramId(device.ifindex);
  if (present !== 0 && programName(present) !== PROGRAM_NAMES.xdp) {
    throw new PanError(
      "PAN_NO_BPF",
      `Another XDP program (${programName(present) ?? "unknown"}) is on ${device.name}. ` +
        "Detach it, or set datapath.hook to tc.",
    );
  }
  const bpf = libbpf();
  if (present === 0) {
    const result = bpf.xdpAttach(device.ifindex, programFd, XDP_NATIVE, null);
    if (result >= 0) return;
    throw bpfError(
      -result,
      `attach the packet program to ${device.name} as native XDP`,
      " Set datapath.hook to tc if its driver has none.",
    );
  }
  const oldFd = bpfCheck(bpf.progFdById(present), "open the attached packet program");
  const options = new Structure(16).u64(0, 16).u32(8, oldFd).bytes;
  const result = bpf.xdpAttach(device.ifindex, programFd, XDP_NATIVE | XDP_REPLACE, options);
  libc.close(oldFd);
  bpfCheck(result, `replace the packet program on ${device.name}`);
}

function attachTc(
  device: Netdev,
  point: number,
  programFd: number,
  priority = TC_PRIORITY,
): boolean {
  const bpf = libbpf();
  const created = bpf.tcHookCreate(tcHook(device.ifindex, point));
  if (created < 0 && created !== -EEXIST) {
    throw bpfError(-created, `add the clsact qdisc to ${device.name}`);
  }
  // to the kernel, both places of an ingress qdisc are the same one
  if (created < 0 && ingressQdisc(device.ifindex) !== "clsact") {
    throw new PanError(
      "PAN_NO_BPF",
      `${device.name} has an ingress qdisc, which has no place for a program at what leaves. ` +
        `Remove it (tc qdisc del dev ${device.name} ingress); clsact takes the same filters.`,
    );
  }
  const options = tcOptions(programFd, TC_REPLACE, priority).bytes;
  const result = bpf.tcAttach(tcHook(device.ifindex, point), options);
  if (result < 0 && created >= 0) removeUnusedClsact(device.ifindex);
  const where = point === TC_INGRESS ? "ingress" : "egress";
  bpfCheck(result, `attach the packet program to ${device.name} at tc ${where}`);
  return created >= 0;
}

/** Attaches or replaces. Answers whether the clsact qdisc had to be made. */
export function attach(device: Netdev, hook: Hook, programFd: number): boolean {
  if (hook === "tc") return attachTc(device, TC_INGRESS, programFd);
  attachXdp(device, programFd);
  return false;
}

/** Attaches or replaces the egress program; answers as attach() does. */
export const attachMask = (device: Netdev, programFd: number): boolean =>
  attachTc(device, TC_EGRESS, programFd);

/** Attaches or replaces a peering program; answers as attach() does. */
export const attachPeer = (device: Netdev, direction: Direction, programFd: number): boolean =>
  attachTc(device, PEER_POINTS[direction], programFd, TC_PEER_PRIORITY);

function detachTc(ifindex: number, point: number, what: string, priority = TC_PRIORITY): void {
  const options = new Structure(32).u64(0, 32).u32(20, TC_HANDLE).u32(24, priority).bytes;
  bpfCheck(libbpf().tcDetach(tcHook(ifindex, point), options), `remove the filter from ${what}`);
}

/** Removes our program from a hook. */
export function detach(ifindex: number, hook: Hook): void {
  if (hook === "tc") return detachTc(ifindex, TC_INGRESS, "tc ingress");
  bpfCheck(libbpf().xdpDetach(ifindex, XDP_NATIVE, null), "detach the packet program from XDP");
}

/** Removes our egress program, if it is there. */
export function detachMask(ifindex: number): void {
  if (attachedMask(ifindex) !== undefined) detachTc(ifindex, TC_EGRESS, "tc egress");
}

/** Removes our peering programs, if they are there. */
export function detachPeers(ifindex: number): void {
  for (const direction of ["in", "out"] as const) {
    if (attachedPeer(ifindex, direction) === undefined) continue;
    detachTc(ifindex, PEER_POINTS[direction], `tc (${PEER_NAMES[direction]})`, TC_PEER_PRIORITY);
  }
}

/** Attaches or replaces the session program's two filters; answers as attach() does. */
export function attachSession(
  device: Netdev,
  programs: { readonly ingress: number; readonly egress: number },
): boolean {
  const created = attachTc(device, TC_INGRESS, programs.ingress, TC_SESSION_PRIORITY);
  return attachTc(device, TC_EGRESS, programs.egress, TC_SESSION_PRIORITY) || created;
}

/** Removes them where they are. */
export function detachSession(ifindex: number): void {
  for (const [point, what] of [
    [TC_INGRESS, "tc ingress"],
    [TC_EGRESS, "tc egress"],
  ] as const) {
    const options = tcOptions(0, 0, TC_SESSION_PRIORITY);
    const isThere = libbpf().tcQuery(tcHook(ifindex, point), options.bytes) >= 0;
    if (isThere) detachTc(ifindex, point, what, TC_SESSION_PRIORITY);
  }
}

/** For a clsact qdisc that an agent made: it goes unless somebody else uses it. */
export function removeUnusedClsact(ifindex: number): void {
  if (filterCount(ifindex) > 0) return;
  bpfCheck(libbpf().tcHookDestroy(tcHook(ifindex, TC_BOTH)), "remove the clsact qdisc");
}
