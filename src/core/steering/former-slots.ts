// What a node finds when it looks into its own kernel's connections (B4, docs/adr/0016): those in slots of other owners, which the
// master is to pin to it; those that are pinned and have ended; and the slots that it owned once and in which every connection of its own
// is pinned, so that it needs not be asked about them. What a look does not find is only believed when another one, a second later, has
// not found it either: the kernel's list is not a moment's picture, and a connection may be opened by tables that are just being replaced.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import { flowKey, type FlowEnds, type FlowKey } from "#wire/flow-key.ts";
import { PROTOCOL_UDP } from "#wire/ipv4.ts";
import { portWord } from "./discriminator.ts";
import { slotOf } from "./hash.ts";
import { indexTables, type IndexedTables } from "./indexed-tables.ts";
import { FORMER_OWNERS, isRouted, type GroupTable, type Tables } from "./tables.ts";

/** Two looks that are to say the same are at least this far apart. */
export const LOOKS_APART_MS = 1000;
/** After tables are in force that list this node as a former owner: a look so soon pins its connections before the slot moves again. */
export const LOOK_SOON_MS = 100;

/** A TCP connection, or a UDP session that has not been idle for too long (B12), as its server sees it: the source is the client. */
export interface Connection extends FlowEnds {
  /** Not established yet. It keeps its slot's chain and is not pinned: anybody can send SYNs. */
  readonly halfOpen: boolean;
}

export interface UnusedSlots {
  readonly name: string;
  /** Ascending. */
  readonly unused: readonly number[];
}

export interface Look {
  /** Slots of which this node is a former owner and in which it has no connection that is not pinned. */
  readonly unused: readonly UnusedSlots[];
  /** In slots of other owners, and not pinned. */
  readonly established: readonly FlowKey[];
  /** Pinned to this node, and not there any more; or in a slot that it owns now. */
  readonly ended: readonly FlowKey[];
}

const NOTHING: Look = { unused: [], established: [], ended: [] };

/** The slots that list this node among their former owners. Connections routed through it are not its own to see (A22). */
function formerSlots({ former, owners, policy }: GroupTable, self: NodeId): number[] {
  if (isRouted(policy)) return [];
  const slots: number[] = [];
  for (let slot = 0; slot < owners.length; slot++) {
    const start = slot * FORMER_OWNERS;
    for (let at = start; at < start + FORMER_OWNERS; at++) {
      if (former[at] === self) slots.push(slot);
    }
  }
  return slots;
}

function pinnedTo(self: NodeId, { groups }: Tables): Set<FlowKey> {
  const found = new Set<FlowKey>();
  for (const { exceptions } of groups) {
    for (const [index, node] of exceptions.nodes.entries()) {
      if (node === self) found.add(exceptions.flows[index] ?? "");
    }
  }
  return found;
}

const slotKey = (group: string, slot: number): string => `${group}/${slot}`;

interface Seen {
  /** Slots in which this node has a connection that is not pinned. */
  readonly used: Set<string>;
  readonly established: FlowKey[];
  /** Pinned to this node, alive, and in a slot of another owner. */
  readonly present: Set<FlowKey>;
  /** There is a connection in a slot of another owner. */
  foreign: boolean;
}

/** When each was first not found, of what no look since has found. */
function missingSince<T>(
  before: ReadonlyMap<T, Instant>,
  missing: Iterable<T>,
  now: Instant,
): Map<T, Instant> {
  return new Map(Array.from(missing, (key) => [key, before.get(key) ?? now]));
}

export class FormerSlots {
  readonly #self: NodeId;
  /** Slots without a connection that is not pinned. No more than the tables have slots. */
  #free: ReadonlyMap<string, Instant> = new Map();
  /** Flows that are pinned and were not found. No more than there are exceptions. */
  #missing: ReadonlyMap<FlowKey, Instant> = new Map();
  /** Of these, those that the last look reported as ended. */
  #told: readonly FlowKey[] = [];
  /** The last look found a connection in a slot of another owner. */
  #foreign = false;

