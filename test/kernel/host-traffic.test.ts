// Whom a segment asks and who answers while the agent's addresses are in place: neighbours reach a VIP on
// lo, only the interface node answers for it, and nobody mistakes a VIP for a node's own address.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, test } from "node:test";
import type { IpAddress } from "#base/address.ts";
import { Announcer } from "#driver/host/announcer.ts";
import { HostState } from "#driver/host/host-state.ts";
import { NO_MACS } from "#driver/host/receive-filter.ts";
import { HOSTS, Segment, until, VIP4, VIPS, type HostName } from "./host-segment.ts";

const PORT = 7777;
let segment: Segment;
const states = new Map<HostName, HostState>();
const toClose: (() => void)[] = [];

before(() => {
  segment = new Segment("traffic");
});
after(() => segment.remove());
afterEach(() => {
  for (const close of toClose.splice(0).toReversed()) close();
  for (const [host, state] of states) {
    segment.on(host, () => state.revert());
    state.close();
  }
  states.clear();
  for (const host of ["client", "m1", "m2"]) segment.ip(host, "neigh", "flush", "all");
});

function place(host: HostName, interfaceNode: boolean): void {
  const stateFolder = path.join(segment.folder, host);
  const options = { interface: "eth0", stateFolder };
  const state = states.get(host) ?? segment.on(host, () => HostState.open(options));
  states.set(host, state);
  const answered = interfaceNode ? VIPS : [];
  segment.on(host, () => state.apply({ vips: VIPS, answered, macs: NO_MACS }));
}

function announce(host: HostName): void {
  const announcer = segment.on(host, () =>
    Announcer.open({ interface: "eth0", mac: HOSTS[host].mac }),
  );
  toClose.push(() => announcer.close());
  announcer.announce(VIPS, HOSTS[host].mac);
}

/** Answers each connection with its name and own address, then echoes. */
async function serve(host: HostName): Promise<void> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on("error", () => socket.destroy()));
    socket.write(`${host} ${socket.localAddress?.replace("::ffff:", "") ?? ""}\n`);
    socket.pipe(socket);
  });
  segment.on(host, () => server.listen(PORT));
  toClose.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  if (!server.listening) await once(server, "listening");
}

/** A connection of the client to a VIP: bash talks TCP, each line sent comes back. */
class Connection {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(vip: IpAddress) {
    const script = `exec 3<>/dev/tcp/${vip}/${PORT}; cat <&3 & cat >&3; kill $! 2>/dev/null`;
    const args = segment.command("client", "bash", "-c", script);
    this.#child = spawn("ip", args, { stdio: ["pipe", "pipe", "inherit"] });
    assert.ok(this.#child.stdout);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    toClose.push(() => this.#child.stdin?.end());
  }

  async next(): Promise<string | undefined> {
    const line = await this.#lines.next();
    return line.done === true ? undefined : line.value;
  }

