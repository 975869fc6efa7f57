// A10 with real agents: applications and scripts on the members hear who comes and goes and which work sets move, and the master's
// applications decide who may join.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import {
  type Application,
  type Event,
  joinIn,
  type JoinVote,
  type Opinion,
  parseSlots,
  type Snapshot,
} from "#apps/client.ts";
import type { ApplicationsStatus } from "#api/applications.ts";
import { LabCluster } from "#lab/cluster.ts";
import { countSlots } from "#wire/applications/slot-ranges.ts";
import { CALM, endAgent, labName, logOf, panOk, skip, startAgent, until } from "./agent-bench.ts";

const VOTE = "applications: { voteMs: 1500 }\n";

/** An application on one member: keeps what it hears, and says what the test lets it say. */
class Witness {
  readonly events: Event[] = [];
  snapshots: Snapshot[] = [];
  readonly votes: JoinVote[] = [];
  opinion: () => Opinion | Promise<Opinion> = () => ({ accept: true });
  readonly #application: Application;

  constructor(cluster: LabCluster, member: string) {
    this.#application = joinIn({
      name: `witness-${member}`,
      socketPath: path.join(cluster.lab.folder(member), "applications.sock"),
      onSnapshot: (snapshot) => this.snapshots.push(snapshot),
      onEvent: (event) => this.events.push(event),
      onJoinVote: (vote) => {
        this.votes.push(vote);
        return this.opinion();
      },
    });
  }

  /** Forgets the events so far. */
  mark(): void {
    this.events.length = 0;
    this.votes.length = 0;
  }

  /** Work sets gained from, or lost to, a node since the mark. */
  moved(type: "work-sets-gained" | "work-sets-lost", peer: string): number {
    return this.events.reduce((sum, event) => {
      if (event.type !== type) return sum;
      const other = event.type === "work-sets-gained" ? event.from : event.to;
      if (other !== peer) return sum;
      const ranges = parseSlots(event.slots);
      assert.equal(ranges && countSlots(ranges), event.count);
      return sum + event.count;
    }, 0);
  }

  has(type: Event["type"], member: string): boolean {
    return this.events.some((event) => {
      if (event.type !== type) return false;
      return "member" in event && event.member.name === member;
    });
  }

  close(): void {
    this.#application.close();
  }
}

const LOG_HOOK = `#!/bin/sh
echo "$PANOPLY_EVENT $PANOPLY_MEMBER $PANOPLY_REASON $PANOPLY_GROUP $PANOPLY_COUNT $PANOPLY_FROM$PANOPLY_TO" >> "$(dirname "$0")/../events.log"
`;
const REFUSING_HOOK = `#!/bin/sh
echo "no key for $PANOPLY_MEMBER"
exit 1
`;

