// The rtnetlink client against the kernel, compared with what ip(8) says.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { ip, ipFromBytes, mac, type IpAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { inNetns } from "#driver/libc.ts";
import { ADDRESS_FLAGS, ADDRESS_SCOPES, Rtnetlink } from "#driver/netlink/rtnetlink.ts";

const namespace = `pt-netlink-${process.pid}`;
let netlink: Rtnetlink;
const command = (...args: readonly string[]): string =>
  execFileSync("ip", ["-n", namespace, ...args], { encoding: "utf8" });
const linkIndex = (name: string): number => netlink.link(name)?.index ?? assert.fail(name);
const refusal = (expected: RegExp) => (error: unknown) =>
  error instanceof PanError && error.code === "PAN_NETLINK" && expected.test(error.message);

before(() => {
  execFileSync("ip", ["netns", "add", namespace]);
  command("link", "set", "lo", "up");
  command("link", "add", "br0", "type", "bridge");
  const peer = ["peer", "name", "b0"];
  command(
    "link",
    "add",
    "a0",
    "address",
    "02:00:00:00:0a:00",
    "mtu",
    "1400",
    "type",
    "veth",
    ...peer,
  );
  command("link", "set", "b0", "master", "br0");
  command("link", "set", "a0", "up");
  netlink = inNetns(`/run/netns/${namespace}`, () => Rtnetlink.open());
});
after(() => {
  netlink?.close();
  execFileSync("ip", ["netns", "del", namespace]);
});

for (const [address, kind] of [
  ["02:bf:0a:08:00:64", "unicast"],
  ["03:bf:0a:08:00:64", "multicast"],
  ["01:00:5e:7f:00:64", "group"],
] as const) {
  test(`A13: an interface is made to listen to a ${kind} MAC once, and to listen no more once`, () => {
    const link = linkIndex("a0");
    const listened = mac(address);
    assert.equal(netlink.listenToMac(link, listened), true);
    assert.equal(netlink.listenToMac(link, listened), false);
    assert.ok(netlink.listenedMacs(link).includes(listened));
    const shown = execFileSync("bridge", ["-n", namespace, "fdb", "show", "dev", "a0"], {
      encoding: "utf8",
    });
    assert.match(shown, new RegExp(`^${address} self permanent$`, "m"));
    assert.deepEqual(netlink.listenedMacs(linkIndex("b0")).includes(listened), false);
    assert.equal(netlink.stopListening(link, listened), true);
    assert.equal(netlink.stopListening(link, listened), false);
    assert.equal(netlink.listenedMacs(link).includes(listened), false);
  });
}

test("links: index, name, MAC, MTU, state, kind, master", () => {
  const index = (name: string): number =>
    Number(/^(\d+):/.exec(command("-o", "link", "show", name))?.[1]);
  assert.deepEqual(netlink.link("a0"), {
    index: index("a0"),
    name: "a0",
    mac: "02:00:00:00:0a:00",
    mtu: 1400,
    up: true,
    kind: "veth",
    master: undefined,
  });
  const { up, kind, master } = netlink.link("b0") ?? assert.fail("b0");
  assert.deepEqual({ up, kind, master }, { up: false, kind: "veth", master: index("br0") });
  assert.equal(netlink.link("lo")?.kind, undefined);
  assert.equal(netlink.link("br0")?.kind, "bridge");
  assert.equal(netlink.link("c0"), undefined);
});

for (const [address, prefixLength] of [
  [ip("10.8.0.1"), 32],
  [ip("10.8.0.2"), 24],
  [ip("fd00:8::1"), 128],
] as const) {
  test(`addresses: ${address}/${prefixLength} is added once and removed once`, () => {
    const link = linkIndex("a0");
    const scope = address.includes(":") ? ADDRESS_SCOPES.universe : ADDRESS_SCOPES.host;
    const flags = address.includes(":") ? ADDRESS_FLAGS.noDad : 0;
    const added = { link, address, prefixLength, scope, flags, protocol: 80 };
    assert.equal(netlink.addAddress(added), true);
    assert.equal(netlink.addAddress(added), false);
    assert.ok(command("address", "show", "dev", "a0").includes(`${address}/${prefixLength}`));
    const found = netlink.addresses().find((candidate) => candidate.address === address);
    assert.deepEqual(
      { ...found, flags: (found?.flags ?? 0) & ADDRESS_FLAGS.noDad },
      { link, address, prefixLength, scope, flags, protocol: 80 },
    );
    assert.equal(netlink.removeAddress(added), true);
    assert.equal(netlink.removeAddress(added), false);
    assert.ok(!command("address", "show", "dev", "a0").includes(address));
  });
}

