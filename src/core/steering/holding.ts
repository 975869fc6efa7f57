// What a node does with frames that its packet program holds (A15): it keeps them, asks for an owner of their slot, and says where they
// go once the tables that are in force here name one. Early fragments wait beside them for what is decided about their first fragment.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { SlotRef } from "./assignment.ts";
import { EarlyFragments } from "./early-fragments.ts";
import { HOLD_LIMITS, HoldQueue, type HoldCounts, type HoldLimits } from "./hold-queue.ts";
import type { Tables } from "./tables.ts";

/**
 * Every member gets a flooded frame, and not all look at it in the same moment. What comes here so soon after its slot was let go may be
 * what the old owner has taken just before: served twice, a connection ends in a reset. It is dropped; the client repeats it.
 */
export const DOUBTFUL_MS = 20;

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
  /** Not taken in: the old owner may have taken it. */
  readonly doubtful: number;
  readonly waiting: number;
  readonly waitingBytes: number;
}

const slotKey = ({ group, slot }: SlotRef): string => `${slot} ${group}`;

function slotOfKey(key: string): SlotRef {
  const space = key.indexOf(" ");
  return { slot: Number(key.slice(0, space)), group: key.slice(space + 1) };
}

export class Holding {
  readonly #self: NodeId;
  /** By slot. */
  readonly #queue: HoldQueue;
  readonly #fragments: EarlyFragments;
  #unsent = 0;
  #doubtful = 0;
  /** Owners by group in the tables that are in force here. */
  #owners: ReadonlyMap<string, Uint16Array> = new Map();
  /** Slots that have lost their owner just now, and until when frames for them are doubtful. */
  readonly #letGo = new Map<string, Instant>();

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
      doubtful: this.#doubtful,
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
      if (this.#isDoubtful(now, key)) {
        this.#doubtful += 1;
        continue;
      }
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
    this.#noteLetGo(now, tables);
    return this.decided(now);
  }

  /** By the tables in force: one that came after its slot got its owner would wait for the next ones. */
  decided(now: Instant): SentOn[] {
    const owners = new Map<string, NodeId>();
    for (const key of this.#queue.keys) {
      const { group, slot } = slotOfKey(key);
      const owner = (this.#owners.get(group)?.[slot] ?? NO_NODE) as NodeId;
      if (owner !== NO_NODE) owners.set(key, owner);
    }
    if (owners.size === 0) return [];
    return this.#queue
      .release(now, ({ key }) => owners.has(key))
      .map(({ key, frame }) => ({ frame, to: owners.get(key) }));
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
