// A16 with real agents, `pan relay` and a stock nc: an interactive session loses its member between two keystrokes and in the middle of a
// line, and goes on without a lost or doubled byte. Requests in flight are done again, or never, as the operator has chosen.
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { logFile, startProgram } from "#lab/launch.ts";
import { STANDARD } from "#lab/standard.ts";
import { root } from "#tools/steps.ts";
import { serverOf } from "../../bench/sessions/connections.ts";
import { CALM, labName, PAN, panOk, skip, until } from "./agent-bench.ts";
import { established, placeOptions, replicated } from "./session-bench.ts";

const PORT = 7000;
const BACKEND_PORT = 9000;
const GROUPS = `groups:
  - name: lines
    services: ["tcp ${STANDARD.vip4}:${PORT}", "tcp [${STANDARD.vip6}]:${PORT}"]
`;
const FAMILIES = [
  { name: "IPv4", vip: STANDARD.vip4 },
  { name: "IPv6", vip: STANDARD.vip6 },
];

describe("A16: an interactive session through the relay", { skip }, () => {
  let cluster: LabCluster;
  const relays = new Map<string, ChildProcess>();

  before(async () => {
    const name = labName("relay");
    cluster = await LabCluster.up({
      ...{ name, members: 3, groups: GROUPS, extraConfig: CALM, downOnExit: true },
    });
    await cluster.settled();
    const argv = [process.execPath, path.join(root, "test/lab/line-server.ts"), `${BACKEND_PORT}`];
    await startProgram(
      { lab: name, host: STANDARD.client },
      { name: "backend", argv, ready: { tcp: BACKEND_PORT } },
    );
    await relayEverywhere();
  });
  after(() => cluster.down());

  async function relay(member: string, options: readonly string[] = []): Promise<void> {
    const { lab } = cluster;
    const argv = [
      ...[process.execPath, PAN, "relay", ...placeOptions(cluster, member, PORT)],
      ...["--backend", `${STANDARD.client4}:${BACKEND_PORT}`, ...options],
    ];
    const child = lab.spawn(member, argv, { stdio: ["ignore", "ignore", "inherit"] });
    relays.set(member, child);
    await until(`the relay of ${member} listens`, async () => {
      const { stdout } = await lab.exec(member, ["ss", "-Htnl", `sport = :${PORT}`]);
      return stdout.split("\n").filter((line) => line !== "").length === FAMILIES.length;
    });
  }

  async function relayEverywhere(...options: string[]): Promise<void> {
    for (const member of cluster.members) await relay(member, options);
    await replicated(cluster);
  }

  async function revive(...dead: string[]): Promise<void> {
    for (const member of dead) {
      await cluster.lab.faults.revive(member);
      await relay(member);
    }
    await cluster.settled();
    await replicated(cluster);
  }

  /** The relay of a member, as `pan status` shows it, once it is as it should be. */
  function shows(
    member: string,
    what: string,
    holds: (sessions: Status["sessions"][number]) => boolean,
  ): Promise<Status> {
    return cluster.until(what, ({ sessions: [own] }) => own !== undefined && holds(own), member);
  }

  /** A cluster of three is the measure of most for a detection interval after one has left: should another die before, the last is silent. */
  async function goesOnAlone(dead: string): Promise<void> {
    for (const member of cluster.members.filter((each) => each !== dead)) {
      await cluster.until(
        `${member} counts ${dead} no more`,
        ({ membership }) => !membership.together.includes(dead),
        member,
      );
    }
  }

  /** Someone at a keyboard. */
  class Typist {
    readonly #nc: ChildProcess;
    seen = "";
    readonly ended: Promise<number | null>;

    constructor(vip: string, ...flags: string[]) {
      const argv = ["nc", ...flags, vip, String(PORT)];
      this.#nc = cluster.lab.spawn(STANDARD.client, argv, { stdio: ["pipe", "pipe", "inherit"] });
      this.#nc.stdout?.on("data", (chunk: Buffer) => (this.seen += chunk.toString()));
      this.ended = new Promise((resolve) => this.#nc.once("close", resolve));
    }

    /** One keystroke after another, each until it has arrived. */
    async type(text: string): Promise<void> {
      for (const key of text) {
        this.#nc.stdin?.write(key);
        await until(`"${key}" has arrived`, () => this.#hasArrived());
      }
    }

    async #hasArrived(): Promise<boolean> {
      const argv = ["ss", "-Htn", "state", "established", `dport = :${PORT}`];
      const { stdout } = await cluster.lab.exec(STANDARD.client, argv);
      const [, unacknowledged] = stdout.trim().split(/\s+/);
      return unacknowledged === "0";
    }

    end(last: string): void {
      this.#nc.stdin?.end(last);
    }

    /** Closes the window. */
    leave(): void {
      this.#nc.kill("SIGTERM");
    }

    sees(text: string): Promise<void> {
      return until(`the client sees "${text.trim()}"`, () => this.seen.endsWith(text));
    }
  }

  const asked = (line: string): number =>
    readFileSync(logFile({ lab: cluster.lab.name, host: STANDARD.client }, "backend"), "utf8")
      .split("\n")
      .filter((each) => each === `asked ${line}`).length;

  for (const { name, vip } of FAMILIES) {
    test(`A16: ${name}: it loses its member between two keystrokes, and the next one in the middle of a line`, async () => {
      const { faults } = cluster.lab;
      const typist = new Typist(vip);
      await typist.type("first\n");
      await typist.sees("first\n");
      const first = await serverOf(cluster, PORT);
      await shows(first, "it serves one, which two others hold", (of) => {
        const { served, withoutReplica, replicas, others, commitMedianMs = 0 } = of;
        return (
          served === 1 && withoutReplica === 0 && replicas + others === 4 && commitMedianMs > 0
        );
      });
      for (const member of cluster.members.filter((each) => each !== first)) {
        await shows(member, "it could take it over", ({ held }) => held === 1);
      }
      await faults.kill(first);
      await typist.type("second\n");
      await typist.sees("second\n");

      await typist.type("in the mid");
      const second = await serverOf(cluster, PORT);
      assert.notEqual(second, first);
      await shows(second, "it has taken it over", ({ takenOver, pauseMedianMs = 0 }) => {
        return takenOver > 0 && pauseMedianMs > 0;
      });
      await goesOnAlone(first);
      await faults.kill(second);
      await typist.type("dle\n");
      await typist.sees("middle\n");
      assert.equal(typist.seen, "first\nsecond\nin the middle\n");
      const last = await serverOf(cluster, PORT);
      await shows(last, "nobody protects it", (of) => of.withoutReplica === 1 && of.others === 0);
      assert.match(await panOk(cluster, last, "status"), /relay: 1 unprotected: no other member/);
      const metrics = await panOk(cluster, last, "metrics");
      const unprotected = 'panoply_sessions_unprotected{application="relay",reason="no-replica"} 1';
      assert.ok(metrics.includes(unprotected), metrics);
      typist.leave();
      await revive(first, second);
    });
  }

  test("A16: a member whose relay hangs is left out after a while, is told everything when it runs again, and takes nothing over from what it held then", async () => {
    const typist = new Typist(STANDARD.vip4);
    await typist.type("before\n");
    await typist.sees("before\n");
    const server = await serverOf(cluster, PORT);
    const [hanging = ""] = cluster.members.filter((member) => member !== server);
    const process = relays.get(hanging);
    process?.kill("SIGSTOP");
    await typist.type("meanwhile\n");
    await typist.sees("meanwhile\n");
    await shows(server, "the one that hangs is left out", ({ replicas }) => replicas === 1);
    process?.kill("SIGCONT");
    await shows(server, "it is told everything again", ({ replicas, lagMs }) => {
      return replicas === 2 && lagMs === 0;
    });
    process?.kill("SIGSTOP");
    await typist.type("half a ");
    await shows(server, "it is left out again", ({ replicas }) => replicas === 1);
    await cluster.lab.faults.kill(server);
    process?.kill("SIGCONT");
    await typist.type("line\n");
    await typist.sees("half a line\n");
    assert.equal(typist.seen, "before\nmeanwhile\nhalf a line\n");
    typist.leave();
    await revive(server);
  });

  test("A16: a request that was with the backend is done again, and answered once", async () => {
    const typist = new Typist(STANDARD.vip4);
    await typist.type("quick\nslow to come\n");
    await until("the backend is asked", () => asked("slow to come") === 1);
    const dead = await serverOf(cluster, PORT);
    await cluster.lab.faults.kill(dead);
    await typist.sees("slow to come\n");
    await typist.type("bye\n");
    await typist.sees("bye\n");
    assert.equal(typist.seen, "quick\nslow to come\nbye\n");
    assert.equal(asked("slow to come"), 2);
    typist.leave();
    await revive(dead);
  });

  test("A16: a client that ends its stream gets its answers, and the end", async () => {
    const typist = new Typist(STANDARD.vip6, "-N");
    typist.end("slow one\nlast");
    assert.equal(await typist.ended, 0);
    assert.equal(typist.seen, "slow one\nlast\n");
    for (const member of cluster.members) {
      await until(`nothing is left of it at ${member}`, async () => {
        return (await established(cluster, member, `sport = :${PORT}`)) === 0;
      });
    }
  });

  test("A16: a relay that is told to end ends its clients' connections, and itself", async () => {
    const typist = new Typist(STANDARD.vip4);
    await typist.type("before\n");
    await typist.sees("before\n");
    for (const child of relays.values()) child.kill("SIGTERM");
    for (const member of cluster.members) {
      await until(`the relay of ${member} has ended`, () => relays.get(member)?.exitCode === 0);
    }
    await until("the client's connection has ended", async () => {
      return (await established(cluster, STANDARD.client, `dport = :${PORT}`)) === 0;
    });
    typist.leave();
  });

  test("A16: with --on-loss close a request is never done twice: the client's connection ends behind the last answer", async () => {
    await relayEverywhere("--on-loss", "close");
    const typist = new Typist(STANDARD.vip4);
    await typist.type("answered\nslow and lost\n");
    await until("the backend is asked", () => asked("slow and lost") === 1);
    await typist.sees("answered\n");
    await cluster.lab.faults.kill(await serverOf(cluster, PORT));
    await until("the connection has ended", async () => {
      return (await established(cluster, STANDARD.client, `dport = :${PORT}`)) === 0;
    });
    typist.end("");
    assert.equal(await typist.ended, 0);
    assert.equal(typist.seen, "answered\n");
    assert.equal(asked("slow and lost"), 1);
  });
});
