// A slot moves where every member filters (A13, A15; docs/adr/0009, 0012): every order in which the members come to go by the two new
// versions, and a new connection whose SYN and whose first ACK fall anywhere in it. There is no moment in which a SYN would be lost, one
// member takes it, and no other ever gets to answer the ACK with a reset.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mac, macBytes } from "#base/address.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import { hopMac } from "#wire/ethernet-hop.ts";
import { FragmentMemory } from "./fragments.ts";
import { indexTables, type IndexedTables } from "./indexed-tables.ts";
import { steer } from "./pipeline.ts";
import type { Tables } from "./tables.ts";
import { ACK, SYN } from "./testing/frames.ts";
import { owned, SHARED, tcp4 } from "./testing/vector.ts";
import { stepTowards, type StepRules } from "./transition.ts";

const MEMBERS = [1, 2, 3, 4].map(nodeId);
const MACS = new Map(MEMBERS.map((id) => [id, macBytes(mac(`02:50:00:00:00:0${id}`))]));
const [BEFORE, LET_GO, GIVEN] = [0, 1, 2];

interface Move {
  readonly master: NodeId;
  readonly from: NodeId;
  readonly to: NodeId;
  /** Former owners before the move. */
  readonly former: readonly NodeId[];
}

/** Which of the three versions each member goes by, in the order of MEMBERS. */
type Moment = readonly number[];

const rules: StepRules = {
  self: nodeId(1),
  filtered: true,
  members: new Set(MEMBERS),
  ready: new Set(MEMBERS),
  uncertain: new Map(),
  released: true,
  mayLetGo: true,
  behind: new Set(),
  frozen: false,
  isNew: false,
};

function versionsOf({ master, from, to, former }: Move): IndexedTables[] {
  const tables = (owner: NodeId, chain: readonly NodeId[]): Tables => {
    const plain = owned(owner, chain);
    return {
      ...plain,
      version: { ...plain.version, master },
      delivery: { ...plain.delivery, method: "multicast" },
    };
  };
  const before = tables(from, former);
  const wanted = tables(to, []);
  const letGo = stepTowards(before, wanted, rules);
  const given = stepTowards(letGo, wanted, rules);
  assert.deepEqual([...(letGo.groups[0]?.owners ?? [])], [0, 0]);
  assert.deepEqual([...(given.groups[0]?.owners ?? [])], [to, to]);
  return [before, letGo, given].map(indexTables);
}

/** What acknowledgements make sure of (core/node/publication.ts). */
function canBe(moment: Moment, { master, from, to }: Move): boolean {
  const at = (id: NodeId): number => moment[MEMBERS.indexOf(id)] ?? BEFORE;
  // both hear of it only when the new owner has it
  if (at(master) >= GIVEN && at(to) < GIVEN) return false;
  if (at(from) >= GIVEN && at(to) < GIVEN) return false;
  return !moment.includes(GIVEN) || !moment.includes(BEFORE);
}

function momentsOf(move: Move): Moment[] {
  const all = [BEFORE, LET_GO, GIVEN];
  return all
    .flatMap((a) => all.flatMap((b) => all.flatMap((c) => all.map((d) => [a, b, c, d]))))
    .filter((moment) => canBe(moment, move));
}

interface Outcome {
  readonly takers: NodeId[];
  /** Who has it waiting. */
  readonly holders: NodeId[];
}

class Segment {
  readonly #move: Move;
  readonly #versions = new Map<NodeId, IndexedTables>();
  readonly #server: NodeId | undefined;

  constructor(move: Move, versions: readonly IndexedTables[], moment: Moment, server?: NodeId) {
    this.#move = move;
    this.#server = server;
    for (const [index, id] of MEMBERS.entries()) {
      const tables = versions[moment[index] ?? BEFORE];
      if (tables !== undefined) this.#versions.set(id, tables);
    }
  }

  /** Every member has it. */
  flooded(flags: number): Outcome {
    const outcomes = MEMBERS.map((id) => this.#walk(id, tcp4(flags, 80, { to: SHARED.multicast })));
    return {
      takers: outcomes.flatMap(({ takers }) => takers),
      holders: outcomes.flatMap(({ holders }) => holders),
    };
  }

  /** One that waited with `by` goes on to the slot's owner. */
  sentOn(flags: number, by: NodeId): Outcome {
    const frame = tcp4(flags);
    frame.set(MACS.get(this.#move.to) ?? []);
    if (by !== this.#move.to) frame.set(hopMac({ hop: 1, asked: 0 }, by), 6);
    return this.#walk(this.#move.to, frame);
  }

  #walk(at: NodeId, frame: Uint8Array): Outcome {
    const tables = this.#versions.get(at);
    const own = MACS.get(at);
    assert.ok(tables !== undefined && own !== undefined);
    const verdict = steer(frame, {
      tables,
      self: at,
      mac: own,
      leased: at === this.#move.master,
      accepting: true,
      knows: () => at === this.#server,
      noteSession: () => {},
      fragments: new FragmentMemory(),
      canHold: () => true,
    });
    if (verdict.action === "forward") return this.#walk(verdict.node, frame);
    return {
      takers: verdict.action === "pass" ? [at] : [],
      holders: verdict.action === "hold" ? [at] : [],
    };
  }
}

const isLater = (moment: Moment, than: Moment): boolean =>
  moment.every((version, index) => version >= (than[index] ?? BEFORE));

/** The first ACK, and what becomes of it where it waits. */
function assertOnlyServerTakes(
  move: Move,
  versions: readonly IndexedTables[],
  moment: Moment,
  server: NodeId,
): void {
  const { takers, holders } = new Segment(move, versions, moment, server).flooded(ACK);
  const strangers = takers.filter((id) => id !== server);
  assert.deepEqual(strangers, [], `${server} serves, versions ${moment.join()}`);
  for (const later of momentsOf(move).filter((each) => isLater(each, moment))) {
    const segment = new Segment(move, versions, later, server);
    for (const holder of holders.filter((id) => later[MEMBERS.indexOf(id)] === GIVEN)) {
      const after = segment.sentOn(ACK, holder).takers.filter((id) => id !== server);
      assert.deepEqual(after, [], `${server} serves, ${holder} held, versions ${later.join()}`);
    }
  }
}

const MOVES: readonly Move[] = [1, 2, 3].flatMap((master) =>
  [[], [4], [1], [3], [3, 4], [4, 3], [3, 1]].map((former) => ({
    master: nodeId(master),
    from: nodeId(2),
    to: nodeId(3),
    former: former.map(nodeId),
  })),
);

for (const move of MOVES) {
  const { master, from, to, former } = move;
  test(`A13: ${from} → ${to}, former owners [${former.join()}], master ${master}: one serves, and nobody resets`, () => {
    const versions = versionsOf(move);
    const moments = momentsOf(move);
    let served = 0;
    for (const moment of moments) {
      const { takers, holders } = new Segment(move, versions, moment).flooded(SYN);
      assert.ok(takers.length <= 1, `versions ${moment.join()}: taken by ${takers.join()}`);
      assert.ok(takers.length + holders.length > 0, `versions ${moment.join()}: lost`);
      const [server] = takers;
      // what is also kept goes to the one that has taken it
      if (holders.length > 0) assert.ok(server === undefined || server === to);
      assert.deepEqual(holders, holders.length > 0 ? [from] : []);
      if (server === undefined) continue;
      served += 1;
      for (const later of moments.filter((each) => isLater(each, moment))) {
        assertOnlyServerTakes(move, versions, later, server);
      }
    }
    assert.ok(served > 4, `${served} of ${moments.length} moments have somebody who serves`);
  });
}
