// What the agent changes on its host, and that it is undone whatever happens to the agent. One segment of
// namespaces for all tests; each test leaves its hosts as it found them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { mac, type MacAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { HostState, type Change, type DesiredHost } from "#driver/host/host-state.ts";
import { NO_MACS } from "#driver/host/receive-filter.ts";
import { Segment, until, VIP4, VIP6, VIPS, type HostName } from "./host-segment.ts";

let segment: Segment;
before(() => {
  segment = new Segment("host");
});
after(() => segment.remove());

const stateFolder = (host: HostName): string => path.join(segment.folder, host);
const openOn = (host: HostName): HostState =>
  segment.on(host, () => HostState.open({ interface: "eth0", stateFolder: stateFolder(host) }));

/** IPv6 routes of addresses follow from a work queue: two equal snapshots in a row are the state. */
async function settled(host: HostName): Promise<string> {
  let last = "";
  await until("the host settles", () => {
    const previous = last;
    last = segment.snapshot(host);
    return previous === last;
  });
  return last;
}

/** Runs with an agent's host state on a host, and checks that reverting brings back what was before. */
async function withState(host: HostName, run: (state: HostState) => void): Promise<void> {
  const found = await settled(host);
  const state = openOn(host);
  try {
    run(state);
  } finally {
    segment.on(host, () => state.revert());
    state.close();
  }
  assert.equal(await settled(host), found);
  assert.equal(existsSync(path.join(stateFolder(host), "host-changes.json")), false);
}

const apply = (
  host: HostName,
  state: HostState,
  interfaceNode: boolean,
  { vips = VIPS, macs = NO_MACS }: Partial<DesiredHost> = {},
): Change[] =>
  segment.on(host, () => state.apply({ vips, answered: interfaceNode ? vips : [], macs }));

const short = (changes: readonly Change[]): string[] =>
  changes.map((change) => {
    if (change.type === "sysctl-changed") {
      return `${change.name} ${change.before} → ${change.after} on ${change.device}`;
    }
    return `${change.type} ${"mac" in change ? change.mac : change.address} ${change.device}`;
  });

const listened = (host: HostName): string =>
  execFileSync("bridge", ["-n", segment.namespace(host), "fdb", "show", "dev", "eth0"], {
    encoding: "utf8",
  });

test("B5: every VIP is on lo of a member, after ARP has been made quiet", async () => {
  await withState("m1", (state) => {
    assert.deepEqual(short(apply("m1", state, false)), [
      "arp_ignore 0 → 1 on eth0",
      "arp_announce 0 → 2 on eth0",
      `address-added ${VIP4} lo`,
      `address-added ${VIP6} lo`,
    ]);
    const lo = segment.ip("m1", "-d", "address", "show", "dev", "lo");
    assert.match(lo, /inet 10\.9\.0\.100\/32 scope host/);
    assert.match(lo, /inet6 fd00:9::100\/128 scope global nodad deprecated noprefixroute/);
    assert.doesNotMatch(segment.ip("m1", "address", "show", "dev", "eth0"), /\.100\/|::100\//);
  });
});

test("applying again changes nothing, drift is repaired, fewer VIPs leave nothing behind", async () => {
  await withState("m1", (state) => {
    apply("m1", state, true);
    assert.deepEqual(apply("m1", state, true), []);
    segment.ip("m1", "address", "del", `${VIP4}/32`, "dev", "lo");
    segment.ip("m1", "address", "del", `${VIP6}/128`, "dev", "eth0");
    segment.setSysctl("m1", "ipv4/conf/eth0/arp_ignore", 0);
    assert.deepEqual(short(apply("m1", state, true)), [
      "arp_ignore 0 → 1 on eth0",
      `address-added ${VIP4} lo`,
      `address-added ${VIP6} eth0`,
    ]);
    assert.deepEqual(short(apply("m1", state, true, { vips: [VIP6] })), [
      `address-removed ${VIP4} eth0`,
      `address-removed ${VIP4} lo`,
    ]);
    assert.deepEqual(short(apply("m1", state, false, { vips: [VIP6] })), [
      `address-removed ${VIP6} eth0`,
    ]);
  });
});

test("A13: cluster MACs are listened to; one that clients were told stays while it is the cluster's", async () => {
  const [unicast, multicast, former] = [
    mac("02:bf:0a:09:00:64"),
    mac("03:bf:0a:09:00:64"),
    mac("03:bf:0a:09:00:63"),
  ];
  const listening = (listen: MacAddress[], keep: MacAddress[] = []) => ({ macs: { listen, keep } });
  segment.ip("m2", "maddr", "add", former, "dev", "eth0");
  await withState("m2", (state) => {
    apply("m2", state, false);
    const macs = (...added: [MacAddress[], MacAddress[]?]): string[] =>
      short(apply("m2", state, false, listening(...added)));
    assert.deepEqual(macs([multicast]), [`mac-added ${multicast} eth0`]);
    assert.deepEqual(macs([unicast], [multicast, unicast]), [`mac-added ${unicast} eth0`]);
    for (const each of [unicast, multicast]) {
      assert.match(listened("m2"), new RegExp(`^${each} self permanent$`, "m"));
    }
    assert.deepEqual(macs([former], [former]), [
      `mac-removed ${multicast} eth0`,
      `mac-removed ${unicast} eth0`,
    ]);
    assert.deepEqual(state.journal.macs, [], "somebody else's is used, and not ours to remove");
  });
  assert.match(listened("m2"), new RegExp(former));
  segment.ip("m2", "maddr", "del", former, "dev", "eth0");
});

test("what an operator had configured is used, and stays", async () => {
  segment.ip("m2", "address", "add", `${VIP4}/24`, "dev", "eth0");
  segment.ip("m2", "address", "add", `${VIP6}/128`, "dev", "lo");
  segment.setSysctl("m2", "ipv4/conf/eth0/arp_ignore", 1);
  try {
    await withState("m2", (state) => {
      const changes = short(apply("m2", state, true));
      assert.deepEqual(changes, [
        "arp_announce 0 → 2 on eth0",
        `address-added ${VIP4} lo`,
        `address-added ${VIP6} eth0`,
      ]);
      apply("m2", state, false, { vips: [] });
      assert.match(segment.ip("m2", "address", "show", "dev", "eth0"), /10\.9\.0\.100\/24/);
      assert.match(segment.ip("m2", "address", "show", "dev", "lo"), /fd00:9::100\/128/);
    });
  } finally {
    segment.setSysctl("m2", "ipv4/conf/eth0/arp_ignore", 0);
    segment.ip("m2", "address", "del", `${VIP4}/24`, "dev", "eth0");
    segment.ip("m2", "address", "del", `${VIP6}/128`, "dev", "lo");
  }
});

test("a setting that an operator changes later is not put back to ours or to the old one", () => {
  const state = openOn("m1");
  apply("m1", state, false);
  segment.setSysctl("m1", "ipv4/conf/eth0/arp_announce", 1);
  segment.on("m1", () => state.revert());
  state.close();
  assert.equal(segment.sysctl("m1", "ipv4/conf/eth0/arp_announce"), "1");
  assert.equal(segment.sysctl("m1", "ipv4/conf/eth0/arp_ignore"), "0");
  segment.setSysctl("m1", "ipv4/conf/eth0/arp_announce", 0);
});

/** An agent in a process of its own that makes its changes and is killed in the middle of its life. */
function killedAgent(host: HostName): void {
  const script = path.join(import.meta.dirname, "host-victim.ts");
  const args = segment.command(host, process.execPath, script, stateFolder(host), ...VIPS);
  assert.throws(
    () => execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] }),
    (error: { signal?: unknown; status?: unknown }) =>
      error.signal === "SIGKILL" || error.status === 137,
  );
}

