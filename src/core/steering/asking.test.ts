// Whom a node asks about a connection that it does not know (B4; docs/adr/0004), while tables are on their way: every slot, every
// change of it, every way in which two versions can be spread over the nodes. A frame carries how many have been asked, and the last
// one of them; from the third on a node has to guess who the other was. Compared with nodes that know everybody who has been asked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_NODE, nodeId, type NodeId } from "#base/ids.ts";
import { own, type Arrival } from "./own.ts";
import type { Flow } from "./packet.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "./tables.ts";
import { owned } from "./testing/vector.ts";
import { stepTowards, type StepRules } from "./transition.ts";

const NODES = [1, 2, 3, 4, 5].map(nodeId);
/** Owner and former owners, newest first; 5 has never had the slot. */
const CHAINS: readonly (readonly number[])[] = [
  [1],
  [1, 2],
  [1, 2, 3],
  [1, 2, 3, 4],
  [0, 2],
  [0, 2, 3],
  [0, 2, 3, 4],
];
/** A frame is passed on no more often than this. */
const MOST_HOPS = FORMER_OWNERS + 1;
const SEGMENT: Flow = {
  protocol: 6,
  source: new Uint8Array(4),
  destination: new Uint8Array(4),
  sourcePort: 40_000,
  destinationPort: 80,
  discriminator: 40_000,
  opening: false,
};

interface Change {
  readonly name: string;
  readonly before: GroupTable;
  readonly after: GroupTable;
  readonly dead: NodeId;
}

const web = (tables: Tables): GroupTable => {
  const [group] = tables.groups;
  assert.ok(group !== undefined);
  return group;
};

const chainOf = ({ owners, former }: GroupTable): NodeId[] =>
  [owners[0] ?? 0, ...former.subarray(0, FORMER_OWNERS)].map((id) => id as NodeId);

const rulesFor = (filtered: boolean, members: readonly NodeId[]): StepRules => ({
  self: nodeId(1),
  filtered,
  members: new Set(members),
  ready: new Set(members),
  uncertain: new Map(),
  released: true,
  mayLetGo: true,
  behind: new Set(),
  frozen: false,
  isNew: false,
});

/** Whatever a master publishes next for such a slot. */
function changesOf(chain: readonly number[]): Change[] {
  const published = owned(chain[0] ?? 0, chain.slice(1));
  const before = web(published);
  const changes: Change[] = [];
  for (const to of NODES) {
    for (const filtered of [false, true]) {
      const after = web(stepTowards(published, owned(to), rulesFor(filtered, NODES)));
      changes.push({ name: `[${chain.join()}] moves to ${to}`, before, after, dead: NO_NODE });
    }
    for (const dead of NODES.filter((id) => id !== to && chain.includes(id))) {
      const living = NODES.filter((id) => id !== dead);
      const wanted = owned(chain[0] === dead ? to : (chain[0] ?? 0));
      const nodes = wanted.nodes.filter(({ id }) => id !== dead);
      const after = web(stepTowards(published, { ...wanted, nodes }, rulesFor(true, living)));
      changes.push({ name: `[${chain.join()}] loses ${dead} to ${to}`, before, after, dead });
    }
  }
  for (const swept of chain.slice(1)) {
    const left = chain.slice(1).filter((id) => id !== swept);
    const after = web(owned(chain[0] ?? 0, left));
    changes.push({
      name: `${swept} is swept from [${chain.join()}]`,
      before,
      after,
      dead: NO_NODE,
    });
  }
  return changes;
}

type Ask = (group: GroupTable, arrival: Arrival, self: NodeId, knows: boolean) => NodeId;

/** What the node does with the segment: who gets it next, nobody when it stays. */
const ask: Ask = (group, arrival, self, knows) => {
  const tables = { master: NO_NODE };
  const context = { self, leased: false, accepting: true, tables, knows: () => knows };
  return own(SEGMENT, { group, index: 0 }, arrival, context).node;
};

/** The same by a node that has been told everybody who has been asked. */
function askingOfAll(asked: Set<NodeId>): Ask {
  return (group, arrival, self, knows) => {
    const chain = chainOf(group);
    const isOwners = chain[0] === NO_NODE || chain[0] === self;
    if (arrival.hop === 0 && !isOwners) return chain[0] ?? NO_NODE;
    asked.add(self);
    if (knows || arrival.hop > FORMER_OWNERS) return NO_NODE;
    return chain.find((id) => id !== NO_NODE && !asked.has(id)) ?? NO_NODE;
  };
}

/** Whether the segment gets to the node that has its connection. */
function finds(
  ask: Ask,
  tables: ReadonlyMap<NodeId, GroupTable>,
  { entry, server }: { readonly entry: NodeId; readonly server: NodeId },
): boolean {
  let at = entry;
  let arrival: Arrival = { flooded: false, hop: 0, sender: NO_NODE };
  for (;;) {
    const group = tables.get(at);
    if (group === undefined) return false; // dead
    const next = ask(group, arrival, at, at === server);
    if (next === NO_NODE) return at === server;
    const isFirst = arrival.hop === 0 && chainOf(group)[0] !== NO_NODE && chainOf(group)[0] !== at;
    const hop = arrival.hop === 0 ? (isFirst ? 1 : 2) : arrival.hop + 1;
    assert.ok(hop <= MOST_HOPS, "passed on too often");
    arrival = { flooded: false, hop, sender: at };
    at = next;
  }
}

/**
 * The one change at which a node guesses wrongly: three former owners, no owner, and now one who was none of them. The first former owner
 * has heard of it and asks the new one, who takes it for the second of the chain and leaves that out. A planned move leaves two
 * former owners, so this takes a wish that changes between letting go and giving.
 */
const isGivenToStranger = ({ before, after }: Change): boolean =>
  chainOf(before)[0] === NO_NODE &&
  !chainOf(before).slice(1).includes(NO_NODE) &&
  !chainOf(before).includes(chainOf(after)[0] ?? NO_NODE);

/** Every way in which the two versions can be spread over the nodes that live. */
function* spreads({ before, after, dead }: Change): Generator<Map<NodeId, GroupTable>> {
  const living = NODES.filter((id) => id !== dead);
  for (let mask = 0; mask < 2 ** living.length; mask++) {
    yield new Map(living.map((id, bit) => [id, (mask >> bit) & 1 ? after : before]));
  }
}

for (const chain of CHAINS) {
  test(`B4: slot [${chain.join()}]: whoever could be found by knowing all that were asked is found`, () => {
    let compared = 0;
    for (const change of changesOf(chain).filter((each) => !isGivenToStranger(each))) {
      const served = chainOf(change.before).filter((id) => chainOf(change.after).includes(id));
      for (const server of served.filter((id) => id !== NO_NODE)) {
        for (const tables of spreads(change)) {
          for (const entry of tables.keys()) {
            const way = { entry, server };
            if (!finds(askingOfAll(new Set()), tables, way)) continue;
            compared += 1;
            const spread = [...tables].map(([id, group]) => `${id}: ${chainOf(group).join()}`);
            assert.ok(
              finds(ask, tables, way),
              `${change.name}: from ${entry}, served by ${server}; ${spread.join("; ")}`,
            );
          }
        }
      }
    }
    assert.ok(compared > 100 || chain.length < 3, `${compared} ways`);
  });
}
