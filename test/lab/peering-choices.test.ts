// Part C in a lab: every kind of dedicated MAC and every choice, changed in one cluster while its members run; addresses that
// change at run time; what an IGMP querier does to MACs of groups; a second interface.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { PeerMacKind } from "#base/peering.ts";
import type { LabCluster } from "#lab/cluster.ts";
import { insideAddress, STANDARD } from "#lab/standard.ts";
import { skip, until } from "./agent-bench.ts";
import { switchTable } from "./delivery-bench.ts";
import {
  Capture,
  client,
  CM,
  dedicated,
  insider,
  interfaceMac,
  members,
  meshWorks,
  neighbour,
  outsiderSees,
  pairs,
  peeringCluster,
  pings,
  querierCounts,
  questionIn,
  routerPorts,
  snoop,
  someOf,
  transferBytes,
  transfers,
} from "./peering-bench.ts";

const BYTES = transferBytes(1 << 20);

/** Puts another configuration in force, everywhere, and makes every stack ask anew. */
async function reconfigure(
  cluster: LabCluster,
  change: (yaml: string) => string,
  insistence: { readonly force?: true } = {},
): Promise<void> {
  const agent = cluster.client(await cluster.master());
  const { yaml } = await agent.config({});
  const { config } = await agent.putConfig({ body: { yaml: change(yaml), ...insistence } });
  for (const name of cluster.members) {
    const holds = ({ cluster: { config: has } }: Awaited<ReturnType<LabCluster["status"]>>) =>
      has.counter === config.counter;
    await cluster.until("the change is in force", holds, name);
  }
  await cluster.settled();
  for (const name of cluster.members) {
    await cluster.lab.exec(name, ["ip", "neigh", "flush", "dev", STANDARD.interface]);
  }
}

/** @param found as Capture.end gives it */
const isIpv4 = (found: string): boolean => / in (?:..){12}0800/.test(found);

async function linkLocalOf(cluster: LabCluster, host: string): Promise<string> {
  const argv = ["ip", "-6", "-o", "addr", "show", "dev", STANDARD.interface, "scope", "link"];
  const { stdout } = await cluster.lab.exec(host, argv);
  const found = /fe80:[0-9a-f:]+/.exec(stdout)?.[0];
  assert.ok(found !== undefined, stdout);
  return found;
}

const peering = (section: string) => (yaml: string) =>
  yaml.replace(/^peering: .*$/m, `peering: { primary: ${STANDARD.vip4}, ${section} }`);

