// B12: UDP sessions of a group that asks for it stay at their node while their slots move, for as long as they are not idle.
import assert from "node:assert/strict";
import { once } from "node:events";
import path from "node:path";
import { createInterface, type Interface } from "node:readline";
import { after, before, describe, test } from "node:test";
import type { ChildProcess } from "node:child_process";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";

const PORT = 5353;
const SESSIONS = 24;
const IDLE_MS = 4000;
const program = (name: string): string => path.join(import.meta.dirname, name);
const GROUPS = `groups:
  - name: voice
    slots: 64
    udpIdleTimeoutMs: ${IDLE_MS}
    nodes: [{ name: m1, weight: 1 }, { name: m2, weight: 0 }, { name: m3, weight: 0 }]
    services: ["udp ${STANDARD.vip4}:${PORT}"]
`;

describe("UDP sessions", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("udp"),
      members: 3,
      groups: GROUPS,
      extraConfig: CALM,
      programs: ({ name }) => [
        {
          name: "udp-echo",
          argv: [process.execPath, program("udp-echo.ts"), name, String(PORT), STANDARD.vip4],
        },
      ],
      downOnExit: true,
    });
    await cluster.until(
      "m1 owns every slot",
      (status) => status.groups[0]?.shares[0]?.slots === 64,
    );
  });
  after(() => cluster?.down());

  class Sessions {
    readonly #child: ChildProcess;
    readonly #lines: Interface;

    constructor() {
      const argv = [process.execPath, program("udp-sessions.ts"), SESSIONS, PORT, STANDARD.vip4];
      this.#child = cluster.lab.spawn(STANDARD.client, argv.map(String), {
        stdio: ["pipe", "pipe", "inherit"],
      });
      assert.ok(this.#child.stdout);
      this.#lines = createInterface(this.#child.stdout);
    }

    /** Who answers each of them. */
    async ask(): Promise<string[]> {
      this.#child.stdin?.write("ask\n");
      const [line] = (await once(this.#lines, "line", { signal: AbortSignal.timeout(20_000) })) as [
        string,
      ];
      return JSON.parse(line) as string[];
    }

    end(): void {
      this.#child.stdin?.end();
    }
  }

  async function handOver(from: string, to: string): Promise<void> {
    const client = cluster.client(await cluster.master());
    const group = "voice";
    await client.setWeight({ params: { group, node: to }, body: { weight: 1 } });
    await client.setWeight({ params: { group, node: from }, body: { weight: 0 } });
    await cluster.until(`${to} owns every slot`, ({ groups }) =>
      (groups[0]?.shares ?? []).some((share) => share.node === to && share.slots === 64),
    );
  }

  const all = (name: string): string[] => Array.from({ length: SESSIONS }, () => name);

  test("B12: a session stays at its node while its slot moves twice; a new one goes to the owner", async () => {
    const old = new Sessions();
    assert.deepEqual(await old.ask(), all("m1"));
    await handOver("m1", "m2");
    assert.deepEqual(await old.ask(), all("m1"));
    await cluster.until("the sessions are pinned", ({ assignment }) => assignment.exceptions === SESSIONS); // prettier-ignore
    const later = new Sessions();
    assert.deepEqual(await later.ask(), all("m2"));
    await handOver("m2", "m3");
    assert.deepEqual(await old.ask(), all("m1"));
    assert.deepEqual(await later.ask(), all("m2"));
    // idle for longer than the group wants
    await cluster.until(
      "nothing is pinned any more",
      ({ assignment }) => assignment.exceptions === 0,
    );
    assert.deepEqual(await old.ask(), all("m3"));
    old.end();
    later.end();
  });
});
