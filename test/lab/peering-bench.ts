// What the tests of part C share: clusters whose members share one MAC, on a switch that learns and listens to IGMP; transfers
// between members that are checked at their end; what everybody has in its neighbour caches.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { ip, ipFromBytes, mac, macBytes } from "#base/address.ts";
import { clusterMac } from "#base/delivery.ts";
import { nodeId } from "#base/ids.ts";
import { dedicatedMac, type PeerMacKind } from "#base/peering.ts";
import { discoveryIn } from "#core/peering/discovery.ts";
import { LabCluster } from "#lab/cluster.ts";
import { BRIDGE } from "#lab/wiring.ts";
import { insideAddress, STANDARD, standardMembers, type StandardMember } from "#lab/standard.ts";
import { run } from "../kernel/netns.ts";
import { CALM, labName, until } from "./agent-bench.ts";

export const { vip4, vip6, client } = STANDARD;
export const CM = clusterMac("unicast", ip(vip4));
const TRANSFER_PORT = 5600;
const script = (name: string): string => path.join(import.meta.dirname, name);

/** An outsider on the second network of two-armed members. */
export const insider = "o1";
const insideOutsider = {
  name: insider,
  links: [
    {
      switch: STANDARD.inside.switch,
      interface: STANDARD.interface,
      addresses: [STANDARD.client4, STANDARD.client6].map(
        (each, index) => `${insideAddress(each)}/${index === 0 ? 24 : 64}`,
      ),
    },
  ],
};

export interface PeeringSetup {
  readonly part: string;
  readonly kind: PeerMacKind;
  /** More of the section, such as ", localResponder: true". */
  readonly choices?: string;
  readonly members?: number;
  readonly twoArmed?: boolean;
  /** Nodes have entries in a table, whatever the kind is at first. */
  readonly table?: boolean;
}

/** Of the kind "table". */
export const tableMac = ({ number }: StandardMember): string => `02:00:5e:00:00:0${number}`;

export async function peeringCluster(setup: PeeringSetup): Promise<LabCluster> {
  const { part, kind, choices = "", members = 3, twoArmed = false, table = false } = setup;
  const tableEntry = (member: StandardMember): string =>
    table ? `, mac: "${tableMac(member)}"` : "";
  const cluster = await LabCluster.up({
    name: labName(part),
    members,
    twoArmed,
    ...(twoArmed ? { extraHosts: [insideOutsider] } : {}),
    memberConfig: (member) => `addresses: [${ownAddresses(member, twoArmed)}]${tableEntry(member)}`,
    extraConfig: `${CALM}delivery: { method: unicast }\npeering: { primary: ${vip4}, mac: ${kind}${choices} }\n`,
    downOnExit: true,
    programs: () => [
      {
        name: "transfer",
        argv: [process.execPath, script("peer-transfer.ts"), "listen", String(TRANSFER_PORT)],
        ready: { tcp: TRANSFER_PORT },
      },
    ],
  });
  await cluster.settled();
  return cluster;
}

function ownAddresses({ address4, address6 }: StandardMember, twoArmed: boolean): string {
  const inside = [address4, address6].map(insideAddress);
  return [address6, ...(twoArmed ? inside : [])].map((each) => `"${each}"`).join(", ");
}

/** With IGMP snooping, and a querier on the bridge or none. */
export function snoop(cluster: LabCluster, querier: boolean): void {
  const netns = cluster.lab.netns(STANDARD.switch);
  const set = (...words: string[]): string =>
    run("nsenter", `--net=${netns}`, "ip", "link", "set", BRIDGE, "type", "bridge", ...words);
  set("mcast_snooping", "1");
  set("mcast_querier", querier ? "1" : "0");
}

/**
 * Members' ports are router ports: beside a querier a switch that listens to IGMP sends frames to MACs of groups out of these alone, where it
 * would drop those of IPv4. Or they are as any port again.
 */
export function routerPorts(cluster: LabCluster, are: boolean): void {
  const netns = cluster.lab.netns(STANDARD.switch);
  for (const { name } of members(cluster)) {
    const port = ["link", "set", "dev", `p-${name}`, "mcast_router", are ? "2" : "1"];
    run("nsenter", `--net=${netns}`, "bridge", ...port);
  }
}

