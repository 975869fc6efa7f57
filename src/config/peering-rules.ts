// What must hold where members share one MAC (part C): the cluster MAC stays what it is, choices go together, and no two
// nodes have one dedicated MAC (C14).
import { type IpAddress, type MacAddress, parseIp, parseMac } from "#base/address.ts";
import { clusterMac, FLOODED_METHODS, maskedMac } from "#base/delivery.ts";
import type { NodeId } from "#base/ids.ts";
import { dedicatedMac, peerMac, type PeerMacs } from "#base/peering.ts";
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

/** `address` alone is judged elsewhere: no virtual address, usable, and once among those of its kind. */
function checkAddresses(
  config: DraftConfig,
  vips: readonly Placed<IpAddress>[],
  report: Report,
): void {
  const seen = new Map<IpAddress, Path>();
  for (const { value, path } of nodeAddresses(config)) {
    const earlier = seen.get(value);
    seen.set(value, path);
    const isMore = path.includes("addresses");
    const reason = isMore ? unlistable(value) : undefined;
    const vip = isMore ? vips.find((each) => each.value === value) : undefined;
    if (reason !== undefined) {
      report({ path, message: `${value} is ${reason}` });
    } else if (vip !== undefined) {
      const message = `${value} is a virtual address; list only what the machine has for itself`;
      report({ path, earlier: vip.path, message });
    } else if (earlier !== undefined && (isMore || earlier.includes("addresses"))) {
      report({ path, earlier, message: `the address ${value} is used twice` });
    }
  }
}

/** Why an address cannot be in `addresses`, and what to do. */
function unlistable(address: IpAddress): string | undefined {
  if (/^fe[89ab]/.test(address)) {
    return "link-local; leave it out: members know link-local addresses without being told";
  }
  const kind = unusable(address);
  return kind === undefined ? undefined : `${kind}; use a unicast address of your network`;
}

/** C14: two nodes of one dedicated MAC could not be told apart. */
function checkMacs(config: DraftConfig, primary: IpAddress, report: Report): void {
  const kind = config.peering?.mac;
  const sharedMac = parseMac(config.peering?.sharedMac ?? "");
  if (kind === undefined) return;
  const macs: PeerMacs = { kind, primary, ...(sharedMac === undefined ? {} : { sharedMac }) };
  const taken = takenMacs(config, primary);
  if (sharedMac !== undefined) unusableMac(sharedMac, taken, ["peering", "sharedMac"], report);
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
    unusableMac(mac, taken, path, report, listed.id);
    if (owner === undefined) continue;
    const remedy =
      kind === "table"
        ? "give one of them another mac"
        : "change an address, or set peering.mac to masked";
    const message = `${entry.value} would have the same dedicated MAC ${mac} as ${owner.value} of another node; ${remedy}`;
    report({ path, earlier: owner.path, message });
  }
}

/** MACs with a meaning of their own, and which; of a node's own MACs also whose. */
type TakenMacs = ReadonlyMap<MacAddress, { readonly what: string; readonly node?: NodeId }>;

function takenMacs({ nodes = [] }: DraftConfig, primary: IpAddress): TakenMacs {
  const ids = nodes.flatMap((node) => (node?.id === undefined ? [] : [node.id as NodeId]));
  return new Map([
    ...FLOODED_METHODS.map((method) => {
      const what = "a cluster MAC and cannot be a dedicated one";
      return [clusterMac(method, primary), { what }] as const;
    }),
    ...ids.map((node) => {
      const what = `the source of what node ${node} sends to outsiders`;
      return [maskedMac(node, primary), { what }] as const;
    }),
    ...ids.map((node) => {
      const what = `the masked MAC of node ${node}, by which members know it whatever the kind`;
      return [peerMac(node, primary), { what, node }] as const;
    }),
  ]);
}

/** @param owner the node that is to have it; its own masked MAC may be in the table, too */
function unusableMac(
  mac: MacAddress,
  taken: TakenMacs,
  path: Path,
  report: Report,
  owner?: NodeId,
): void {
  const meaning = taken.get(mac);
  const reason =
    meaning !== undefined && (owner === undefined || meaning.node !== owner)
      ? meaning.what
      : reservedMac(mac);
  if (reason !== undefined) report({ path, message: `${mac} is ${reason}; use another one` });
}

function reservedMac(mac: MacAddress): string | undefined {
  if (mac === "ff:ff:ff:ff:ff:ff" || mac === "00:00:00:00:00:00") return "nobody's MAC";
  if (mac.startsWith("01:00:5e:") || mac.startsWith("33:33:")) return "of an IP multicast group";
  const isForBridges = mac.startsWith("01:80:c2:00:00:");
  return isForBridges ? "for bridges themselves, which do not forward it (IEEE 802.1Q)" : undefined;
}
