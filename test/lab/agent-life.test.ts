// Agents that stop, are killed, start again, in the middle of anything: packets flow all the while, the next agent takes over
// what is in the kernel, and --teardown leaves a host as it was before (B9, A20).
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { agentProgram, LabCluster } from "#lab/cluster.ts";
import { CurlProbe } from "#lab/curl-probe.ts";
import { STANDARD } from "#lab/standard.ts";
import {
  NEEDED_TO_RUN,
  NEEDED_TO_START,
  type Rights,
  rightsIn,
  setOf,
} from "#driver/host/rights.ts";
import {
  CALM,
  endAgent,
  hasAgent,
  labName,
  logOf,
  panIn,
  panOk,
  skip,
  socketOf,
  startAgent,
  runningAgent,
  tracesOf,
  until,
} from "./agent-bench.ts";

const name = labName("life");

/** The packet program and, beside it, the egress program. */
const PROGRAMS = ["mask_egress", "steer_tc"];
/** What the programs hand on to their successors: everything but constants. */
const HANDED_ON = [
  ...[".data.state", "bucket_vips", "counters", "desks", "exceptions", "former_owners"],
  ...["fragments", "group_counters", "held", "named_nodes", "node_counters", "node_paths", "nodes"],
  ...["other_ports", "own_addresses", "service_buckets", "services4", "services6"],
  ...[
    "slot_counters",
    "slots",
    "told",
    "tunnel_ends",
    "tunnels",
    "udp_idle",
    "udp_sessions",
    "vips",
  ],
];

interface KernelObject {
  readonly id: number;
  readonly name: string;
  readonly map_ids?: readonly number[];
}

/** Names of the kernel's objects, by id. */
interface Kept {
  readonly programs: ReadonlyMap<number, string>;
  readonly maps: ReadonlyMap<number, string>;
}

