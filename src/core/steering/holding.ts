// What a node does with frames that its packet program holds (A15): it keeps them, asks for an owner of their slot, and says where they
// go once the tables that are in force here name one. Early fragments wait for what is decided about their first fragment.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { SlotRef } from "./assignment.ts";
import { HoldQueue, type HoldCounts, type HoldLimits } from "./hold-queue.ts";
import type { Tables } from "./tables.ts";

/** How often the memory of first fragments is asked while fragments wait: usually they are only out of order. */
export const FRAGMENT_RETRY_MS = 5;

/**
 * Every member gets a flooded frame, and not all look at it in the same moment. What comes here so soon after its slot was let go may be
 * what the old owner has taken just before: served twice, a connection ends in a reset. It is dropped; the client repeats it.
 */
export const DOUBTFUL_MS = 20;

/** One frame as it came from the packet program. */
export interface HeldFrame {
  readonly frame: Uint8Array;
  /** The slot that has no owner; undefined: an early fragment. */
  readonly slot: SlotRef | undefined;
}

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
  /** Not taken in: the old owner may have taken it. */
  readonly doubtful: number;
  readonly waiting: number;
  readonly waitingBytes: number;
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
  #unsent = 0;
  #doubtful = 0;
  /** Owners by group in the tables that are in force here. */
  #owners: ReadonlyMap<string, Uint16Array> = new Map();
  /** Slots that have lost their owner just now, and until when frames for them are doubtful. */
  readonly #letGo = new Map<string, Instant>();

  constructor(self: NodeId, limits?: HoldLimits) {
    this.#self = self;
    this.#queue = new HoldQueue(limits);
  }

  get counts(): HeldCounts {
    const { frames, bytes, counts } = this.#queue;
    return {
      ...counts,
      unsent: this.#unsent,
      doubtful: this.#doubtful,
      waiting: frames,
      waitingBytes: bytes,
    };
  }

  get deadline(): Instant | undefined {
    return earliest(this.#queue.deadline, this.#retryAt);
  }

  /** Keeps frames; answers the slots that are wanted, each once. */
  hold(now: Instant, frames: readonly HeldFrame[]): SlotRef[] {
    const wanted = new Map<string, SlotRef>();
    for (const { frame, slot } of frames) {
      const key = slot === undefined ? FRAGMENT : slotKey(slot);
      if (this.#isDoubtful(now, key)) {
        this.#doubtful += 1;
        continue;
      }
      if (!this.#queue.hold(now, key, frame)) continue;
      if (slot !== undefined) wanted.set(key, slot);
      else this.#retryAt ??= after(now, FRAGMENT_RETRY_MS);
    }
    return [...wanted.values()];
  }

  /** One that was released could not be sent. */
  unsent(): void {
    this.#unsent += 1;
  }

  /** These tables are in force here: frames whose slot has an owner go there. */
  installed(now: Instant, tables: Tables): SentOn[] {
    this.#noteLetGo(now, tables);
    return this.#decided(now, tables);
  }

  #isDoubtful(now: Instant, key: string): boolean {
    const until = this.#letGo.get(key);
    if (until === undefined || now < until) return until !== undefined;
    this.#letGo.delete(key);
    return false;
  }

  /** A dead owner takes nothing any more, but it is not worth telling apart here. */
  #noteLetGo(now: Instant, tables: Tables): void {
    for (const [key, until] of this.#letGo) if (now >= until) this.#letGo.delete(key);
    for (const { name, owners } of tables.groups) {
      const before = this.#owners.get(name);
      if (before === undefined || tables.delivery.method === "forward") continue;
      for (const [slot, owner] of owners.entries()) {
        const had = before[slot % before.length] ?? NO_NODE;
        if (owner !== NO_NODE || had === NO_NODE || had === this.#self) continue;
        this.#letGo.set(slotKey({ group: name, slot }), after(now, DOUBTFUL_MS));
      }
    }
    this.#owners = new Map(tables.groups.map(({ name, owners }) => [name, owners]));
  }

  #decided(now: Instant, tables: Tables): SentOn[] {
    const owners = new Map<string, NodeId>();
    for (const key of this.#queue.keys) {
      if (key === FRAGMENT) continue;
      const owner = ownerOf(tables, slotOfKey(key));
      if (owner !== NO_NODE) owners.set(key, owner);
    }
    if (owners.size === 0) return [];
    return this.#queue
      .release(now, ({ key }) => owners.has(key))
      .map(({ key, frame }) => ({ frame, to: owners.get(key) }));
  }

  /** Still wanted: a new master may not have heard of them. */
  get wanted(): SlotRef[] {
    return [...this.#queue.keys].filter((key) => key !== FRAGMENT).map(slotOfKey);
  }

  /** Drops what is too old, and lets go fragments whose first one has been seen meanwhile. */
  deadlineReached(now: Instant, isFirstSeen: (frame: Uint8Array) => boolean): SentOn[] {
    this.#queue.expire(now);
    if (this.#retryAt === undefined || now < this.#retryAt) return [];
    const taken = this.#queue.release(
      now,
      ({ key, frame }) => key === FRAGMENT && isFirstSeen(frame),
    );
    this.#retryAt = this.#queue.keys.has(FRAGMENT) ? after(now, FRAGMENT_RETRY_MS) : undefined;
    return taken.map(({ frame }) => ({ frame, to: this.#self }));
  }
}