/** A bridge believes in its querier some seconds after it was told to be one; until then it floods. */
export async function querierCounts(cluster: LabCluster): Promise<void> {
  const [from, to] = members(cluster);
  assert.ok(from && to);
  await until(
    "the switch sends frames between members to no outsider",
    async () => {
      const capture = await Capture.start(cluster, client, "everything");
      await pings(cluster, from.name, to.address4);
      await pings(cluster, client, to.address4);
      const macs = [dedicatedOf(await neighbour(cluster, from.name, to.address4))];
      return (await capture.end(macs)).length === 0;
    },
    500,
  );
}

const dedicatedOf = (found: string | undefined): string => {
  assert.ok(found !== undefined, "the members know each other");
  return found;
};

/** The dedicated MAC of a member's address. */
export function dedicated(
  kind: PeerMacKind,
  member: StandardMember,
  address: string = member.address4,
): string {
  const macs = { kind, primary: ip(vip4) };
  return dedicatedMac(macs, { id: nodeId(member.number), mac: mac(tableMac(member)) }, ip(address));
}

export const members = (cluster: LabCluster): StandardMember[] =>
  standardMembers(cluster.members.length);

/** Every ordered pair. */
export const pairs = <T>(all: readonly T[]): (readonly [T, T])[] =>
  all.flatMap((a) => all.filter((b) => b !== a).map((b) => [a, b] as const));

export async function pings(cluster: LabCluster, from: string, to: string): Promise<void> {
  const argv = ["ping", "-n", "-c3", "-i0.2", "-W5", to];
  const { status, stdout } = await cluster.lab.exec(from, argv);
  assert.equal(status, 0, `${from} to ${to}: ${stdout}`);
  assert.doesNotMatch(stdout, /DUP/);
}

/** So many bytes over TCP, from the sender's dedicated address; the receiver's digest must be the sender's. */
export async function transfers(
  cluster: LabCluster,
  from: string,
  to: string,
  bytes: number,
): Promise<void> {
  const argv = [process.execPath, script("peer-transfer.ts"), "send", String(bytes)];
  const { status, stdout, stderr } = await cluster.lab.exec(
    from,
    [...argv, String(TRANSFER_PORT), to],
    { timeoutMs: 60_000 + bytes / 10_000 },
  );
  assert.equal(status, 0, stderr);
  const { sent, came } = JSON.parse(stdout) as { sent: string; came: string };
  assert.equal(came, sent, `${from} to ${to}`);
}

/** The link-layer address that a host's stack has for a neighbour. */
export async function neighbour(
  cluster: LabCluster,
  host: string,
  address: string,
): Promise<string | undefined> {
  const { stdout } = await cluster.lab.exec(host, ["ip", "neigh", "show", "to", address]);
  return /lladdr (\S+)/.exec(stdout)?.[1];
}

/** Of each transfer; PANOPLY_TRANSFER_BYTES=1073741824 is what part C promises, and takes minutes. */
export const transferBytes = (otherwise: number): number =>
  Number(process.env["PANOPLY_TRANSFER_BYTES"] ?? otherwise);

/** Who talks to whom where kinds and choices are tried: with PANOPLY_TRANSFER_BYTES all with all. */
export const someOf = <T>(all: readonly T[]): (readonly [T, T])[] =>
  process.env["PANOPLY_TRANSFER_BYTES"] === undefined ? ring(all) : pairs(all);

/** Pairs ping and transfer by both families; then the tables of both have the other's dedicated MACs. */
export async function meshWorks(
  cluster: LabCluster,
  kind: PeerMacKind,
  bytes: number,
  among: readonly (readonly [StandardMember, StandardMember])[],
): Promise<void> {
  for (const [from, to] of among) {
    for (const [address, sender] of [
      [to.address4, from.address4],
      [to.address6, from.address6],
    ] as const) {
      await pings(cluster, from.name, address);
      await transfers(cluster, from.name, address, bytes);
      const asking = await neighbour(cluster, from.name, address);
      assert.equal(asking, dedicated(kind, to, address), `${from.name} has ${address}`);
      const asked = await neighbour(cluster, to.name, sender);
      assert.equal(asked, dedicated(kind, from, sender), `${to.name} has ${sender}`);
    }
  }
}

/** What outsiders have: the cluster MAC, for members' own addresses as for the virtual ones. */
export async function outsiderSees(cluster: LabCluster): Promise<void> {
  const addresses = members(cluster).flatMap(({ address4, address6 }) => [address4, address6]);
  for (const address of [...addresses, vip4, vip6]) {
    await pings(cluster, client, address);
    assert.equal(await neighbour(cluster, client, address), CM, address);
  }
}