  #indexed: { readonly tables: Tables; readonly index: IndexedTables } | undefined;

  constructor(self: NodeId) {
    this.#self = self;
  }

  /** Looked at every two seconds; they change less often. */
  #index(tables: Tables): IndexedTables {
    if (this.#indexed?.tables !== tables) this.#indexed = { tables, index: indexTables(tables) };
    return this.#indexed.index;
  }

  /**
   * Whether these tables ask this node about connections of slots that it owned once, or pin some still that it said have ended: what
   * it says counts only by the newest tables, and others may make the master publish just before it comes, look after look.
   */
  isAsked(tables: Tables): boolean {
    const { groups } = tables;
    if (groups.some(({ former, policy }) => !isRouted(policy) && former.includes(this.#self))) {
      return true;
    }
    if (this.#told.length === 0) return false;
    const pinned = pinnedTo(this.#self, tables);
    return this.#told.some((flow) => pinned.has(flow));
  }

  /** @param connections is asked only when these tables, or the last look, give a reason */
  look(now: Instant, tables: Tables, connections: () => readonly Connection[]): Look {
    const groups = tables.groups.map((group) => ({
      name: group.name,
      slots: formerSlots(group, this.#self),
    }));
    const pinned = pinnedTo(this.#self, tables);
    const isIdle = groups.every(({ slots }) => slots.length === 0) && pinned.size === 0;
    if (isIdle && !this.#foreign) {
      this.#free = new Map();
      this.#missing = new Map();
      this.#told = [];
      return NOTHING;
    }
    const seen = this.#see(this.#index(tables), connections(), pinned);
    this.#foreign = seen.foreign;
    const isOld = (since: Instant | undefined): boolean =>
      since !== undefined && now >= after(since, LOOKS_APART_MS);
    const free = groups.flatMap(({ name, slots }) => slots.map((slot) => slotKey(name, slot)));
    const unheard = free.filter((key) => !seen.used.has(key));
    this.#free = missingSince(this.#free, unheard, now);
    const missing = [...pinned].filter((flow) => !seen.present.has(flow));
    this.#missing = missingSince(this.#missing, missing, now);
    const ended = missing.filter((flow) => isOld(this.#missing.get(flow)));
    this.#told = ended;
    const unused = groups.map(({ name, slots }) => ({
      name,
      unused: slots.filter((slot) => isOld(this.#free.get(slotKey(name, slot)))),
    }));
    return {
      unused: unused.filter((group) => group.unused.length > 0),
      established: seen.established,
      ended,
    };
  }

  #see(
    tables: IndexedTables,
    connections: readonly Connection[],
    pinned: ReadonlySet<FlowKey>,
  ): Seen {
    const seen: Seen = { used: new Set(), established: [], present: new Set(), foreign: false };
    for (const connection of connections) {
      const { protocol, source, sourcePort, destination, destinationPort } = connection;
      // a VIP is also on this node: its own connections to the service do not come over the network
      if (!tables.isVip(destination) || tables.isVip(source)) continue;
      const group = tables.groupOf(protocol, destination, destinationPort);
      if (group === undefined || isRouted(group.policy)) continue;
      if (protocol === PROTOCOL_UDP && group.udpIdleMs === 0) continue;
      const input = { protocol, source, destination, discriminator: portWord(sourcePort) };
      const slot = slotOf(tables, group.policy, input, group.owners.length);
      const owner = group.owners[slot] ?? NO_NODE;
      if (owner === this.#self) continue;
      seen.foreign = true;
      const flow = flowKey(connection);
      if (pinned.has(flow)) {
        seen.present.add(flow);
        continue;
      }
      seen.used.add(slotKey(group.name, slot));
      // without an owner it is on its way, and may come back
      if (owner !== NO_NODE && !connection.halfOpen) seen.established.push(flow);
    }
    return seen;
  }
}