describe("kinds of dedicated MACs, and choices", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await peeringCluster({ part: "peers-kinds", kind: "multicast", table: true });
    snoop(cluster, false);
  });
  after(() => cluster?.down());

  const cases: readonly (readonly [string, PeerMacKind, string])[] = [
    ["C3: derived from the address", "multicast", "mac: multicast"],
    ["C9: known by the source address", "masked", "mac: masked, recognise: source"],
    ["C11: shared by all", "shared", "mac: shared"],
    ["C12: from a table", "table", "mac: table"],
    ["C13: answered on the spot", "table", "mac: table, localResponder: true"],
    ["C10: not learned from requests", "masked", "mac: masked, learnFromRequests: false"],
    [
      "C15: only from peers that have asked",
      "masked",
      "mac: masked, learnFromRequests: false, sourceCheck: true",
    ],
  ];
  for (const [what, kind, section] of cases) {
    test(`${what} (${section}): peers talk, and outsiders see the cluster MAC only`, async () => {
      await reconfigure(cluster, peering(section));
      const capture = await Capture.start(cluster, client, "addressed");
      await meshWorks(cluster, kind, BYTES, someOf(members(cluster)));
      await outsiderSees(cluster);
      const macs = members(cluster).flatMap((member) =>
        [member.address4, member.address6].map((each) => dedicated(kind, member, each)),
      );
      assert.deepEqual(await capture.end(macs), []);
    });
  }

  test("C12: what a peer of the table sends is counted as its, and it is known by its link-local address as well", async () => {
    await reconfigure(cluster, peering("mac: table"));
    const [one, two] = members(cluster);
    assert.ok(one !== undefined && two !== undefined);
    const received = async (): Promise<number> => {
      const { peers } = await cluster.client(one.name).peers({});
      return peers.find(({ name }) => name === two.name)?.received.packets ?? 0;
    };
    const before = await received();
    const [localOne, localTwo] = [
      await linkLocalOf(cluster, one.name),
      await linkLocalOf(cluster, two.name),
    ];
    await pings(cluster, one.name, `${localTwo}%${STANDARD.interface}`);
    assert.ok((await received()) >= before + 3);
    // a stack that asks whether a neighbour is still there asks it alone, from its dedicated MAC
    const mac = dedicated("table", one);
    const argv = ["ip", "neigh", "replace", localOne, "lladdr", mac, "dev", STANDARD.interface];
    const { status, stderr } = await cluster.lab.exec(two.name, [...argv, "nud", "probe"]);
    assert.equal(status, 0, stderr);
    const reachable = ["ip", "neigh", "show", "to", localOne];
    await until("it is", async () =>
      (await cluster.lab.exec(two.name, reachable)).stdout.includes("REACHABLE"),
    );
    assert.equal(await neighbour(cluster, one.name, localTwo), dedicated("table", two));
    assert.equal(await neighbour(cluster, two.name, localOne), mac);
  });

  test("C11: shared by all, and no MAC of a group: no switch learns it", async () => {
    const shared = "02:1f:ff:4d:00:64";
    await reconfigure(cluster, peering(`mac: shared, sharedMac: "${shared}"`));
    for (const [from, to] of pairs(members(cluster))) {
      for (const address of [to.address4, to.address6]) {
        await pings(cluster, from.name, address);
        assert.equal(await neighbour(cluster, from.name, address), shared, address);
      }
    }
    await outsiderSees(cluster);
    assert.ok(!switchTable(cluster).includes(shared), switchTable(cluster));
  });

  test("C7: with replies rewritten by the responder, as published, peers talk; the doctor says who else may learn from them", async () => {
    await reconfigure(cluster, peering("mac: multicast, rewrite: responder"));
    await meshWorks(cluster, "multicast", BYTES, someOf(members(cluster)));
    const { findings } = await cluster.client("m1").doctor({});
    const found = findings.find(({ check }) => check === "dedicated MACs and outsiders");
    assert.equal(found?.verdict, "warning");
    assert.match(found?.remedy ?? "", /rewrite to initiator/);
  });

  /** What members ask each other for on the wire, as an outsider's port sees it, while all of them talk and know nobody at first. */
  async function questions(): Promise<readonly string[]> {
    const capture = await Capture.start(cluster, client, "everything");
    for (const name of cluster.members) {
      await cluster.lab.exec(name, ["ip", "neigh", "flush", "dev", STANDARD.interface]);
    }
    await meshWorks(cluster, "masked", BYTES, someOf(members(cluster)));
    return (await capture.frames()).flatMap((frame) => questionIn(frame, members(cluster)) ?? []);
  }

  const countOf = async (name: string, reason: string): Promise<number> => {
    const { peering: own } = await cluster.client(name).peers({});
    return own?.counts.find((each) => each.reason === reason)?.count ?? 0;
  };

  test("C13: with a local responder no question for a live member is on the wire; without, there are some", async () => {
    await reconfigure(cluster, peering("mac: masked"));
    assert.ok((await questions()).length > 0);
    await reconfigure(cluster, peering("mac: masked, localResponder: true"));
    const before = await countOf("m1", "answer-local");
    assert.deepEqual(await questions(), []);
    assert.ok((await countOf("m1", "answer-local")) > before);
  });

  test("C10: a stack that is not to learn from requests never hears them; without the option it does", async () => {
    const [one, two] = members(cluster);
    assert.ok(one !== undefined && two !== undefined);
    for (const learns of [true, false]) {
      await reconfigure(cluster, peering(`mac: masked, learnFromRequests: ${learns}`));
      const before = await countOf(two.name, "answer-request");
      await pings(cluster, one.name, two.address4);
      const grown: number = (await countOf(two.name, "answer-request")) - before;
      assert.equal(grown > 0, !learns, `learns: ${learns}`);
    }
  });

  test("C9: known by the source address, a peer's frame to a MAC that is nobody's is taken; without the option it is not", async () => {
    const [one, two] = members(cluster);
    assert.ok(one !== undefined && two !== undefined);
    const entry = [two.address4, "dev", STANDARD.interface];
    for (const recognise of ["mac", "source"]) {
      await reconfigure(cluster, peering(`mac: masked, recognise: ${recognise}`));
      const nobody = ["lladdr", "02:00:00:00:00:99", "nud", "permanent"];
      await cluster.lab.exec(one.name, ["ip", "neigh", "replace", ...entry, ...nobody]);
      const argv = ["ping", "-n", "-c2", "-i0.2", "-W1", two.address4];
      const { status } = await cluster.lab.exec(one.name, argv);
      assert.equal(status, recognise === "source" ? 0 : 1, recognise);
      await cluster.lab.exec(one.name, ["ip", "neigh", "del", ...entry]);
    }
  });

  for (const kind of ["multicast", "masked", "table"] as const) {
    // frames to a MAC of a group are flooded, as the switch must; what stacks take is looked at then
    const which = kind === "multicast" ? "addressed" : "everything";
    test(`C16: an address that changes at run time is known to all, with its own dedicated MAC (${kind})`, async () => {
      await reconfigure(cluster, peering(`mac: ${kind}`));
      const [one, two, three] = members(cluster);
      assert.ok(one !== undefined && two !== undefined && three !== undefined);
      const next = "fd77::99";
      const capture = await Capture.start(cluster, client, which);
      const address = async (verb: "add" | "del", text: string): Promise<void> => {
        const more = verb === "add" ? ["nodad"] : [];
        const argv = ["ip", "addr", verb, `${text}/64`, "dev", STANDARD.interface, ...more];
        const { status, stderr } = await cluster.lab.exec(two.name, argv);
        assert.equal(status, 0, stderr);
      };
      await address("add", next);
      await address("del", two.address6);
      await reconfigure(cluster, (yaml) => yaml.replace(`"${two.address6}"`, `"${next}"`));
      const moved = { ...two, address6: next };
      await meshWorks(cluster, kind, BYTES, [
        [one, moved],
        [moved, one],
      ]);
      const { peers } = await cluster.client(one.name).peers({});
      const rows = peers.find(({ name }) => name === two.name)?.addresses.map((row) => row.address);
      assert.deepEqual(rows, [two.address4, next]);
      const all = [one, two, three].flatMap((each) => [
        dedicated(kind, each),
        dedicated(kind, each, each.address6),
      ]);
      assert.deepEqual(await capture.end([...all, dedicated(kind, moved, next)]), []);
      await address("add", two.address6);
      await address("del", next);
      await reconfigure(cluster, (yaml) => yaml.replace(`"${next}"`, `"${two.address6}"`));
    });
  }

  test("C9: members at router ports lose nothing beside a querier, and no outsider gets their IPv4 frames, whatever their MACs", async () => {
    await reconfigure(cluster, peering("mac: masked"));
    snoop(cluster, true);
    routerPorts(cluster, true);
    for (const kind of ["multicast", "shared"] as const) {
      await reconfigure(cluster, peering(`mac: ${kind}`), { force: true });
      await querierCounts(cluster);
      const capture = await Capture.start(cluster, client, "everything");
      await meshWorks(cluster, kind, BYTES, someOf(members(cluster)));
      await pings(cluster, client, STANDARD.vip4);
      const macs = members(cluster).flatMap((member) =>
        [member.address4, member.address6].map((each) => dedicated(kind, member, each)),
      );
      // of MLD, by which IPv6 goes, the lab's switch is no querier
      assert.deepEqual((await capture.end(macs)).filter(isIpv4), []);
    }
    await reconfigure(cluster, peering("mac: masked"));
    routerPorts(cluster, false);
  });

  test("C1: with a querier, the doctor says that MACs of groups lose IPv4, and what to set; then all is well", async () => {
    await reconfigure(cluster, peering("mac: masked"));
    snoop(cluster, true);
    const verdict = async (): Promise<string> => {
      const { findings } = await cluster.client("m1").doctor({});
      const found = findings.find(({ check }) => check === "IGMP and MLD queriers");
      return `${found?.verdict}: ${found?.found} ${found?.remedy ?? ""}`;
    };
    assert.match(await verdict(), /ok: do not matter/);
    await meshWorks(cluster, "masked", BYTES, someOf(members(cluster)));
    const agent = cluster.client(await cluster.master());
    const { yaml } = await agent.config({});
    const starving = peering("mac: multicast")(yaml);
    await assert.rejects(agent.putConfig({ body: { yaml: starving } }), { code: "PAN_CONFLICT" });
    await agent.putConfig({ body: { yaml: starving, force: true } });
    await until("the querier is noticed", async () =>
      /^warning: .*lose IPv4 frames to 03:bf.*set peering\.mac to masked/.test(await verdict()),
    );
  });
});

