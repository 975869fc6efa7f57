// What follows from health (B7, B3): checks of content and by script, what clients meet when nobody serves, failover in order, maintenance
// and the deadline of a drain, on real servers.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, endAgent, labName, panOk, skip, startAgent, until } from "./agent-bench.ts";
import {
  KeptConnections,
  askWeb,
  shareOf,
  startWeb,
  stateOfInstance,
  stopWeb,
} from "./health-bench.ts";

const { vip4, vip6, client } = STANDARD;
const ORDERED = "10.77.0.110";
const SILENT = "10.77.0.111";
const NAMES = "10.77.0.112";
const lab = labName("policy");
const TIMING = "intervalMs: 200, timeoutMs: 1000, rise: 1, fall: 2";
const GROUPS = `groups:
  - name: web
    services: ["tcp ${vip4}:80", "tcp [${vip6}]:80"]
    health: { ${TIMING}, slowStartMs: 2000, checks: [{ type: http, path: /ready, body: "yes" }] }
  - name: ordered
    policy: failover
    slots: 16
    services: ["tcp ${ORDERED}:*"]
    nodes: [{ name: m3 }, { name: m1 }, { name: m2 }]
    health: { ${TIMING}, checks: [{ type: tcp, target: local, port: 80 }] }
  - name: silent
    whenNone: drop
    services: ["tcp ${SILENT}:80", "udp ${SILENT}:53"]
    health: { ${TIMING}, checks: [{ type: script, command: [/bin/sh, -c, "test ! -e /run/panoply-cluster-${lab}/sick"] }] }
  - name: names
    services: ["udp ${NAMES}:53"]
    health: { ${TIMING}, checks: [{ type: udp, send: "are you there" }] }
`;