describe("an agent's life", { skip }, () => {
  let cluster: LabCluster;
  /** m1's host as it was before its first agent. */
  let untouched: Awaited<ReturnType<typeof tracesOf>>;

  before(async () => {
    cluster = await LabCluster.up({ name, members: 3, extraConfig: CALM, downOnExit: true });
    await cluster.settled();
    untouched = await tracesOf(cluster.lab, STANDARD.client);
  });
  after(() => cluster?.down());

  const state = (member: string, file = ""): string =>
    path.join(cluster.lab.folder(member), "state", file);

  async function shown(member: string, ...words: string[]): Promise<unknown> {
    const { status, stdout } = await cluster.lab.exec(member, ["bpftool", "-j", ...words]);
    assert.equal(status, 0, stdout);
    return JSON.parse(stdout);
  }

  const object = async (member: string, kind: "prog" | "map", id: number): Promise<KernelObject> =>
    (await shown(member, kind, "show", "id", String(id))) as KernelObject;

  /** The kernel's programs and maps that the interface of this host keeps alive. */
  async function kept(member: string): Promise<Kept> {
    const nets = await shown(member, "net", "show", "dev", "eth0");
    const [net] = nets as { tc: KernelObject[]; xdp: KernelObject[] }[];
    const programs = new Map<number, string>();
    const maps = new Map<number, string>();
    for (const { id } of [...(net?.tc ?? []), ...(net?.xdp ?? [])]) {
      const { name, map_ids: used = [] } = await object(member, "prog", id);
      programs.set(id, name);
      for (const map of used) maps.set(map, (await object(member, "map", map)).name);
    }
    assert.deepEqual([...programs.values()].sort(), PROGRAMS);
    return { programs, maps };
  }

  const isConstant = (name: string): boolean => name.includes(".rodata");

  /** Each map once, handed on from the programs of before; constants belong to a program and are new. */
  function assertSameMaps(before: Kept, now: Kept): void {
    const handedOn = [...now.maps].filter(([id]) => before.maps.has(id));
    assert.deepEqual(handedOn.map(([, name]) => name).sort(), HANDED_ON);
    const others = [...now.maps].filter(([id]) => !before.maps.has(id));
    assert.deepEqual(
      others.filter(([, name]) => !isConstant(name)),
      [],
    );
  }

  const exists = async (kind: "prog" | "map", id: number): Promise<boolean> =>
    (await cluster.lab.exec("m1", ["bpftool", kind, "show", "id", String(id)])).status === 0;

  /** Requests of a stock curl and pings during `act`: every one of them has to be answered. */
  async function withoutLoss(act: () => Promise<void>): Promise<void> {
    const { lab } = cluster;
    const asked = { host: STANDARD.client, perSecond: 40, requestLimitMs: 3000 };
    const probes = [STANDARD.vip4, `[${STANDARD.vip6}]`].map(
      (vip) => new CurlProbe(lab, { ...asked, url: `http://${vip}/whoami` }),
    );
    const pings = [STANDARD.vip4, STANDARD.vip6].map((vip) =>
      lab.spawn(STANDARD.client, ["ping", "-q", "-i", "0.05", vip], {
        stdio: ["ignore", "pipe", "ignore"],
      }),
    );
    const said = pings.map(async (ping) => {
      let text = "";
      for await (const chunk of ping.stdout ?? []) text += String(chunk);
      return text;
    });
    try {
      await until("traffic flows", () => probes.every(({ sights }) => sights.length > 10));
      await act();
      const enough = probes.map(({ sights }) => sights.length + 20);
      await until("more traffic flows", () =>
        probes.every(({ sights }, index) => sights.length >= (enough[index] ?? 0)),
      );
    } finally {
      for (const probe of probes) probe.stop();
      for (const ping of pings) ping.kill("SIGINT");
    }
    for (const probe of probes) {
      assert.deepEqual(
        probe.sights.filter(({ ok }) => !ok),
        [],
      );
    }
    for (const text of await Promise.all(said)) assert.match(text, / 0% packet loss/);
  }

  test("An agent that has started has the rights that it needs and no others; so have its scripts", async () => {
    const hooks = path.join(cluster.lab.folder("m1"), "hooks.d");
    const told = path.join(cluster.lab.folder("m1"), "script-rights");
    mkdirSync(hooks, { mode: 0o755 });
    const script = `#!/bin/sh\ngrep ^Cap /proc/self/status >${told}.new && mv ${told}.new ${told}\n`;
    writeFileSync(path.join(hooks, "10-rights"), script, { mode: 0o755 });
    await endAgent(cluster, "m1", "SIGTERM");
    await startAgent(cluster, "m1");
    await cluster.settled();
    const agent = runningAgent(cluster, "m1");
    assert.ok(agent);
    const rights = (tid: number): Rights =>
      rightsIn(readFileSync(`/proc/${agent.pid}/task/${tid}/status`, "utf8"));
    const needed = setOf(NEEDED_TO_RUN);
    const expected = { effective: needed, permitted: needed, bounding: needed, ambient: 0n };
    assert.deepEqual(rights(agent.pid), expected, "of its main thread");
    const threads = readdirSync(`/proc/${agent.pid}/task`).map(Number);
    const same = threads.filter((tid) => rights(tid).effective === needed);
    assert.ok(same.length >= 2, "of the heart, too");
    for (const tid of threads) {
      assert.equal(rights(tid).effective & ~setOf(NEEDED_TO_START), 0n, "Node's own threads");
    }
    await until("a script has run", () => existsSync(told));
    assert.deepEqual(rightsIn(readFileSync(told, "utf8")), expected);
    rmSync(hooks, { recursive: true });
  });

  test("B9: a member's agent is stopped, upgraded, killed: no request and no ping is lost", async () => {
    const master = await cluster.master();
    const member = cluster.members.find((each) => each !== master) ?? "";
    const before = await kept(member);
    await withoutLoss(async () => {
      await endAgent(cluster, member, "SIGTERM");
      const others = cluster.members.filter((each) => each !== member);
      await cluster.settled([master, ...others.filter((each) => each !== master)]);
      await startAgent(cluster, member);
      await cluster.settled();
      await endAgent(cluster, member, "SIGKILL");
      await startAgent(cluster, member);
      await cluster.settled();
    });
    const now = await kept(member);
    assertSameMaps(before, now);
    for (const id of before.programs.keys()) {
      assert.ok(!now.programs.has(id) && !(await exists("prog", id)), "the programs are new");
    }
  });

  test("B9, A3: the master's agent is upgraded: the data path goes on, and the cluster has a master again", async () => {
    const master = await cluster.master();
    const before = await kept(master);
    await withoutLoss(async () => {
      await endAgent(cluster, master, "SIGTERM");
      await cluster.settled(cluster.members.filter((each) => each !== master));
      await startAgent(cluster, master);
      await cluster.settled();
    });
    assertSameMaps(before, await kept(master));
  });

  test("An agent killed again and again while tables change: the next one goes on, and both agree", async () => {
    const master = await cluster.master();
    const victim = cluster.members.find((each) => each !== master) ?? "";
    let weight = 1;
    const enough = new AbortController();
    const changes = (async (): Promise<void> => {
      const client = cluster.client(master);
      const create = { policy: "weighted", slots: 1024 } as const;
      const service = { protocol: "tcp", vip: STANDARD.vip4, port: 8080 } as const;
      const nodes = cluster.members.map((each) => ({ name: each, weight: 1 }));
      await client.addService({ body: { group: "more", service, create: { ...create, nodes } } });
      while (!enough.signal.aborted) {
        weight = (weight % 7) + 1;
        const params = { group: "more", node: victim };
        await client.setWeight({ params, body: { weight } });
        await pause(5);
      }
    })();
    for (let round = 0; round < 3; round++) {
      await endAgent(cluster, victim, "SIGKILL");
      await startAgent(cluster, victim);
      const present = ({ members }: Awaited<ReturnType<typeof cluster.status>>): boolean =>
        members.every(({ state: each }) => each !== "departed");
      await cluster.until("the victim is back", present, master);
    }
    // the last blow falls while the configuration still changes, and the node comes back to rest
    await endAgent(cluster, victim, "SIGKILL");
    enough.abort();
    await changes;
    await startAgent(cluster, victim);
    const { cluster: wanted } = await cluster.settled();
    const got = await cluster.until(
      "the victim has the cluster's tables and configuration",
      (status) =>
        status.cluster.config.digest === wanted.config.digest &&
        status.datapath.version.counter === wanted.tables.counter,
      victim,
    );
    assert.deepEqual(got.datapath.version, wanted.tables);
    assert.equal(got.groups.find((group) => group.name === "more")?.shares.length, 3);
    await panOk(cluster, master, "service", "remove", "tcp", `${STANDARD.vip4}:8080`);
  });

  test("State files cut short by a crash: what can be computed anew is", async () => {
    const master = await cluster.master();
    const victim = cluster.members.find((each) => each !== master) ?? "";
    // a kill between publishing and saving: the kernel's tables are newer than the saved ones
    const older = readFileSync(state(victim, "tables.bin"));
    await panOk(cluster, master, "drain", master);
    await panOk(cluster, master, "undrain", master);
    await cluster.settled();
    await endAgent(cluster, victim, "SIGKILL");
    writeFileSync(state(victim, "tables.bin"), older);
    await startAgent(cluster, victim);
    await cluster.settled();
    assert.match(logOf(cluster, victim), /the packet program keeps its newer tables/);
    await endAgent(cluster, victim, "SIGKILL");
    truncateSync(state(victim, "tables.bin"), 100);
    writeFileSync(state(victim, "epoch"), "twelve");
    writeFileSync(state(victim, "boot"), "");
    await startAgent(cluster, victim);
    const { datapath, cluster: seen } = await cluster.settled();
    assert.equal(datapath.version.epoch, seen.tables.epoch);
  });

  test("A5, B5: VIPs and settings that somebody removes are put back, and the log says so", async () => {
    const { lab } = cluster;
    const before = await tracesOf(lab, "m2");
    for (const [address, length] of [
      [STANDARD.vip4, 32],
      [STANDARD.vip6, 128],
    ] as const) {
      const gone = await lab.exec("m2", [
        "ip",
        "address",
        "del",
        `${address}/${length}`,
        "dev",
        "lo",
      ]);
      assert.equal(gone.status, 0, gone.stderr);
    }
    await lab.exec("m2", ["sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=0"]);
    const sorted = ({ addresses }: typeof before): string[] => addresses.split("\n").sort();
    await until("they are back", async () => {
      const now = await tracesOf(lab, "m2");
      return (
        now.settings.join() === before.settings.join() &&
        sorted(now).join() === sorted(before).join()
      );
    });
    assert.match(logOf(cluster, "m2"), /repaired/);
  });

  test("--teardown leaves nothing, also after a killed agent: addresses, settings, filter, maps, locks, socket", async () => {
    const { lab } = cluster;
    const objects = await kept("m1");
    const names = [...objects.maps.values()].filter((each) => !isConstant(each));
    assert.deepEqual(names.sort(), HANDED_ON);
    await endAgent(cluster, "m1", "SIGKILL");
    assert.notDeepEqual((await tracesOf(lab, "m1")).filters, untouched.filters);
    const socket = socketOf(cluster, "m1");
    assert.ok(existsSync(socket), "a killed agent leaves its socket");
    const words = ["agent", "--teardown", `--state-folder=${state("m1")}`, "--socket", socket];
    const { status, stdout, stderr } = await panIn(lab, "m1", words);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.match(stdout, new RegExp(`removed ${STANDARD.vip4} from lo\n`));
    assert.match(stdout, /eth0 arp_ignore is \d\n/);
    assert.match(stdout, /removed the packet program from eth0\n/);
    const now = await tracesOf(lab, "m1");
    assert.deepEqual(
      { filters: now.filters, settings: now.settings },
      { filters: untouched.filters, settings: untouched.settings },
    );
    for (const vip of [STANDARD.vip4, STANDARD.vip6]) assert.ok(!now.addresses.includes(`${vip}/`));
    for (const id of objects.programs.keys()) assert.equal(await exists("prog", id), false);
    await until("the kernel has freed the maps", async () => {
      const left = await Promise.all([...objects.maps.keys()].map((id) => exists("map", id)));
      return left.every((there) => !there);
    });
    assert.equal(existsSync(socket), false);
    assert.ok(!readdirSync(state("m1")).some((file) => /lock|host-changes/.test(file)));
    const lock = `/run/panoply/netns-${statSync(lab.netns("m1")).ino}.lock`;
    assert.equal(existsSync(lock), false);
    const again = await panIn(lab, "m1", words);
    assert.equal(again.status, 0, "safe to repeat");
  });

  test("The interface vanishes: the agent ends and says so; the host boots, and it is a member again", async () => {
    const out = cluster.members.at(-1) ?? "";
    const others = cluster.members.filter((each) => each !== out && each !== "m1");
    const script = "ip link set eth0 down && ip link set eth0 name eth9 && ip link set eth9 up";
    const gone = await cluster.lab.exec(out, ["sh", "-c", script]);
    assert.equal(gone.status, 0, gone.stderr);
    await until("its agent ends", () => !hasAgent(cluster, out));
    assert.match(logOf(cluster, out), /eth0 is gone.*\[PAN_INTERFACE_MISSING\]\n$/);
    await cluster.settled(others);
    await cluster.lab.faults.kill(out);
    await cluster.lab.faults.revive(out);
    await cluster.settled([...others, out]);
  });

  test("SIGINT: the agent says goodbye and ends with status 0; its log is JSON, one line an event", async () => {
    const { lab, folder } = cluster;
    const { argv } = agentProgram(folder, "m1", ["--log-level=debug"]);
    const fill = (text: string): string => text.replaceAll("@DIR@", lab.folder("m1"));
    const agent = lab.spawn("m1", argv.map(fill), { stdio: ["ignore", "pipe", "inherit"] });
    let log = "";
    agent.stdout?.setEncoding("utf8").on("data", (text: string) => (log += text));
    await cluster.settled();
    const ended = once(agent, "close");
    agent.kill("SIGINT");
    assert.deepEqual(await ended, [0, null]);
    const lines = log.trim().split("\n");
    const events = lines.map((line) => JSON.parse(line) as { msg: string; role?: string });
    const said = events.map(({ msg }) => msg);
    assert.ok(
      ["started", "ready", "view"].every((msg) => said.includes(msg)),
      said.join(),
    );
    const views = lines.filter((line) => line.includes('"msg":"view"'));
    const shown = views.map((line) => JSON.stringify({ ...JSON.parse(line), time: 0 }));
    shown.forEach((view, index) =>
      assert.notEqual(view, shown[index - 1], "nothing is said twice"),
    );
    assert.equal(existsSync(socketOf(cluster, "m1")), false);
    const [other = "", ...rest] = cluster.members.filter((each) => each !== "m1");
    const { failovers } = await cluster.settled([other, ...rest]);
    assert.notEqual(failovers[0]?.reason, "silent");
  });
});