describe("C18: a second interface", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await peeringCluster({
      part: "peers-arms",
      kind: "masked",
      members: 2,
      twoArmed: true,
    });
  });
  after(() => cluster?.down());

  test("members talk by both interfaces, each of which has the cluster MAC; outsiders of both networks see no other", async () => {
    const captures: Capture[] = [];
    for (const host of [client, insider]) {
      captures.push(await Capture.start(cluster, host, "everything"));
    }
    for (const [from, to] of pairs(members(cluster))) {
      for (const address of [to.address4, to.address6].flatMap((each) => [
        each,
        insideAddress(each),
      ])) {
        await pings(cluster, from.name, address);
        await transfers(cluster, from.name, address, BYTES);
        assert.equal(await neighbour(cluster, from.name, address), dedicated("masked", to));
      }
    }
    await outsiderSees(cluster);
    for (const { address4, address6 } of members(cluster)) {
      for (const address of [address4, address6].map(insideAddress)) {
        await pings(cluster, insider, address);
        assert.equal(await neighbour(cluster, insider, address), CM);
      }
    }
    for (const name of cluster.members) {
      for (const each of [STANDARD.interface, STANDARD.inside.interface]) {
        assert.equal(await interfaceMac(cluster, name, each), CM);
      }
    }
    const macs = members(cluster).map((member) => dedicated("masked", member));
    for (const capture of captures) assert.deepEqual(await capture.end(macs), []);
  });

  test("C8: the doctor asks members at the addresses of both interfaces", async () => {
    const reach = async (): Promise<string> => {
      const { findings } = await cluster.client("m1").doctor({});
      const found = findings.filter(({ check }) => check === "reaching peers");
      return found.map((each) => each.found).join("\n");
    };
    assert.equal(await reach(), "every live member answers at every address");
    // not the link: a member whose arm is down is none
    const argv = ["ip", "addr", "del", "10.88.0.12/24", "dev", STANDARD.inside.interface];
    assert.equal((await cluster.lab.exec("m2", argv)).status, 0);
    await cluster.lab.exec("m1", ["ip", "neigh", "flush", "dev", STANDARD.inside.interface]);
    assert.match(await reach(), /^m2 does not answer ARP for 10\.88\.0\.12/m);
  });
});