describe("health and what follows from it", { skip }, () => {
  let cluster: LabCluster;

  const readyFile = (member: string): string => path.join(cluster.lab.folder(member), "www/ready");
  const setReady = (member: string, isReady: boolean): void => {
    if (isReady) writeFileSync(readyFile(member), "yes\n");
    else rmSync(readyFile(member), { force: true });
  };
  const untilState = async (
    group: string,
    node: string,
    state: string | undefined,
  ): Promise<void> => {
    const what = `${group} on ${node} is ${state}`;
    const master = await cluster.master();
    await cluster.until(what, (status) => stateOfInstance(status, group, node) === state, master);
  };
  const untilAll = async (group: string, state: string): Promise<void> => {
    for (const member of cluster.members) await untilState(group, member, state);
  };
  const untilSlots = (
    group: string,
    node: string,
    holds: (slots: number) => boolean,
  ): Promise<unknown> =>
    cluster.until(`${node} has its slots of ${group}`, (status) =>
      holds(shareOf(status, group, node)?.slots ?? 0),
    );
  /** In force at the master, not only decided: members acknowledge a planned change first. */
  const untilUnserved = async (group: string): Promise<void> => {
    const master = await cluster.master();
    const holds = ({ groups, cluster: { tables }, datapath: { version } }: Status): boolean => {
      const found = groups.find(({ name }) => name === group);
      const isInForce = tables.epoch === version.epoch && tables.counter === version.counter;
      return found !== undefined && found.unassigned === found.slots && isInForce;
    };
    await cluster.until(`nobody serves ${group}`, holds, master);
  };
  const change = async (replace: (yaml: string) => string): Promise<void> => {
    const { yaml } = await cluster.client("m1").config({});
    await cluster.client("m1").putConfig({ body: { yaml: replace(yaml) } });
  };

  before(async () => {
    cluster = await LabCluster.up({
      name: lab,
      members: 3,
      groups: GROUPS,
      extraConfig: CALM,
      downOnExit: true,
    });
    for (const member of cluster.members) setReady(member, true);
    await untilAll("web", "up");
  });
  after(() => cluster?.down());

  test("B7: an HTTP check that fails takes new connections away and leaves established ones; the share comes back in steps", async () => {
    await untilSlots("web", "m1", (slots) => slots >= 341);
    await untilSlots("web", "m2", (slots) => slots >= 341);
    await untilSlots("web", "m3", (slots) => slots >= 341);
    const kept = await KeptConnections.open(cluster, 24);
    assert.ok(kept.of("m2") > 0, "of 24 connections some are on m2");
    setReady("m2", false);
    await untilState("web", "m2", "down");
    await untilSlots("web", "m2", (slots) => slots === 0);
    const { by, failures } = await askWeb(cluster, 100);
    assert.deepEqual([[...by.keys()].sort(), failures], [["m1", "m3"], []]);
    assert.equal((await kept.ask())["m2 ok"], kept.of("m2"), "its server still serves these");
    const page = await panOk(cluster, await cluster.master(), "status");
    assert.match(page, /m2 0 \(home 34[12]\), weight 1, down \(http: status 404\)/);
    setReady("m2", true);
    await untilState("web", "m2", "up");
    await untilSlots("web", "m2", (slots) => slots > 0 && slots < 341);
    await untilSlots("web", "m2", (slots) => slots >= 341);
    const found = await kept.ask();
    assert.deepEqual(Object.keys(found).sort(), ["m1 ok", "m2 ok", "m3 ok"]);
    await kept.close();
  });

  test("B3: failover: the first of the list that works has everything, also of any port, and has it again when it is back", async () => {
    const serving = async (): Promise<string> => {
      const { by, failures } = await askWeb(cluster, 20, { address: ORDERED });
      assert.deepEqual(failures, []);
      return [...by.keys()].sort().join();
    };
    await untilAll("ordered", "up");
    await untilSlots("ordered", "m3", (slots) => slots === 16);
    assert.equal(await serving(), "m3");
    await stopWeb(cluster, "m3");
    await untilSlots("ordered", "m1", (slots) => slots === 16);
    assert.equal(await serving(), "m1");
    await stopWeb(cluster, "m1");
    await untilSlots("ordered", "m2", (slots) => slots === 16);
    assert.equal(await serving(), "m2");
    await startWeb(cluster, "m1");
    await startWeb(cluster, "m3");
    await untilSlots("ordered", "m3", (slots) => slots === 16);
    assert.equal(await serving(), "m3");
    await untilAll("web", "up");
  });

  test("B7: nobody serves: clients are refused at once, by IPv4 and IPv6, though the servers still answer", async () => {
    for (const member of cluster.members) setReady(member, false);
    await untilAll("web", "down");
    await untilUnserved("web");
    for (const address of [vip4, `[${vip6}]`]) {
      const { by, failures } = await askWeb(cluster, 5, { address });
      assert.deepEqual([[...by], failures], [[], [7, 7, 7, 7, 7]], "7: connection refused");
    }
    const { assignment } = await cluster.status(await cluster.master());
    assert.ok((assignment.held.find(({ reason }) => reason === "reset")?.count ?? 0) >= 10);
  });

  test("B7: nobody serves: all of them when the group asks for that, or the sorry node alone", async () => {
    const other = (word: string) => (yaml: string) =>
      yaml.replace(
        /(?:whenNone: (?:all|sorry)\n +(?:sorry: m2\n +)?)?health: \{ (?=.*\/ready)/,
        `${word}health: { `,
      );
    await change(other("whenNone: all\n    "));
    await untilSlots("web", "m1", (slots) => slots > 300);
    assert.deepEqual([...(await askWeb(cluster, 60)).by.keys()].sort(), ["m1", "m2", "m3"]);
    await change(other("whenNone: sorry\n    sorry: m2\n    "));
    await untilSlots("web", "m2", (slots) => slots === 1024);
    assert.deepEqual([...(await askWeb(cluster, 20)).by.keys()], ["m2"]);
    await change(other(""));
    await untilSlots("web", "m2", (slots) => slots === 0);
    for (const member of cluster.members) setReady(member, true);
    await untilAll("web", "up");
  });

  test("B7: nobody serves: with drop nothing is answered; a datagram elsewhere is answered with port unreachable", async () => {
    await untilAll("silent", "up");
    assert.deepEqual((await askWeb(cluster, 3, { address: SILENT })).failures, []);
    writeFileSync(path.join(cluster.folder, "sick"), "");
    await untilAll("silent", "down");
    await untilUnserved("silent");
    assert.deepEqual(
      (await askWeb(cluster, 2, { address: SILENT, seconds: 2 })).failures,
      [28, 28],
      "28: timeout",
    );
    rmSync(path.join(cluster.folder, "sick"));
    await untilAll("names", "down");
    await untilUnserved("names");
    const ask = `const s = require("dgram").createSocket("udp4");
      s.on("error", ({ code }) => { console.log(code); s.close(); });
      s.connect(53, "${NAMES}", () => s.send("x"));`;
    const { stdout } = await cluster.lab.exec(client, [process.execPath, "-e", ask]);
    assert.equal(stdout.trim(), "ECONNREFUSED");
  });

  test("B7: maintenance of one instance and of a node takes new connections away, outlives the agent, and ends", async () => {
    await untilAll("web", "up");
    await panOk(cluster, "m1", "maintenance", "on", "m2", "--group", "web");
    await untilState("web", "m2", "maintenance");
    await untilSlots("web", "m2", (slots) => slots === 0);
    await untilState("silent", "m2", "up");
    await endAgent(cluster, "m2", "SIGTERM");
    await startAgent(cluster, "m2");
    await untilState("silent", "m2", "up");
    await untilState("web", "m2", "maintenance");
    await untilSlots("silent", "m2", (slots) => slots > 0);
    await untilSlots("web", "m2", (slots) => slots === 0);
    assert.deepEqual((await askWeb(cluster, 50)).by.has("m2"), false);
    await panOk(cluster, "m1", "maintenance", "on", "m2");
    await untilSlots("silent", "m2", (slots) => slots === 0);
    assert.match(await panOk(cluster, "m1", "status"), /m2 +10\.77\.0\.12 +\w+ maintenance/);
    await panOk(cluster, "m1", "maintenance", "off", "m2");
    await panOk(cluster, "m1", "maintenance", "off", "m2", "--group", "web");
    await untilState("web", "m2", "up");
    await untilSlots("web", "m2", (slots) => slots >= 341);
  });

  test("B7: a drain with a deadline closes what is left when it is over, and nothing on other nodes", async () => {
    const kept = await KeptConnections.open(cluster, 24);
    assert.ok(kept.of("m2") > 0, "of 24 connections some are on m2");
    await panOk(cluster, "m1", "drain", "m2", "--deadline", "2s");
    await untilSlots("web", "m2", (slots) => slots === 0);
    await cluster.until("connections are closed", (status) => status.drain.closed > 0, "m2");
    assert.deepEqual(await kept.ask(), {
      "m1 ok": kept.of("m1"),
      "m2 ended ECONNRESET": kept.of("m2"),
      "m3 ok": kept.of("m3"),
    });
    assert.equal((await cluster.status("m2")).drain.closed, kept.of("m2"));
    await kept.close();
    await panOk(cluster, "m1", "undrain", "m2");
    await until(
      "m2 has slots again",
      async () => (shareOf(await cluster.status("m1"), "web", "m2")?.slots ?? 0) > 0,
    );
    assert.equal((await cluster.status("m2")).drain.endsInMs, undefined);
  });
});