test("left-overs of a killed agent are recognised and undone", async () => {
  const found = await settled("m1");
  killedAgent("m1");
  assert.notEqual(await settled("m1"), found);
  const state = openOn("m1");
  assert.equal(state.journal.addresses.length, 4);
  assert.deepEqual(short(segment.on("m1", () => state.revert())), [
    `address-removed ${VIP6} eth0`,
    `address-removed ${VIP6} lo`,
    `address-removed ${VIP4} eth0`,
    `address-removed ${VIP4} lo`,
    "mac-removed 02:bf:0a:09:00:64 eth0",
    "mac-removed 03:bf:0a:09:00:64 eth0",
    "arp_ignore 1 → 0 on eth0",
    "arp_announce 2 → 0 on eth0",
  ]);
  assert.deepEqual(
    segment.on("m1", () => state.revert()),
    [],
    "reverting is repeatable",
  );
  state.close();
  assert.equal(await settled("m1"), found);
});

test("an agent that follows a killed one takes over its changes and undoes them in the end", async () => {
  const found = await settled("m1");
  killedAgent("m1");
  const state = openOn("m1");
  assert.deepEqual(short(apply("m1", state, false)), [
    "mac-removed 02:bf:0a:09:00:64 eth0",
    "mac-removed 03:bf:0a:09:00:64 eth0",
    `address-removed ${VIP6} eth0`,
    `address-removed ${VIP4} eth0`,
  ]);
  segment.on("m1", () => state.revert());
  state.close();
  assert.equal(await settled("m1"), found);
});

test("without the journal the addresses are still known by their mark", () => {
  killedAgent("m1");
  rmSync(path.join(stateFolder("m1"), "host-changes.json"));
  const state = openOn("m1");
  assert.equal(segment.on("m1", () => state.revert()).length, 4);
  state.close();
  assert.doesNotMatch(segment.ip("m1", "address", "show"), /10\.9\.0\.100|fd00:9::100/);
  // Their old values were only in the journal.
  segment.setSysctl("m1", "ipv4/conf/eth0/arp_ignore", 0);
  segment.setSysctl("m1", "ipv4/conf/eth0/arp_announce", 0);
});

test("one refused address does not keep back the others", () => {
  segment.setSysctl("m2", "ipv6/conf/lo/disable_ipv6", 1);
  const state = openOn("m2");
  try {
    assert.throws(
      () => apply("m2", state, true, { vips: [VIP6, VIP4] }),
      (error) => error instanceof PanError && error.code === "PAN_NETLINK",
    );
    assert.match(segment.ip("m2", "address", "show", "dev", "eth0"), /10\.9\.0\.100\/32/);
    segment.setSysctl("m2", "ipv6/conf/lo/disable_ipv6", 0);
    assert.deepEqual(short(apply("m2", state, true, { vips: [VIP6, VIP4] })), [
      `address-added ${VIP6} lo`,
    ]);
  } finally {
    segment.on("m2", () => state.revert());
    state.close();
  }
});

test("without its interface nothing is changed", async () => {
  const found = await settled("m2");
  const state = segment.on("m2", () =>
    HostState.open({ interface: "eth7", stateFolder: stateFolder("m2") }),
  );
  assert.throws(
    () => apply("m2", state, true),
    (error) => error instanceof PanError && error.code === "PAN_INTERFACE_MISSING",
  );
  state.close();
  assert.equal(await settled("m2"), found);
});
