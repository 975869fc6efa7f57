// What clients of a cluster send and get, beyond plain TCP: UDP, fragments, pings, ICMP errors, sticky groups; and what they see of
// the members on the wire (A1, A3, A21, B1, B3, B5, B12).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { inNetns } from "#driver/libc.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { answerers, CALM, labName, skip, until } from "./agent-bench.ts";

const { vip4, vip6, client } = STANDARD;
const STICKY = "10.77.0.110";
const WILD = "10.77.0.111";
const PORT = 5353;
const GROUPS = `groups:
  - { name: web, services: ["tcp ${vip4}:80", "tcp [${vip6}]:80"] }
  - { name: udp, services: ["udp ${vip4}:${PORT}", "udp [${vip6}]:${PORT}"] }
  - { name: sticky, policy: sticky, services: ["tcp ${STICKY}:80"] }
  - { name: wild, policy: wildcard-sticky, services: ["tcp ${WILD}:*", "udp ${WILD}:*"] }
`;
const program = (name: string): string => path.join(import.meta.dirname, name);
/** Addresses of c1 besides its own: as many clients as far as the members can tell. */
const SOURCES = Array.from({ length: 12 }, (_, index) => `10.77.0.${200 + index}`);

describe("what clients see", { skip }, () => {
  let cluster: LabCluster;
  let master: string;
  const macs = new Map<string, string>();

  before(async () => {
    cluster = await LabCluster.up({
      name: labName("see"),
      members: 3,
      groups: GROUPS,
      extraConfig: CALM,
      downOnExit: true,
      programs: ({ name }) => [
        {
          name: "udp-echo",
          argv: [process.execPath, program("udp-echo.ts"), name, String(PORT), vip4, vip6, WILD],
        },
      ],
    });
    const { members } = await cluster.settled();
    for (const { name, mac = "" } of members) macs.set(mac, name);
    master = await cluster.master();
    const lines = SOURCES.map((address) => `address add ${address}/24 dev eth0\n`).join("");
    const { status, stderr } = await cluster.lab.exec(client, ["ip", "-batch", "-"], {
      input: lines,
    });
    assert.equal(status, 0, stderr);
    await until("every UDP server listens", async () => {
      const ss = ["ss", "-Hlun", "sport", "=", String(PORT)];
      const heard = await Promise.all(cluster.members.map((each) => cluster.lab.exec(each, ss)));
      return heard.every(({ stdout }) => stdout.trim().split("\n").length === 3);
    });
  });
  after(() => cluster?.down());

  async function ask(
    address: string,
    { count = 60, text = "", bytes = 0, from = client } = {},
  ): Promise<Record<string, number>> {
    const argv = [program("udp-ask.ts"), count, text, bytes, PORT, address].map(String);
    const { status, stdout, stderr } = await cluster.lab.exec(from, [process.execPath, ...argv]);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as Record<string, number>;
  }

  /** Runs tcpdump on the client's interface during `act` and until it has told `enough`; resolves to its lines. */
  async function watching(
    filter: string,
    act: () => Promise<unknown>,
    enough: (lines: readonly string[]) => boolean,
  ): Promise<string[]> {
    const argv = ["tcpdump", "-i", "eth0", "-e", "-n", "-l", "--immediate-mode", filter];
    const dump = cluster.lab.spawn(client, argv, { stdio: ["ignore", "pipe", "pipe"] });
    let [seen, said] = ["", ""];
    dump.stdout?.on("data", (text) => (seen += String(text)));
    dump.stderr?.on("data", (text) => (said += String(text)));
    await until("tcpdump listens", () => said.includes("listening on"));
    await act();
    await until("tcpdump has told enough", () => enough(seen.trim().split("\n")));
    const ended = new Promise((resolve) => dump.once("close", resolve));
    dump.kill("SIGINT");
    await ended;
    return seen.trim().split("\n");
  }

  test("B12: UDP is spread over the members, by IPv4 and IPv6, and answers carry the VIP (A21)", async () => {
    for (const vip of [vip4, vip6]) {
      assert.deepEqual(Object.keys(await ask(vip)).sort(), ["m1", "m2", "m3"]);
    }
  });

  test("Fragments: UDP datagrams of 4000 bytes reach the owner whole, and whole answers come back", async () => {
    for (const vip of [vip4, vip6]) {
      const counts = await ask(vip, { bytes: 4000 });
      assert.deepEqual(Object.keys(counts).sort(), ["m1", "m2", "m3"]);
      assert.equal(
        Object.values(counts).reduce((sum, each) => sum + each, 0),
        60,
      );
    }
  });

  test("A1: every VIP answers ping, also in fragments", async () => {
    for (const vip of [vip4, vip6, STICKY, WILD]) {
      for (const size of ["56", "4000"]) {
        const argv = ["ping", "-c", "3", "-i", "0.05", "-W", "5", "-s", size, vip];
        const { status, stdout } = await cluster.lab.exec(client, argv);
        assert.match(stdout, /3 received, 0% packet loss/, `${vip} ${size}`);
        assert.equal(status, 0);
      }
    }
  });

  test("B3: sticky: all connections of one client go to one member, those of all clients to all", async () => {
    const { lab } = cluster;
    const used = new Set<string>();
    for (const source of SOURCES) {
      const names = await answerers(lab, STICKY, 6, ["--interface", source]);
      assert.equal(names.size, 1, `${source}: ${[...names.keys()].join()}`);
      for (const name of names.keys()) used.add(name);
    }
    assert.ok(used.size >= 2, "12 clients on one of 3 members");
    assert.ok((await answerers(lab, vip4, 60)).size === 3, "the weighted group goes by port, too");
  });

  test("B3: wildcard-sticky: TCP and UDP, whatever the port, meet at one member", async () => {
    const [tcp] = await answerers(cluster.lab, WILD, 6);
    const udp = await ask(WILD, { count: 10 });
    assert.deepEqual(Object.keys(udp), [tcp?.[0]]);
    const wild = (await cluster.status(master)).groups.find(({ name }) => name === "wild");
    assert.ok((wild?.packets ?? 0) > 16);
  });

  test("A21: an ICMP error about a flow reaches the member that owns the flow, and no other", async () => {
    const { lab } = cluster;
    const quick = ["net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"];
    assert.equal((await lab.exec(client, ["sysctl", "-qw", ...quick])).status, 0);
    const received = (file: string, counter: string): number[] =>
      cluster.members.map((member) =>
        inNetns(lab.netns(member), () => counterOf(readFileSync(file, "utf8"), counter)),
      );
    for (const [vip, file, counter] of [
      [vip4, "/proc/thread-self/net/snmp", "IcmpInDestUnreachs"],
      [vip6, "/proc/thread-self/net/snmp6", "Icmp6InDestUnreachs"],
    ] as const) {
      const before = received(file, counter);
      // the second answer finds the client's port closed: its kernel complains to the VIP
      const counts = await ask(vip, { text: "twice", count: 30 });
      const expected = cluster.members.map(
        (each, index) => (before[index] ?? 0) + (counts[each] ?? 0),
      );
      assert.equal(Object.keys(counts).length, 3);
      await until(`the owners have heard of it (${vip})`, () =>
        received(file, counter).every((now, index) => now >= (expected[index] ?? 0)),
      );
      assert.deepEqual(received(file, counter), expected);
    }
  });

  test("A1, A3: only the interface node answers ARP and Neighbor Solicitations for a VIP", async () => {
    const { lab } = cluster;
    const [own = ""] = [...macs].find(([, name]) => name === master) ?? [];
    const filter = "arp or (icmp6 and ip6[40] == 136)";
    const vips = [vip4, vip6, STICKY];
    const about = (seen: readonly string[], vip: string): string[] =>
      seen.filter((line) => line.includes(`Reply ${vip} is-at`) || line.includes(`tgt is ${vip}`));
    const askAgain = async (): Promise<void> => {
      for (let round = 0; round < 3; round++) {
        await lab.exec(client, ["ip", "neigh", "flush", "dev", "eth0"]);
        for (const vip of vips) await lab.exec(client, ["ping", "-c", "1", "-W", "2", vip]);
      }
    };
    const lines = await watching(filter, askAgain, (seen) =>
      vips.every((vip) => about(seen, vip).length >= 3),
    );
    for (const vip of vips) {
      for (const line of about(lines, vip)) {
        assert.match(line, new RegExp(`^\\S+ ${own} > `), line);
      }
    }
  });

  test("B5: every member answers clients directly, from the VIP and from its own MAC", async () => {
    const filter = `tcp and src host ${vip4} and src port 80 and tcp[tcpflags] & tcp-syn != 0`;
    let names = new Map<string, number>();
    const ask60 = async (): Promise<void> => {
      names = await answerers(cluster.lab, vip4, 60);
    };
    const lines = await watching(filter, ask60, (seen) => seen.length >= 60);
    const senders = new Map<string, number>();
    for (const line of lines) {
      const name = macs.get(/^\S+ (\S+) > /.exec(line)?.[1] ?? "") ?? line;
      senders.set(name, (senders.get(name) ?? 0) + 1);
    }
    assert.equal(names.size, 3);
    assert.equal(senders.size, 3, [...senders.keys()].join());
    for (const [name, count] of names) assert.ok((senders.get(name) ?? 0) >= count, name);
  });
});

/** A counter of snmp6 ("name value") or snmp (a line of names, then one of values). */
function counterOf(text: string, counter: string): number {
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/));
  const [, plain] = lines.find(([name]) => name === counter) ?? [];
  if (plain !== undefined) return Number(plain);
  const [names, values] = lines.filter(([prefix]) => prefix === "Icmp:");
  const value = values?.[names?.indexOf(counter.replace(/^Icmp/, "")) ?? -1];
  assert.ok(value !== undefined, `no counter ${counter}`);
  return Number(value);
}
