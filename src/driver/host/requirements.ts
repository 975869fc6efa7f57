// What a host must have before the agent touches anything on it. Every check only looks, all are made,
// and each finding says what to do: an operator should not meet them one at a time.
import { accessSync, constants, readFileSync } from "node:fs";
import { arch } from "node:os";
import koffi from "koffi";
import { familyOf, type IpAddress } from "#base/address.ts";
import type { ErrorCode } from "#base/error-codes.ts";
import { errno, errnoName, libc } from "../libc.ts";
import { ADDRESS_FLAGS, Rtnetlink, type Link } from "../netlink/rtnetlink.ts";
import { isAtLeast, parseRelease, runningKernel } from "./kernel-release.ts";
import { missingNetwork, portOf, REMEDY } from "./ports.ts";
import { namesIn, NEEDED_TO_RUN, rightsIn, setOf } from "./rights.ts";

const OLDEST_KERNEL = "5.15";
const LIBBPF = "libbpf.so.1";

/** Something that is not as it must be on this host: two sentences, without their full stops. */
export interface Unmet {
  readonly code: ErrorCode;
  readonly missing: string;
  readonly remedy: string;
}

export const unmetText = ({ missing, remedy }: Unmet): string => `${missing}. ${remedy}.`;

export interface RequirementsQuestion {
  /** The cluster interface, such as "eth0". */
  readonly interface: string;
  /** More interfaces that carry client traffic; each needs an address in the network of its VIPs (A22). */
  readonly arms?: readonly string[];
  /** Private interfaces to other nodes (B11): they must be there, but may be down. */
  readonly paths?: readonly string[];
  /** The node's dedicated address. */
  readonly address: IpAddress;
  readonly vips: readonly IpAddress[];
}

/** Everything that is missing, in the order in which to see to it; empty when the agent can start. */
export function unmetRequirements(question: RequirementsQuestion): Unmet[] {
  return [
    ...unmetKernel(),
    ...unmetCapabilities(readFileSync("/proc/self/status", "utf8")),
    ...unmetBpf(),
    ...unmetSysctls(question),
    ...unmetLinks(question),
  ];
}

function unmetKernel(): Unmet[] {
  const oldest = parseRelease(OLDEST_KERNEL);
  const running = runningKernel();
  if (oldest !== undefined && isAtLeast(running, oldest.major, oldest.minor)) return [];
  return [
    {
      code: "PAN_KERNEL_TOO_OLD",
      missing: `The kernel is Linux ${running.major}.${running.minor}, and ${OLDEST_KERNEL} or later is needed`,
      remedy: "Upgrade it",
    },
  ];
}

/** @param status text of /proc/<pid>/status */
export function unmetCapabilities(status: string): Unmet[] {
  const missing = namesIn(setOf(NEEDED_TO_RUN) & ~rightsIn(status).effective);
  if (missing.length === 0) return [];
  return [
    {
      code: "PAN_NOT_ROOT",
      missing: `The agent lacks ${missing.join(", ")}`,
      remedy: "Start it as root, or give its service these capabilities",
    },
  ];
}

function unmetBpf(): Unmet[] {
  const unmet: Unmet[] = [];
  if (!canLoad(LIBBPF)) {
    unmet.push({
      code: "PAN_NO_LIBBPF",
      missing: `The library ${LIBBPF} is not there`,
      remedy: "Install it (Debian and Ubuntu: apt install libbpf1; Fedora: dnf install libbpf)",
    });
  }
  const refusal = bpfRefusal();
  if (refusal !== undefined) {
    unmet.push({
      code: "PAN_NO_BPF",
      missing: `The kernel refuses bpf(2): ${refusal}`,
      remedy:
        refusal === "ENOSYS"
          ? "Use a kernel with CONFIG_BPF_SYSCALL"
          : "Start the agent as root and outside of sandboxes that forbid bpf(2)",
    });
  }
  return unmet;
}

function canLoad(library: string): boolean {
  try {
    koffi.load(library);
    return true;
  } catch {
    return false;
  }
}

/** Makes the smallest map there is and drops it. Undefined: the kernel allowed it. */
function bpfRefusal(): string | undefined {
  const BPF_SYSCALL = arch() === "arm64" ? 280 : 321;
  const BPF_MAP_CREATE = 0;
  const BPF_MAP_TYPE_ARRAY = 2;
  // union bpf_attr: map type, key size, value size, entries
  const attributes = new Uint32Array([BPF_MAP_TYPE_ARRAY, 4, 4, 1]);
  const address = koffi.address(attributes);
  const fd = libc.syscall(BPF_SYSCALL, BPF_MAP_CREATE, address, attributes.byteLength, 0, 0, 0);
  if (fd < 0) return errnoName(errno());
  libc.close(fd);
  return undefined;
}

