// A real cluster: what `pan events` tells after everything that an operator asks about afterwards: who came, who died, what moved
// and why, who changed what; on more than one node, over a restart and a kill.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import type { EventOf, EventType, StoredEvent } from "#api/event-catalogue.ts";
import type { Followed } from "#api/client.ts";
import { LabCluster } from "#lab/cluster.ts";
import {
  CALM,
  endAgent,
  labName,
  LIMIT_MS,
  pan,
  panOk,
  skip,
  startAgent,
  until,
} from "./agent-bench.ts";

describe("the event log", { skip }, () => {
  let cluster: LabCluster;
  let master: string;
  /** A member that is not the master, and the one that dies. */
  let seat: string;
  let victim: string;
  const seen = new Map<string, number>();

  before(async () => {
    cluster = await LabCluster.up({
      name: labName("events"),
      members: 3,
      extraConfig: CALM,
      downOnExit: true,
    });
    await cluster.settled();
    master = await cluster.master();
    [seat = "", victim = ""] = cluster.members.filter((member) => member !== master);
  });
  after(() => cluster?.down());

  const eventsOf = async (member: string, after = 0): Promise<StoredEvent[]> => {
    const { events } = await cluster.client(member).events({ query: { after: String(after) } });
    return events as unknown as StoredEvent[];
  };

  /** From here on. */
  async function mark(members = cluster.members): Promise<void> {
    for (const member of members) {
      seen.set(member, (await eventsOf(member)).at(-1)?.seq ?? 0);
    }
  }

  /** The first event of the type on that member since the mark, for which the condition holds. */
  async function told<T extends EventType>(
    member: string,
    type: T,
    holds: (event: EventOf<T>) => boolean = () => true,
  ): Promise<EventOf<T>> {
    const limit = performance.now() + LIMIT_MS;
    for (;;) {
      const events = await eventsOf(member, seen.get(member));
      const found = events.find(
        (event) => event.type === type && holds(event as unknown as EventOf<T>),
      );
      if (found !== undefined) return found as unknown as EventOf<T>;
      assert.ok(performance.now() < limit, `${member}: no ${type} in ${JSON.stringify(events)}`);
      await pause(50);
    }
  }

  test("the start: a founder, two that join, the tables that follow", async () => {
    const founded = await told(master, "master-elected");
    assert.deepEqual([founded.master, founded.cause], [master, "founded"]);
    const joined = await told(seat, "master-elected");
    assert.deepEqual([joined.master, joined.cause], [master, "joined"]);
    await told(master, "vips-taken", ({ vips }) => vips.includes("10.77.0.100"));
    await told(master, "vips-announced");
    await told(master, "member-joined", ({ member }) => member === victim);
    const published = await told(master, "tables-published", ({ moves }) =>
      moves.some(({ to }) => to === victim),
    );
    assert.equal(published.cause, "join");
    await told(victim, "tables-installed", ({ version }) => version === published.version);
  });

  test("a drain asked at a member: who asked, what changed, what moved", async () => {
    await mark();
    await panOk(cluster, seat, "drain", victim);
    const changed = await told(master, "config-changed");
    assert.deepEqual([changed.cause, changed.via], ["member", seat]);
    assert.match(changed.change ?? "", /^drain /);
    assert.deepEqual(changed.differences, [`nodes.${victim}.drained: false → true`]);
    assert.equal((await told(seat, "config-changed")).cause, "master");
    const published = await told(master, "tables-published", ({ moved }) => moved > 0);
    assert.equal(published.cause, "drain");
    assert.ok(published.moves.every(({ from, cause }) => from === victim && cause === "drain"));
    assert.equal((await told(seat, "tables-installed", ({ moved }) => moved > 0)).cause, "drain");
    await mark();
    await panOk(cluster, master, "undrain", victim);
    const own = await told(master, "config-changed");
    assert.deepEqual([own.cause, own.via], ["operator", undefined]);
    assert.equal(
      (await told(master, "tables-published", ({ moved }) => moved > 0)).cause,
      "undrain",
    );
    await cluster.settled();
  });

  test("a weight: the cause is the weight", async () => {
    await mark();
    await panOk(cluster, master, "service", "weight", "web", seat, "3");
    assert.equal(
      (await told(master, "tables-published", ({ moved }) => moved > 0)).cause,
      "weight",
    );
    await panOk(cluster, master, "service", "weight", "web", seat, "1");
    await cluster.settled();
  });

  test("A9: a member that dies: its departure, why, and where its slots went", async () => {
    await mark();
    await cluster.lab.faults.kill(victim);
    const left = await told(master, "member-left");
    assert.deepEqual([left.member, left.cause], [victim, "silent"]);
    const published = await told(master, "tables-published", ({ moved }) => moved > 0);
    assert.equal(published.cause, "death");
    assert.ok(published.moves.every(({ from, cause }) => from === victim && cause === "death"));
    assert.equal((await told(master, "departure-confirmed")).member, victim);
    assert.equal((await told(seat, "member-left")).member, victim);
  });

  test("killed and started again, a node still has what it told before, and goes on counting", async () => {
    const before = await eventsOf(seat);
    await endAgent(cluster, seat, "SIGKILL");
    await startAgent(cluster, seat);
    const after = await eventsOf(seat);
    assert.deepEqual(after.slice(0, before.length), before);
    assert.deepEqual(after[before.length]?.type, "agent-started");
    assert.deepEqual(
      after.map(({ seq }) => seq),
      after.map((_, index) => index + 1),
    );
  });

  test("A12: the master says goodbye: a successor, the virtual addresses move; the log says why", async () => {
    await cluster.until("it is a member again", ({ node }) => node.role === "member", seat);
    await mark([master, seat]);
    await endAgent(cluster, master, "SIGTERM");
    const elected = await told(seat, "master-elected");
    assert.deepEqual([elected.master, elected.cause, elected.before], [seat, "succession", master]);
    const deposed = await told(seat, "master-deposed");
    assert.deepEqual([deposed.master, deposed.cause, deposed.by], [master, "left", seat]);
    await told(seat, "vips-taken");
    assert.equal((await told(seat, "member-left")).cause, "left");
    await startAgent(cluster, master);
    const stopped = await told(master, "agent-stopped");
    assert.equal(stopped.cause, "asked");
  });

  test("pan events: a line for each; --follow shows what happens then", async () => {
    const lines = await panOk(cluster, seat, "events", "--type", "master-elected");
    assert.match(lines, new RegExp(`master-elected +master=${seat} .*\\(succession\\)`));
    const refused = await pan(cluster, seat, "events", "--type", "nonsense");
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /there is no type nonsense/);
    const stop = new AbortController();
    const followed: Followed[] = [];
    const following = (async () => {
      const stream = cluster.client(seat).follow({ types: "config-changed" }, stop.signal);
      for await (const event of stream) followed.push(event);
    })();
    const status = async () => (await cluster.status(seat)).events.followers;
    await until("it follows", async () => (await status()) === 1);
    await panOk(cluster, seat, "drain", seat);
    await until("it is told", () => followed.length === 1);
    stop.abort();
    await following;
    await until("it follows no more", async () => (await status()) === 0);
  });
});
