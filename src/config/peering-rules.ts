// What must hold where members share one MAC (part C): the cluster MAC stays what it is, choices go together, and no two
// nodes have one dedicated MAC (C14).
import { type IpAddress, type MacAddress, parseIp, parseMac } from "#base/address.ts";
import { clusterMac, FLOODED_METHODS } from "#base/delivery.ts";
import type { NodeId } from "#base/ids.ts";
import { dedicatedMac, type PeerMacs } from "#base/peering.ts";
import type { Path, Report } from "./findings.ts";
import type { DraftConfig, Placed } from "./rules.ts";
import { unusable } from "./unusable.ts";

export function checkPeering(
  config: DraftConfig,
  vips: readonly Placed<IpAddress>[],
  report: Report,
): void {
  checkAddresses(config, vips, report);
  const { peering } = config;
  if (peering === undefined) return;
  const primary = parseIp(peering.primary ?? "");
  if (primary !== undefined && !vips.some(({ value }) => value === primary)) {
    const remedy = "name one of the cluster's, or add it to vips";
    const message = `${primary} is no virtual address of this cluster; ${remedy}`;
    report({ path: ["peering", "primary"], message });
  }
  const method = config.delivery?.method;
  if (method !== undefined && method !== "unicast") {
    const remedy = "set delivery.method to unicast, or remove the section peering";
    const message = `members share one MAC with delivery.method unicast only, and it is ${method}; ${remedy}`;
    report({ path: ["peering"], message });
  }
  checkChoices(peering, report);
  if (primary !== undefined) checkMacs(config, primary, report);
}

function checkChoices(peering: NonNullable<DraftConfig["peering"]>, report: Report): void {
  const { mac, sharedMac, sourceCheck, learnFromRequests, localResponder } = peering;
  if (sharedMac !== undefined && mac !== "shared") {
    const message = `sharedMac goes with mac: shared only, and mac is ${mac}; remove one of them`;
    report({ path: ["peering", "sharedMac"], message });
  }
  if (sourceCheck !== true) return;
  const path = ["peering", "sourceCheck"];
  const reason = "peers that never ask would never be heard";
  if (learnFromRequests === true) {
    report({ path, message: `${reason}; set learnFromRequests to false as well` });
  }
  if (localResponder === true) {
    report({ path, message: `${reason}; set localResponder to false` });
  }
}

interface NodeAddress extends Placed<IpAddress> {
  readonly node: number;
}

function nodeAddresses(config: DraftConfig): NodeAddress[] {
  return (config.nodes ?? []).flatMap((node, n) => {
    const first = { text: node?.address, path: ["nodes", n, "address"] as Path };
    const more = (node?.addresses ?? []).map((text, index) => ({
      text,
      path: ["nodes", n, "addresses", index] as Path,
    }));
    return [first, ...more].flatMap(({ text, path }) => {
      const value = parseIp(text ?? "");
      return value === undefined ? [] : [{ value, path, node: n }];
    });
  });
}

/** `address` alone is judged elsewhere: unique, no virtual address, usable. */
function checkAddresses(
  config: DraftConfig,
  vips: readonly Placed<IpAddress>[],
  report: Report,
): void {
  const seen = new Map<IpAddress, Path>();
  for (const { value, path } of nodeAddresses(config)) {
    const earlier = seen.get(value);
    seen.set(value, path);
    if (!path.includes("addresses")) continue;
    const kind = unusable(value);
    const vip = vips.find((each) => each.value === value);
    if (kind !== undefined) {
      report({ path, message: `${value} is ${kind}; use a unicast address of your network` });
    } else if (vip !== undefined) {
      const message = `${value} is a virtual address; list only what the machine has for itself`;
      report({ path, earlier: vip.path, message });
    } else if (earlier !== undefined) {
      report({ path, earlier, message: `the address ${value} is used twice` });
    }
  }
}

/** C14: two nodes of one dedicated MAC could not be told apart. */
function checkMacs(config: DraftConfig, primary: IpAddress, report: Report): void {
  const kind = config.peering?.mac;
  const sharedMac = parseMac(config.peering?.sharedMac ?? "");
  if (kind === undefined) return;
  const macs: PeerMacs = { kind, primary, ...(sharedMac === undefined ? {} : { sharedMac }) };
  const ours = new Set(FLOODED_METHODS.map((method) => clusterMac(method, primary)));
  if (sharedMac !== undefined) unusableMac(sharedMac, ours, ["peering", "sharedMac"], report);
  if (kind === "shared") return;
  const owners = new Map<MacAddress, NodeAddress>();
  for (const entry of nodeAddresses(config)) {
    const node = config.nodes?.[entry.node];
    if (node?.id === undefined) continue;
    const own = parseMac(node.mac ?? "");
    const listed = { id: node.id as NodeId, ...(own === undefined ? {} : { mac: own }) };
    const mac = dedicatedMac(macs, listed, entry.value);
    const path = own !== undefined && mac === own ? ["nodes", entry.node, "mac"] : entry.path;
    const owner = owners.get(mac);
    if (owner === undefined) owners.set(mac, entry);
    if (owner?.node === entry.node) continue;
    unusableMac(mac, ours, path, report);
    if (owner === undefined) continue;
    const remedy =
      kind === "table"
        ? "give one of them another mac"
        : "change an address, or set peering.mac to masked";
    const message = `${entry.value} would have the same dedicated MAC ${mac} as ${owner.value} of another node; ${remedy}`;
    report({ path, earlier: owner.path, message });
  }
}

function unusableMac(mac: MacAddress, ours: ReadonlySet<string>, path: Path, report: Report): void {
  const remedy = "use another one";
  if (ours.has(mac)) {
    report({ path, message: `${mac} is a cluster MAC and cannot be a dedicated one; ${remedy}` });
  } else if (mac === "ff:ff:ff:ff:ff:ff" || mac === "00:00:00:00:00:00") {
    report({ path, message: `${mac} is nobody's MAC; ${remedy}` });
  } else if (mac.startsWith("01:00:5e:") || mac.startsWith("33:33:")) {
    report({ path, message: `${mac} is of an IP multicast group; ${remedy}` });
  }
}