test("addresses: preferred lifetime 0 makes an IPv6 address deprecated, for ever valid", () => {
  const added = { link: linkIndex("a0"), address: ip("fd00:8::2"), prefixLength: 128 };
  const flags = ADDRESS_FLAGS.noDad;
  assert.equal(netlink.addAddress({ ...added, flags, preferredSeconds: 0 }), true);
  const shown = command("address", "show", "dev", "a0");
  assert.match(
    shown,
    /fd00:8::2\/128 scope global .*deprecated.*\n\s+valid_lft forever preferred_lft 0sec/,
  );
  assert.equal(netlink.removeAddress(added), true);
});

test("addresses: more than fit into one datagram are all listed", () => {
  const link = linkIndex("a0");
  const addresses: IpAddress[] = Array.from({ length: 1500 }, (_, i) =>
    ipFromBytes(Uint8Array.of(10, 7, i >> 8, i & 0xff)),
  );
  for (const address of addresses) netlink.addAddress({ link, address, prefixLength: 32 });
  const listed = new Set(netlink.addresses().map(({ address }) => address));
  assert.deepEqual(
    addresses.filter((address) => !listed.has(address)),
    [],
  );
  for (const address of addresses) netlink.removeAddress({ link, address, prefixLength: 32 });
  assert.ok(!netlink.addresses().some(({ address }) => address.startsWith("10.7.")));
});

test("what the kernel refuses is an error with its words", () => {
  const address = { link: 4000, address: ip("10.8.0.1"), prefixLength: 32 };
  assert.throws(
    () => netlink.addAddress(address),
    refusal(/^Cannot add 10\.8\.0\.1\/32 to link 4000: ipv4: Device not found \(ENODEV\)$/),
  );
  const wrong = { ...address, link: linkIndex("a0"), prefixLength: 33 };
  assert.throws(() => netlink.addAddress(wrong), refusal(/Invalid prefix length \(EINVAL\)$/));
  assert.equal(netlink.removeAddress(address), false, "gone with its link");
});

test("routes: added once, listed, removed once", () => {
  const link = linkIndex("a0");
  const address = { link, address: ip("10.8.0.1"), prefixLength: 24 };
  netlink.addAddress(address);
  const direct = { destination: ip("198.51.100.0"), prefixLength: 24, link, protocol: 80 };
  const onward = {
    destination: ip("0.0.0.0"),
    prefixLength: 0,
    gateway: ip("10.8.0.9"),
    metric: 7,
  };
  const wide = { destination: ip("2001:db8::"), prefixLength: 32, link, metric: 5 };
  for (const route of [direct, onward, wide]) {
    assert.equal(netlink.addRoute(route), true);
    assert.equal(netlink.addRoute(route), false);
  }
  assert.match(command("route"), /default via 10\.8\.0\.9 dev a0 proto static metric 7/);
  const listed = netlink.routes(4);
  assert.ok(listed.some((route) => route.gateway === onward.gateway && route.prefixLength === 0));
  assert.ok(
    listed.some((route) => route.destination === direct.destination && route.protocol === 80),
  );
  assert.ok(netlink.routes(6).some((route) => route.destination === wide.destination));
  for (const route of [direct, onward, wide]) {
    assert.equal(netlink.removeRoute(route), true);
    assert.equal(netlink.removeRoute(route), false);
  }
  netlink.removeAddress(address);
});

test("neighbours: address, MAC and state", () => {
  command(
    "neigh",
    "add",
    "10.8.0.7",
    "lladdr",
    "02:00:00:00:00:07",
    "dev",
    "a0",
    "nud",
    "permanent",
  );
  const found = netlink.neighbours().find(({ address }) => address === ip("10.8.0.7"));
  assert.deepEqual(found, {
    link: linkIndex("a0"),
    address: "10.8.0.7",
    mac: "02:00:00:00:00:07",
    state: 128,
  });
  const forget = () => netlink.forgetNeighbour({ link: linkIndex("a0"), address: ip("10.8.0.7") });
  assert.deepEqual([forget(), forget()], [true, false]);
  assert.equal(
    netlink.neighbours().find(({ address }) => address === ip("10.8.0.7"))?.mac,
    undefined,
  );
});