function unmetSysctls({ interface: device, arms = [], vips }: RequirementsQuestion): Unmet[] {
  const unmet: Unmet[] = [];
  const devices = [device, ...arms];
  const settings = devices.map((name) => `/proc/sys/net/ipv4/conf/${name}/arp_ignore`);
  if (settings.some((own) => isPresent(own) && !isWritable(own))) {
    unmet.push({
      code: "PAN_HOST_SETTING",
      missing: "/proc/sys/net cannot be written",
      remedy:
        "Mount /proc/sys writable for the agent (containers: --privileged or a writable /proc/sys)",
    });
  }
  // The kernel takes the larger of "all" and the interface's own. With 2 it answers only for addresses in
  // the interface's other subnets, with 3 not for ours of scope "host", with 8 for none.
  const forAll = readNumber("/proc/sys/net/ipv4/conf/all/arp_ignore") ?? 0;
  if (forAll > 1 && vips.some((vip) => familyOf(vip) === 4)) {
    unmet.push({
      code: "PAN_HOST_SETTING",
      missing: `net.ipv4.conf.all.arp_ignore is ${forAll}: with more than 1, virtual addresses can stay without an answer`,
      remedy: "Set it: sysctl -w net.ipv4.conf.all.arp_ignore=1",
    });
  }
  if (vips.some((vip) => familyOf(vip) === 6)) unmet.push(...unmetIpv6(["lo", ...devices]));
  return unmet;
}

const unmetIpv6 = (devices: readonly string[]): Unmet[] =>
  devices
    .filter((device) => readNumber(`/proc/sys/net/ipv6/conf/${device}/disable_ipv6`) === 1)
    .map((device) => ({
      code: "PAN_HOST_SETTING",
      missing: `IPv6 is off on ${device}, and there are virtual addresses of IPv6`,
      remedy: `Turn it on: sysctl -w net.ipv6.conf.${device}.disable_ipv6=0`,
    }));

function isPresent(file: string): boolean {
  return readNumber(file) !== undefined;
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Undefined: the file is not there (no such interface, no IPv6 in this kernel). */
function readNumber(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function unmetLinks(question: RequirementsQuestion): Unmet[] {
  const netlink = Rtnetlink.open();
  try {
    const links = netlink.links();
    const { arms = [], paths = [] } = question;
    const devices = [question.interface, ...arms];
    const missing = [...devices, ...paths]
      .filter((device) => !links.some(({ name }) => name === device))
      .map((device) => missingLink(device, links));
    const down = ["lo", ...devices].flatMap((name) => unmetUp(links, name));
    const link = links.find(({ name }) => name === question.interface);
    if (link === undefined || missing.length > 0) return [...missing, ...down];
    return [
      ...down,
      ...unmetAddress(netlink, link, question.address),
      ...(arms.length === 0 ? [] : unmetNetworks(netlink, devices, links, question.vips)),
    ];
  } finally {
    netlink.close();
  }
}

const missingLink = (name: string, links: readonly Link[]): Unmet => ({
  code: "PAN_INTERFACE_MISSING",
  missing: `This host has no network interface ${name}`,
  remedy: `It has ${links.map((link) => link.name).join(", ")}; name the right one by nodes[].interface, cluster.interface or cluster.arms of the configuration, or by --interface`,
});

function unmetUp(links: readonly Link[], name: string): Unmet[] {
  const link = links.find((candidate) => candidate.name === name);
  if (link === undefined || link.up) return [];
  return [
    {
      code: "PAN_INTERFACE_DOWN",
      missing: `The network interface ${name} is down`,
      remedy: `Set it up: ip link set ${name} up`,
    },
  ];
}

/** With arms, every VIP has to be of some interface's network. */
function unmetNetworks(
  netlink: Rtnetlink,
  devices: readonly string[],
  links: readonly Link[],
  vips: readonly IpAddress[],
): Unmet[] {
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const networks = netlink.addresses().flatMap(({ link, ...rest }) => {
    const device = names.get(link) ?? "";
    return devices.includes(device) ? [{ ...rest, device }] : [];
  });
  return vips
    .filter((vip) => portOf(vip, networks) === undefined)
    .map((vip) => ({
      code: "PAN_ADDRESS_MISSING",
      missing: missingNetwork(vip, devices),
      remedy: REMEDY,
    }));
}

function unmetAddress(netlink: Rtnetlink, link: Link, address: IpAddress): Unmet[] {
  const found = netlink
    .addresses()
    .find((candidate) => candidate.link === link.index && candidate.address === address);
  if (found === undefined) {
    return [
      {
        code: "PAN_ADDRESS_MISSING",
        missing: `${link.name} does not have the address ${address}`,
        remedy: `Add it (ip address add ${address}/<prefix length> dev ${link.name}), or correct the node's configuration`,
      },
    ];
  }
  // Duplicate address detection of IPv6 has found another machine (RFC 4862).
  if ((found.flags & ADDRESS_FLAGS.dadFailed) === 0) return [];
  return [
    {
      code: "PAN_ADDRESS_IN_USE",
      missing: `${address} is also used by another machine (duplicate address detection failed)`,
      remedy: "Give one of the two machines another address",
    },
  ];
}