  async echo(text: string): Promise<string | undefined> {
    this.#child.stdin?.write(`${text}\n`);
    return this.next();
  }
}

const staticNeighbour = (vip: IpAddress, host: HostName): string =>
  segment.ip(
    "client",
    "neigh",
    "replace",
    vip,
    "lladdr",
    HOSTS[host].mac,
    "dev",
    "eth0",
    "nud",
    "reachable",
  );

for (const vip of VIPS) {
  test(`B5, A1: frames for ${vip} that reach a member are answered from the VIP, by ping and TCP`, async () => {
    place("m1", false);
    await serve("m1");
    staticNeighbour(vip, "m1");
    assert.ok(segment.ping("client", vip));
    assert.equal(await new Connection(vip).next(), `m1 ${vip}`);
  });

  test(`A3: the interface node, and nobody else, answers for ${vip}`, () => {
    place("m1", false);
    place("m2", false);
    assert.equal(segment.ping("client", vip), false, "no interface node, no answer");
    assert.equal(segment.neighbourOf("client", vip), undefined);
    place("m2", true);
    for (let i = 0; i < 5; i++) {
      segment.ip("client", "neigh", "flush", "all");
      assert.ok(segment.ping("client", vip));
      assert.equal(segment.neighbourOf("client", vip), HOSTS.m2.mac);
    }
    assert.equal(segment.ping("m1", HOSTS.m2.ip4), true, "members answer for their own addresses");
  });

  test(`A3, A5: an announcement of ${vip} moves it in the neighbours' caches at once`, async () => {
    place("m1", true);
    place("m2", false);
    assert.ok(segment.ping("client", vip));
    assert.equal(segment.neighbourOf("client", vip), HOSTS.m1.mac);
    place("m2", true); // m1 still has it, as a frozen agent's host would
    announce("m2");
    await until("the cache follows", () => segment.neighbourOf("client", vip) === HOSTS.m2.mac);
    assert.ok(segment.ping("client", vip));
  });

  test(`a connection to ${vip} lives through promotion and demotion of its node`, async () => {
    place("m1", false);
    await serve("m1");
    staticNeighbour(vip, "m1");
    const connection = new Connection(vip);
    assert.equal(await connection.next(), `m1 ${vip}`);
    place("m1", true);
    assert.equal(await connection.echo("promoted"), "promoted");
    place("m1", false);
    assert.equal(await connection.echo("demoted"), "demoted");
  });
}

test("with arp_ignore as it was, a member would answer for a VIP on lo: the setting is needed", () => {
  place("m1", false);
  segment.setSysctl("m1", "ipv4/conf/eth0/arp_ignore", 0);
  assert.ok(segment.ping("client", VIP4));
  segment.setSysctl("m1", "ipv4/conf/eth0/arp_ignore", 1);
  segment.ip("client", "neigh", "flush", "all");
  assert.equal(segment.ping("client", VIP4), false);
});

for (const interfaceNode of [false, true]) {
  const role = interfaceNode ? "the interface node" : "a member";
  test(`source selection of ${role} never takes a VIP`, () => {
    place("m1", interfaceNode);
    segment.ip("m1", "route", "add", "default", "via", HOSTS.client.ip4);
    segment.ip("m1", "-6", "route", "add", "default", "via", HOSTS.client.ip6);
    // RFC 6724 prefers the longest match: fd00:9::101 is nearer to the VIP than to the node's own address.
    const targets = [
      HOSTS.client.ip4,
      "198.51.100.1",
      HOSTS.client.ip6,
      "fd00:9::101",
      "2001:db8::1",
    ];
    const sources = targets.map((target) => {
      const route = segment.ip("m1", "route", "get", target);
      return /src (\S+)/.exec(route)?.[1];
    });
    const { ip4, ip6 } = HOSTS.m1;
    segment.ip("m1", "route", "del", "default");
    segment.ip("m1", "-6", "route", "del", "default");
    assert.deepEqual(sources, [ip4, ip4, ip6, ip6, ip6]);
  });
}

test("a member that answers from a VIP does not claim it when it asks for its neighbours", () => {
  place("m1", true);
  place("m2", false);
  for (const vip of VIPS) {
    assert.ok(segment.ping("client", vip));
    const target = vip === VIP4 ? HOSTS.client.ip4 : HOSTS.client.ip6;
    segment.ip("m2", "neigh", "flush", "all");
    // The answer goes to m1, which has the VIP as well; that m2 asked is all that matters here.
    segment.ping("m2", target, "-I", vip);
    const seen = segment.ip("m2", "neigh", "show", "to", target, "dev", "eth0");
    assert.match(seen, new RegExp(HOSTS.client.mac), "m2 has asked and was answered");
    assert.equal(segment.neighbourOf("client", vip), HOSTS.m1.mac);
  }
});

test("promoted and demoted many times over, a node ends as the last one says", (t) => {
  const times: number[] = [];
  for (let i = 0; i < 50; i++) {
    const started = performance.now();
    place("m1", i % 2 === 0);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const [median, worst] = [times[25] ?? 0, times.at(-1) ?? 0];
  t.diagnostic(`placing two VIPs: median ${median.toFixed(2)} ms, worst ${worst.toFixed(2)} ms`);
  assert.doesNotMatch(segment.ip("m1", "address", "show", "dev", "eth0"), /\.100\/|::100\//);
  assert.match(segment.ip("m1", "address", "show", "dev", "lo"), /\.100\/32[^]*::100\/128/);
});
