// Where a node still has connections of slots that it owned once (B4, docs/adr/0009). It looks into its own kernel every few
// seconds; a slot in which it twice in a row found none is reported, and the master takes the node out of that slot's chain. Twice,
// because a connection may be opened by tables that are just being replaced.
import type { NodeId } from "#base/ids.ts";
import { PROTOCOL_TCP } from "#wire/ipv4.ts";
import { portWord } from "./discriminator.ts";
import { slotOf } from "./hash.ts";
import { indexTables, type IndexedTables } from "./indexed-tables.ts";
import { FORMER_OWNERS, isRouted, type GroupTable, type Tables } from "./tables.ts";

/** A TCP connection as its server sees it: the source is the client. Addresses in network order. */
export interface Connection {
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
}

export interface UnusedSlots {
  readonly name: string;
  /** Ascending. */
  readonly unused: readonly number[];
}

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

function slotKey(tables: IndexedTables, connection: Connection): string | undefined {
  const { source, sourcePort, destination, destinationPort } = connection;
  if (!tables.isVip(destination)) return undefined;
  const group = tables.groupOf(PROTOCOL_TCP, destination, destinationPort);
  if (group === undefined) return undefined;
  const flow = {
    protocol: PROTOCOL_TCP,
    source,
    destination,
    discriminator: portWord(sourcePort),
  };
  const slot = slotOf(tables, group.policy, flow, group.owners.length);
  return `${group.name}/${slot}`;
}

export class FormerSlots {
  readonly #self: NodeId;
  /** Slots without a connection at the last look. No more than the tables have slots. */
  #free = new Set<string>();

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
   * The slots of which this node is a former owner and in which it has no connection left.
   * @param connections is asked only when there is such a slot
   */
  look(tables: Tables, connections: () => readonly Connection[]): UnusedSlots[] {
    const groups = tables.groups.map((group) => ({
      name: group.name,
      slots: formerSlots(group, this.#self),
    }));
    if (groups.every(({ slots }) => slots.length === 0)) {
      this.#free.clear();
      return [];
    }
    const indexed = this.#index(tables);
    const used = new Set(connections().map((connection) => slotKey(indexed, connection)));
    const before = this.#free;
    const free = new Set<string>();
    const found = groups.map(({ name, slots }): UnusedSlots => {
      const empty = slots.filter((slot) => !used.has(`${name}/${slot}`));
      for (const slot of empty) free.add(`${name}/${slot}`);
      return { name, unused: empty.filter((slot) => before.has(`${name}/${slot}`)) };
    });
    this.#free = free;
    return found.filter(({ unused }) => unused.length > 0);
  }
}