export const interfaceMac = async (
  cluster: LabCluster,
  host: string,
  name: string = STANDARD.interface,
): Promise<string> => {
  const argv = ["ip", "-o", "link", "show", "dev", name];
  const { stdout } = await cluster.lab.exec(host, argv);
  return /link\/ether (\S+)/.exec(stdout)?.[1] ?? "";
};

/** Each to the next. */
export const ring = <T>(all: readonly T[]): (readonly [T, T])[] =>
  all.flatMap((from, index) => {
    const to = all[(index + 1) % all.length];
    return to === undefined ? [] : [[from, to] as const];
  });

/** Filters and qdiscs of ours that an interface has. */
export async function filters(cluster: LabCluster, host: string): Promise<string> {
  let found = "";
  for (const side of ["ingress", "egress"]) {
    const argv = ["tc", "filter", "show", "dev", STANDARD.interface, side];
    found += (await cluster.lab.exec(host, argv)).stdout;
  }
  return found;
}

/** The frames of a capture file: a header of 24 bytes, then for each one a header of 16 with its captured length at 8. */
function framesIn(file: Buffer): Buffer[] {
  assert.ok(file.byteLength >= 24, "a capture has a header at least");
  const frames: Buffer[] = [];
  for (let at = 24; at + 16 <= file.byteLength;) {
    const length = file.readUInt32LE(at + 8);
    frames.push(file.subarray(at + 16, at + 16 + length));
    at += 16 + length;
  }
  return frames;
}

/** Frames that a host's interface gets, kept in a file and searched for MACs at the end, in headers and in what they carry. */
export class Capture {
  readonly #child: ChildProcess;
  readonly #file: string;
  #ended: readonly string[] | undefined;

  private constructor(child: ChildProcess, file: string) {
    this.#child = child;
    this.#file = file;
  }

  /**
   * addressed: what an outsider's stack may take: to its own MAC, broadcasts, and groups that are nobody's dedicated MAC.
   * Neither has the cluster's own broadcasts, which name a node that joins by its MAC, as data that nobody learns from (docs/adr/0013).
   */
  static async start(
    cluster: LabCluster,
    host: string,
    which: "addressed" | "everything",
  ): Promise<Capture> {
    const own = await interfaceMac(cluster, host);
    const everything = "not (udp port 7450 and ether broadcast)";
    const addressed = `${everything} and (ether dst ${own} or ether broadcast or (ether multicast and not ether[0:2] = 0x03bf and not ether[0:2] = 0x031f))`;
    const file = path.join(cluster.folder, `capture-${which}-${Date.now()}.pcap`);
    const argv = [
      "tcpdump",
      "--immediate-mode",
      "-i",
      STANDARD.interface,
      "-n",
      "-U",
      "-s",
      "128",
      "-w",
      file,
    ];
    const child = spawn(
      "nsenter",
      [`--net=${cluster.lab.netns(host)}`, ...argv, which === "addressed" ? addressed : everything],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    child.stderr?.on("data", (text) => (said += String(text)));
    await until("tcpdump listens", () => said.includes("listening on"));
    return new Capture(child, file);
  }

  /** All that came, whole up to the length that is kept. */
  async frames(): Promise<readonly Buffer[]> {
    this.#child.kill("SIGINT");
    await once(this.#child, "close");
    return framesIn(readFileSync(this.#file));
  }

  /** The frames that have one of the MACs in them, in hex after the MAC. */
  async end(macs: readonly string[] = []): Promise<readonly string[]> {
    if (this.#ended !== undefined) return this.#ended;
    const frames = await this.frames();
    assert.ok(frames.length > 0, "a capture without frames shows nothing");
    this.#ended = macs.flatMap((each) =>
      frames
        .filter((frame) => frame.includes(Buffer.from(macBytes(mac(each)))))
        .map((frame) => `${each} in ${frame.toString("hex")}`),
    );
    return this.#ended;
  }
}

/** Whom a frame asks for, if it is an ARP request or a Neighbor Solicitation from one of these members for another. */
export function questionIn(
  frame: Uint8Array,
  among: readonly StandardMember[],
): string | undefined {
  const message = frame.byteLength < 14 ? undefined : discoveryIn(frame);
  if (message?.question !== "request") return undefined;
  const addresses = among.flatMap(({ address4, address6 }) => [address4, address6]);
  const [from, to] = [message.sender, message.target].map((bytes) => ipFromBytes(bytes.slice()));
  const isOfPeers = [from, to].every((each) => each !== undefined && addresses.includes(each));
  return isOfPeers ? to : undefined;
}
