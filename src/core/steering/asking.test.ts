// Whom a node asks about a connection that it does not know (B4; docs/adr/0004), while tables are on their way: every slot, every
// change of it, every way in which two versions can be spread over the nodes, and machines whose agents do not run, with tables of long
// ago. A frame carries who has been asked, exactly for up to five nodes. Compared with nodes that know everybody who has been asked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_NODE, nodeId, type NodeId } from "#base/ids.ts";
import { askedBit, MAX_HOP } from "#wire/ethernet-hop.ts";
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
const asking =
  (blind: readonly NodeId[]): Ask =>
  (group, arrival, self, knows) => {
    const tables = { master: NO_NODE, macOf: () => new Uint8Array(6) };
    const accepting = !blind.includes(self);
    const context = { self, leased: false, accepting, tables, knows: () => knows };
    return own(SEGMENT, { group, index: 0 }, arrival, context).node;
  };

/** The same by a node that has been told everybody who has been asked. */
function askingOfAll(asked: Set<NodeId>): Ask {
  return (group, arrival, self, knows) => {
    const chain = chainOf(group);
    const isOwners = chain[0] === NO_NODE || chain[0] === self;
    if (arrival.hop === 0 && !isOwners) return chain[0] ?? NO_NODE;
    asked.add(self);
    if (knows || arrival.hop === MAX_HOP) return NO_NODE;
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
  let arrival: Arrival = { flooded: false, hop: 0, asked: 0, sender: NO_NODE };
  for (;;) {
    const group = tables.get(at);
    if (group === undefined) return false; // dead
    const next = ask(group, arrival, at, at === server);
    if (next === NO_NODE) return at === server;
    const isFirst = arrival.hop === 0 && chainOf(group)[0] !== NO_NODE && chainOf(group)[0] !== at;
    const hop = arrival.hop === 0 ? (isFirst ? 1 : 2) : arrival.hop + 1;
    assert.ok(hop <= MAX_HOP, "passed on too often");
    const asked = hop === 1 ? 0 : arrival.asked | askedBit(at);
    arrival = { flooded: false, hop, asked, sender: at };
    at = next;
  }
}

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
    for (const change of changesOf(chain)) {
      const served = chainOf(change.before).filter((id) => chainOf(change.after).includes(id));
      for (const server of served.filter((id) => id !== NO_NODE)) {
        for (const tables of spreads(change)) {
          for (const entry of tables.keys()) {
            const way = { entry, server };
            if (!finds(askingOfAll(new Set()), tables, way)) continue;
            compared += 1;
            const spread = [...tables].map(([id, group]) => `${id}: ${chainOf(group).join()}`);
            assert.ok(
              finds(asking([]), tables, way),
              `${change.name}: from ${entry}, served by ${server}; ${spread.join("; ")}`,
            );
          }
        }
      }
    }
    assert.ok(compared > 100 || chain.length < 3, `${compared} ways`);
  });
}

/** What a machine may go by whose agent has ended long ago; 6 is gone. */
const OLD_CHAINS: readonly (readonly number[])[] = [
  [1],
  [2, 1],
  [3, 6],
  [4, 2, 3],
  [6, 4, 3, 2],
  [0, 6, 2, 4],
];

test("B4: machines without agents, by whatever tables they go, keep nobody else from being found", () => {
  let ways = 0;
  for (const chain of [
    [1, 2, 3, 4],
    [1, 4, 2, 3],
    [0, 2, 3, 4],
    [0, 4, 3, 2],
  ]) {
    const [owner = 0, ...former] = chain;
    const newest = web(owned(owner, former));
    // who decides where a frame enters has an agent: the owner, or the first former owner of a slot without one
    const entry = nodeId(owner === 0 ? (former[0] ?? 0) : owner);
    for (let mask = 0; mask < 2 ** NODES.length; mask++) {
      const blind = NODES.filter((id, bit) => ((mask >> bit) & 1) === 1 && id !== entry);
      for (const old of OLD_CHAINS) {
        const stale = web(owned(old[0] ?? 0, old.slice(1)));
        const tables = new Map(NODES.map((id) => [id, blind.includes(id) ? stale : newest]));
        for (const server of chain.filter((id) => id !== 0).map(nodeId)) {
          ways += 1;
          const text = `[${chain.join()}], [${old.join()}] at ${blind.join()}, served by ${server}`;
          assert.ok(finds(asking(blind), tables, { entry, server }), text);
        }
      }
    }
  }
  assert.ok(ways > 1000);
});
