// What a node does with frames that its packet program holds (A15): it keeps them, asks for an owner of their slot, and says where they
// go once the tables that are in force here name one. Early fragments wait for what is decided about their first fragment.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { SlotRef } from "./assignment.ts";
import { HoldQueue, type HoldCounts, type HoldLimits } from "./hold-queue.ts";
import type { Tables } from "./tables.ts";

/** How often the memory of first fragments is asked while fragments wait: usually they are only out of order. */
export const FRAGMENT_RETRY_MS = 5;

/** One frame as it came from the packet program. */
export interface HeldFrame {
  readonly frame: Uint8Array;
  /** The slot that has no owner; undefined: an early fragment. */
  readonly slot: SlotRef | undefined;
}

/** A frame that goes on: to this node's own packet program, or to another node with that hop. */
export interface SentOn {
  readonly frame: Uint8Array;
  readonly to: NodeId;
  readonly hop: number;
}

/** What was decided about a first fragment; node 0: it stays here. */
export interface FirstFragment {
  readonly node: NodeId;
  readonly hop: number;
}

const slotKey = ({ group, slot }: SlotRef): string => `${slot} ${group}`;
const FRAGMENT = "fragment";

function slotOfKey(key: string): SlotRef {
  const space = key.indexOf(" ");
  return { slot: Number(key.slice(0, space)), group: key.slice(space + 1) };
}

const ownerOf = (tables: Tables, { group, slot }: SlotRef): NodeId =>
  (tables.groups.find(({ name }) => name === group)?.owners[slot] ?? NO_NODE) as NodeId;

export class Holding {
  readonly #self: NodeId;
  readonly #queue: HoldQueue;
  #retryAt: Instant | undefined;

  constructor(self: NodeId, limits?: HoldLimits) {
    this.#self = self;
    this.#queue = new HoldQueue(limits);
  }

  get counts(): HoldCounts & { readonly waiting: number; readonly waitingBytes: number } {
    const { frames, bytes, counts } = this.#queue;
    return { ...counts, waiting: frames, waitingBytes: bytes };
  }

  get deadline(): Instant | undefined {
    return earliest(this.#queue.deadline, this.#retryAt);
  }

  /** Keeps frames; answers the slots that are wanted, each once. */
  hold(now: Instant, frames: readonly HeldFrame[]): SlotRef[] {
    const wanted = new Map<string, SlotRef>();
    for (const { frame, slot } of frames) {
      const key = slot === undefined ? FRAGMENT : slotKey(slot);
      if (!this.#queue.hold(now, key, frame)) continue;
      if (slot !== undefined) wanted.set(key, slot);
      else this.#retryAt ??= after(now, FRAGMENT_RETRY_MS);
    }
    return [...wanted.values()];
  }

  /** These tables are in force here: frames whose slot has an owner go there. */
  installed(now: Instant, tables: Tables): SentOn[] {
    const owners = new Map<string, NodeId>();
    for (const key of this.#queue.keys) {
      if (key === FRAGMENT) continue;
      const owner = ownerOf(tables, slotOfKey(key));
      if (owner !== NO_NODE) owners.set(key, owner);
    }
    if (owners.size === 0) return [];
    return this.#queue
      .release(now, ({ key }) => owners.has(key))
      .map(({ key, frame }) => ({ frame, to: owners.get(key) ?? NO_NODE, hop: 1 }));
  }

  /** Still wanted: a new master may not have heard of them. */
  get wanted(): SlotRef[] {
    return [...this.#queue.keys].filter((key) => key !== FRAGMENT).map(slotOfKey);
  }

  /** Lets go what is too old, and fragments whose first one has been seen meanwhile. */
  deadlineReached(
    now: Instant,
    firstOf: (frame: Uint8Array) => FirstFragment | undefined,
  ): SentOn[] {
    this.#queue.expire(now);
    if (this.#retryAt === undefined || now < this.#retryAt) return [];
    const decisions = new Map<Uint8Array, FirstFragment>();
    const taken = this.#queue.release(now, ({ key, frame }) => {
      const decision = key === FRAGMENT ? firstOf(frame) : undefined;
      if (decision !== undefined) decisions.set(frame, decision);
      return decision !== undefined;
    });
    this.#retryAt = this.#queue.keys.has(FRAGMENT) ? after(now, FRAGMENT_RETRY_MS) : undefined;
    return taken.map(({ frame }) => {
      const { node, hop } = decisions.get(frame) ?? { node: NO_NODE, hop: 0 };
      return { frame, to: node === NO_NODE ? this.#self : node, hop };
    });
  }
}
