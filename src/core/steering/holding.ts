// What a node does with frames that its packet program holds (A15): it keeps them, asks for an owner of their slot, and says where they
// go once the tables that are in force here name one, or name somebody else as the one who keeps them (docs/adr/0012). Early fragments
// wait beside them for what is decided about their first fragment.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { earliest, type Instant } from "#base/time.ts";
import type { SlotRef } from "./assignment.ts";
import { EarlyFragments } from "./early-fragments.ts";
import { HOLD_LIMITS, HoldQueue, type HoldCounts, type HoldLimits } from "./hold-queue.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "./tables.ts";

/** One frame as it came from the packet program. */
export type HeldFrame =
  /** The slot has no owner. */
  | { readonly frame: Uint8Array; readonly slot: SlotRef }
  /** An early fragment; the text is the same for all fragments of one datagram. */
  | { readonly frame: Uint8Array; readonly datagram: string };

/** A frame that goes on. */
export interface SentOn {
  readonly frame: Uint8Array;
  /** This node itself: its own packet program decides about it again. Undefined: it is addressed already. */
  readonly to: NodeId | undefined;
}

/** Since the start, by what became of them; and what waits now. */
export interface HeldCounts extends HoldCounts {
  /** Released, and then refused by the interface. */
  readonly unsent: number;
  readonly waiting: number;
  readonly waitingBytes: number;
}

const slotKey = ({ group, slot }: SlotRef): string => `${slot} ${group}`;

function slotOfKey(key: string): SlotRef {
  const space = key.indexOf(" ");
  return { slot: Number(key.slice(0, space)), group: key.slice(space + 1) };
}

const ownerIn = (groups: ReadonlyMap<string, GroupTable>, { group, slot }: SlotRef): NodeId =>
  (groups.get(group)?.owners[slot] ?? NO_NODE) as NodeId;

/** Of a slot without an owner: its newest former owner, if it has one. */
function keeperIn(groups: ReadonlyMap<string, GroupTable>, ref: SlotRef): NodeId {
  if (ownerIn(groups, ref) !== NO_NODE) return NO_NODE;
  return (groups.get(ref.group)?.former[ref.slot * FORMER_OWNERS] ?? NO_NODE) as NodeId;
}

export class Holding {
  readonly #self: NodeId;
  /** By slot. */
  readonly #queue: HoldQueue;
  readonly #fragments: EarlyFragments;
  #unsent = 0;
  /** Of the tables that are in force here, by name. */
  #groups: ReadonlyMap<string, GroupTable> = new Map();

  constructor(self: NodeId, limits: HoldLimits = HOLD_LIMITS) {
    this.#self = self;
    this.#queue = new HoldQueue(limits);
    this.#fragments = new EarlyFragments(limits);
  }

  get counts(): HeldCounts {
    const [frames, fragments] = [this.#queue.counts, this.#fragments.counts];
    return {
      held: frames.held + fragments.held,
      released: frames.released + fragments.released,
      refused: frames.refused + fragments.refused,
      expired: frames.expired + fragments.expired,
      unsent: this.#unsent,
      waiting: this.#queue.frames + this.#fragments.frames,
      waitingBytes: this.#queue.bytes + this.#fragments.bytes,
    };
  }

  get deadline(): Instant | undefined {
    return earliest(this.#queue.deadline, this.#fragments.deadline);
  }

  /** Keeps frames; answers the slots that are wanted, each once. That holds for a frame without room as well: the client repeats it. */
  hold(now: Instant, frames: readonly HeldFrame[]): SlotRef[] {
    const wanted = new Map<string, SlotRef>();
    for (const held of frames) {
      if ("datagram" in held) {
        this.#fragments.hold(now, held.datagram, held.frame);
        continue;
      }
      const key = slotKey(held.slot);
      wanted.set(key, held.slot);
      this.#queue.hold(now, key, held.frame);
    }
    return [...wanted.values()];
  }

  /** One that was released could not be sent. */
  unsent(): void {
    this.#unsent += 1;
  }

  /** These tables are in force here: frames whose slot has an owner go there. */
  installed(now: Instant, tables: Tables): SentOn[] {
    const before = this.#groups;
    this.#groups = new Map(tables.groups.map((group) => [group.name, group]));
    const isFiltered = tables.delivery.method !== "forward";
    return [...(isFiltered ? this.#handedOver(now, before) : []), ...this.decided(now)];
  }

  /** By the tables in force: one that came after its slot got its owner would wait for the next ones. */
  decided(now: Instant): SentOn[] {
    return this.#release(now, (slot) => ownerIn(this.#groups, slot));
  }

  /**
   * What this node kept is for whoever keeps it now. A new master names the node that its predecessor may have given the slot to: that
   * one may have taken the same frame, and nobody else must.
   */
  #handedOver(now: Instant, before: ReadonlyMap<string, GroupTable>): SentOn[] {
    return this.#release(now, (slot) => {
      const keeper = keeperIn(this.#groups, slot);
      const wasMine = keeperIn(before, slot) === this.#self;
      return wasMine && keeper !== this.#self ? keeper : NO_NODE;
    });
  }

  #release(now: Instant, takerOf: (slot: SlotRef) => NodeId): SentOn[] {
    const takers = new Map<string, NodeId>();
    for (const key of this.#queue.keys) {
      const taker = takerOf(slotOfKey(key));
      if (taker !== NO_NODE) takers.set(key, taker);
    }
    if (takers.size === 0) return [];
    return this.#queue
      .release(now, ({ key }) => takers.has(key))
      .map(({ key, frame }) => ({ frame, to: takers.get(key) }));
  }

  /** Still wanted: a new master may not have heard of them. */
  get wanted(): SlotRef[] {
    return [...this.#queue.keys].map(slotOfKey);
  }

  /** Drops what is too old, and lets go fragments whose first one has been seen meanwhile. */
  deadlineReached(now: Instant, isFirstSeen: (frame: Uint8Array) => boolean): SentOn[] {
    this.#queue.expire(now);
    return this.#fragments
      .deadlineReached(now, isFirstSeen)
      .map((frame) => ({ frame, to: this.#self }));
  }
}