describe("A10: applications in a cluster", { skip }, () => {
  let cluster: LabCluster;
  let master: string;
  /** A member that is not the master, and the third one. */
  let [leaver, stayer] = ["", ""];
  const witnesses = new Map<string, Witness>();
  const at = (member: string): Witness => {
    const witness = witnesses.get(member);
    assert.ok(witness);
    return witness;
  };
  const inFolder = (member: string, name: string): string =>
    path.join(cluster.lab.folder(member), name);
  const counted = async (member: string, reason: string): Promise<number> => {
    const text = await panOk(cluster, member, "apps", "--json");
    const { counts } = JSON.parse(text) as ApplicationsStatus;
    return counts.find((each) => each.reason === reason)?.count ?? 0;
  };
  const slotsOf = async (member: string): Promise<number> => {
    const { groups } = await cluster.status(master);
    return groups[0]?.shares.find(({ node }) => node === member)?.slots ?? 0;
  };

  before(async () => {
    const name = labName("apps");
    cluster = await LabCluster.up({ name, members: 3, extraConfig: CALM + VOTE, downOnExit: true });
    await cluster.settled();
    master = await cluster.master();
    [leaver = "", stayer = ""] = cluster.members.filter((member) => member !== master);
    mkdirSync(inFolder(master, "hooks.d"), { mode: 0o755 });
    writeFileSync(inFolder(master, "hooks.d/10-log"), LOG_HOOK, { mode: 0o755 });
    for (const member of cluster.members) witnesses.set(member, new Witness(cluster, member));
    for (const member of cluster.members) {
      await until(`${member} has a snapshot`, () => at(member).snapshots.length > 0);
    }
  });
  after(async () => {
    for (const witness of witnesses.values()) witness.close();
    await cluster.down();
  });

  test("A10: the snapshot says who the members are and what this node owns", async () => {
    const status = await cluster.status(master);
    for (const member of cluster.members) {
      const [snapshot] = at(member).snapshots;
      assert.deepEqual(
        snapshot?.members.map(({ name }) => name),
        [...cluster.members],
      );
      assert.equal(snapshot?.master, master);
      const share = status.groups[0]?.shares.find(({ node }) => node === member)?.slots;
      assert.deepEqual(
        snapshot?.groups.map(({ group, count }) => [group, count]),
        [["web", share]],
      );
    }
  });

  test("A10, A9: a member that dies: every other one hears it, and gains its work sets", async () => {
    const had = await slotsOf(leaver);
    assert.ok(had > 0);
    for (const witness of witnesses.values()) witness.mark();
    await endAgent(cluster, leaver, "SIGKILL");
    const gained = (): number =>
      at(master).moved("work-sets-gained", leaver) + at(stayer).moved("work-sets-gained", leaver);
    await until("its work sets are gained", () => gained() === had);
    await until("both have heard it", () =>
      [master, stayer].every((member) => at(member).has("member-left", leaver)),
    );
    const left = at(master).events.find(({ type }) => type === "member-left");
    assert.ok(left?.type === "member-left");
    assert.ok(["silent", "agent-down"].includes(left.reason), left.reason);
  });

  test("A10: an application at the master refuses the node, which is told why; the others are not asked", async () => {
    at(master).opinion = () => ({ accept: false, reason: "no tunnel to it" });
    for (const witness of witnesses.values()) witness.mark();
    await startAgent(cluster, leaver);
    const words = `"text":"witness-${master}: no tunnel to it"`;
    await until("the node has been told", () =>
      logOf(cluster, leaver)
        .split("\n")
        .some((line) => line.includes(words) && line.includes('"msg":"refused"')),
    );
    assert.ok(logOf(cluster, master).includes(words));
    assert.equal(at(master).votes[0]?.node.name, leaver);
    assert.equal(at(stayer).votes.length, 0);
    assert.ok((await counted(master, "votes-refused")) > 0);
    const { members } = await cluster.status(master);
    assert.equal(members.find(({ name }) => name === leaver)?.state, "departed");
  });

  test("A10: it is asked again and accepts: the node joins and gets its work sets back", async () => {
    at(master).opinion = async () => ({ accept: true });
    await cluster.settled();
    const has = await slotsOf(leaver);
    const lost = (): number =>
      at(master).moved("work-sets-lost", leaver) + at(stayer).moved("work-sets-lost", leaver);
    await until("the others have heard what they lost", () => lost() === has);
    assert.ok(at(stayer).has("member-joined", leaver));
    await until("its own application has connected again", () => at(leaver).snapshots.length > 1);
    // what happened before it was back is in the snapshot, the rest came as events
    const owned = at(leaver).snapshots.at(-1)?.groups[0]?.count ?? 0;
    const since = at(leaver).snapshots.at(-1)?.sequence ?? 0;
    const gained = (): number =>
      at(leaver).events.reduce((sum, event) => {
        const isNew = event.type === "work-sets-gained" && event.sequence > since;
        return isNew ? sum + event.count : sum;
      }, 0);
    await until("it knows what it owns", () => owned + gained() === has);
  });

  test("A10: scripts were told the same", async () => {
    const log = (): string => readFileSync(inFolder(master, "events.log"), "utf8");
    await until("the hook has run", () => log().includes(`member-joined ${leaver}`));
    assert.match(log(), new RegExp(`^member-left ${leaver} (silent|agent-down) `, "m"));
    assert.match(log(), new RegExp(`^work-sets-gained {3}web \\d+ ${leaver}$`, "m"));
    await until("and has told what was lost", () =>
      new RegExp(`^work-sets-lost {3}web \\d+ ${leaver}$`, "m").test(log()),
    );
    const shown = await panOk(cluster, master, "apps");
    assert.match(shown, new RegExp(`witness-${master} +yes`));
    assert.match(shown, /10-log +events/);
  });

  test("A10: a vote hook refuses; an application that hangs is not waited for longer than configured", async () => {
    const hook = inFolder(master, "hooks.d/20-check.vote");
    writeFileSync(hook, REFUSING_HOOK, { mode: 0o755 });
    await endAgent(cluster, leaver, "SIGTERM");
    await cluster.settled([master, stayer]);
    await startAgent(cluster, leaver);
    const words = `hooks: no key for ${leaver}`;
    await until("the node has been told", () => logOf(cluster, leaver).includes(words));
    at(master).opinion = () => new Promise<Opinion>(() => {});
    const before = await counted(master, "votes-unanswered");
    rmSync(hook);
    await cluster.settled();
    assert.ok((await counted(master, "votes-unanswered")) > before);
    at(master).opinion = () => ({ accept: true });
  });

  test("A10: the master's agent stops: its successor's applications are told, and asked from then on", async () => {
    for (const witness of witnesses.values()) witness.mark();
    await endAgent(cluster, master, "SIGTERM");
    const isMaster = (member: string): boolean =>
      at(member).events.some((event) => event.type === "role-changed" && event.role === "master");
    await until("there is a new master", () => isMaster(leaver) || isMaster(stayer));
    const [next, other] = isMaster(leaver) ? [leaver, stayer] : [stayer, leaver];
    await until("the other one follows it", () =>
      at(other).events.some((event) => event.type === "role-changed" && event.master === next),
    );
    const left = at(next).events.find(({ type }) => type === "member-left");
    assert.ok(left?.type === "member-left" && left.member.name === master);
    assert.equal(left.reason, "left");
    const before = at(master).snapshots.length;
    await startAgent(cluster, master);
    await cluster.settled();
    assert.deepEqual(
      at(next).votes.map(({ node }) => node.name),
      [master],
    );
    await until("its application is back", () => at(master).snapshots.length > before);
  });

  test("A10: where every member filters, slots are let go first: lost to nobody yet, then passed on", async () => {
    await panOk(cluster, stayer, "delivery", "set", "unicast");
    await cluster.settled();
    for (const witness of witnesses.values()) witness.mark();
    const had = await slotsOf(stayer);
    await panOk(cluster, leaver, "drain", stayer);
    const all = cluster.members.filter((member) => member !== stayer);
    const passedOn = (): number =>
      at(stayer).events.reduce((sum, event) => {
        const isPassed = event.type === "work-sets-passed-on" && all.includes(event.to ?? "");
        return isPassed ? sum + event.count : sum;
      }, 0);
    await until("all of them were passed on", () => passedOn() === had);
    const lost = at(stayer).events.filter(({ type }) => type === "work-sets-lost");
    assert.ok(lost.length > 0);
    assert.ok(lost.every((event) => event.type === "work-sets-lost" && event.to === undefined));
    const gained = (): number =>
      all.reduce((sum, member) => sum + at(member).moved("work-sets-gained", stayer), 0);
    await until("the others have gained them", () => gained() === had);
    await panOk(cluster, leaver, "undrain", stayer);
  });

  test("A10: the sockets go with the agents", async () => {
    for (const witness of witnesses.values()) witness.close();
    await endAgent(cluster, stayer, "SIGTERM");
    const { stdout } = await cluster.lab.exec(stayer, ["ls", cluster.lab.folder(stayer)]);
    assert.doesNotMatch(stdout, /\.sock/);
  });
});
