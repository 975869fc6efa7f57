// What a node has decided before about a frame. steer() is a function of the frame, of the tables, and of what it asks its context;
// while the answers are the same, so is the verdict, and checkers look at the same flows again and again. What was asked is
// recorded with each verdict, so nothing here has to know what steer() depends on. One remembered verdict in a few
// is made anew, and must be the same.
import { assert } from "#base/assert.ts";
import { equalBytes } from "#base/bytes-map.ts";
import type { NodeId } from "#base/ids.ts";
import type { FragmentMemory } from "#core/steering/fragments.ts";
import type { IndexedTables } from "#core/steering/indexed-tables.ts";
import type { Flow } from "#core/steering/packet.ts";
import { type PipelineContext, steer } from "#core/steering/pipeline.ts";
import type { Action, Reason } from "#core/steering/reasons.ts";
import type { Tables } from "#core/steering/tables.ts";
import { senderOf, wayOf } from "#wire/ethernet-hop.ts";
import { packetIn, slotOfFrame } from "./frame-slot.ts";
import { changedSlots } from "./tables-bytes.ts";

/** One in so many. */
const MADE_ANEW = 64;
const MOST_FRAMES = 2000;
const MACS_LENGTH = 12;

/** How a frame comes to a node. */
export interface Arrival {
  /** Tells the arrivals at one node apart. Undefined: this one is like no other. */
  readonly key: number | undefined;
  /** Destination and source MAC. */
  readonly macs: Uint8Array;
}

export interface Step {
  readonly action: Action;
  readonly reason: Reason;
  /** How it arrives where it is sent to; of a frame that is forwarded. */
  readonly onwards: Arrival | undefined;
}

/** A context that notes what it is asked for. */
class Questions implements PipelineContext {
  readonly #program: PipelineContext;
  leasedWas: boolean | undefined;
  acceptingWas: boolean | undefined;
  flow: Flow | undefined;
  knewFlow = false;
  /** Something whose answer depends on more than can be compared. */
  isUnrepeatable = false;

  constructor(program: PipelineContext) {
    this.#program = program;
  }

  get tables(): IndexedTables {
    return this.#program.tables;
  }

  get self(): NodeId {
    return this.#program.self;
  }

  get mac(): Uint8Array {
    return this.#program.mac;
  }

  get leased(): boolean {
    this.leasedWas = this.#program.leased;
    return this.leasedWas;
  }

  get accepting(): boolean {
    this.acceptingWas = this.#program.accepting;
    return this.acceptingWas;
  }

  knows(flow: Flow): boolean {
    this.flow = flow;
    this.knewFlow = this.#program.knows(flow);
    return this.knewFlow;
  }

  noteSession(flow: Flow): void {
    this.isUnrepeatable = true;
    this.#program.noteSession(flow);
  }

  get fragments(): FragmentMemory {
    this.isUnrepeatable = true;
    return this.#program.fragments;
  }

  canHold(reason: Reason, length: number): boolean {
    this.isUnrepeatable = true;
    return this.#program.canHold(reason, length);
  }

  /** Whether all answers are still what they were. */
  areAnsweredAsBefore(): boolean {
    const { leasedWas, acceptingWas, flow } = this;
    const program = this.#program;
    if (leasedWas !== undefined && program.leased !== leasedWas) return false;
    if (acceptingWas !== undefined && program.accepting !== acceptingWas) return false;
    return flow === undefined || program.knows(flow) === this.knewFlow;
  }
}

interface Remembered {
  readonly macs: Uint8Array;
  readonly step: Step;
  readonly questions: Questions;
  /** Where the frame's flow falls into; null: nowhere. Undefined: nobody has asked yet. */
  place: Place | null | undefined;
}

const sameArrival = (a: Arrival | undefined, b: Arrival | undefined): boolean =>
  a === undefined || b === undefined ? a === b : equalBytes(a.macs, b.macs);

const sameStep = (a: Step, b: Step): boolean =>
  a.reason === b.reason && sameArrival(a.onwards, b.onwards);

/** As the next node sees it: from whom, after how many hops, and who has been asked. */
function arrivalOf(macs: Uint8Array): Arrival {
  const source = macs.subarray(MACS_LENGTH / 2);
  const { hop, asked } = wayOf(source);
  const key = (asked << 20) | (hop << 16) | senderOf(source);
  return { key: hop === 0 ? undefined : key, macs };
}

/** By length: the frame on which steer() works. */
const copies = new Map<number, Uint8Array>();

function copyOf(frame: Uint8Array): Uint8Array {
  const copy = copies.get(frame.byteLength) ?? new Uint8Array(frame.byteLength);
  copies.set(frame.byteLength, copy);
  copy.set(frame);
  return copy;
}

/** What is in a slot, and where that is. */
interface Place {
  readonly group: number;
  readonly slot: number;
}

/** A packet program as it is remembered. */
export interface Program extends PipelineContext {
  readonly installed: Tables;
}

export class SteeringMemory {
  readonly #program: Program;
  /** By arrival and frame, which is the same array each time. */
  readonly #known = new Map<number, Map<Uint8Array, Remembered>>();
  /** Of frames that are known, while tables differ in slots only. */
  readonly #places = new Map<Uint8Array, Place | null>();
  #used = 0;

  constructor(program: Program) {
    this.#program = program;
  }

  /**
   * There are new tables. Where these differ in some slots only, what was decided about flows of the other slots holds: of a
   * group, steer() asks for the slot of the flow.
   */
  replaced(before: Tables): void {
    const changed = changedSlots(before, this.#program.installed);
    if (changed === undefined) {
      for (const frames of this.#known.values()) frames.clear();
      this.#places.clear();
      return;
    }
    if (!changed.some((slots) => slots.includes(1))) return;
    for (const frames of this.#known.values()) {
      for (const [frame, remembered] of frames) {
        const place = (remembered.place ??= this.#placeOf(frame));
        if (place !== null && changed[place.group]?.[place.slot] === 1) frames.delete(frame);
      }
    }
  }

  #placeOf(frame: Uint8Array): Place | null {
    const known = this.#places.get(frame);
    if (known !== undefined) return known;
    const { tables, installed } = this.#program;
    const found = slotOfFrame(tables, frame);
    const place =
      found === undefined
        ? null
        : { group: installed.groups.indexOf(found.group), slot: found.slot };
    this.#places.set(frame, place);
    return place;
  }

  /** What steer() decides about a frame that arrives so. The frame itself is left as it is. */
  steer(frame: Uint8Array, arrival: Arrival): Step {
    const known = this.#recall(frame, arrival);
    if (known === undefined) return this.#decide(frame, arrival);
    this.#used += 1;
    if (this.#used % MADE_ANEW !== 0) return known.step;
    const anew = this.#decide(frame, arrival);
    assert(sameStep(anew, known.step), "steer() decides the same about the same");
    return anew;
  }

  #recall(frame: Uint8Array, { key, macs }: Arrival): Remembered | undefined {
    if (key === undefined) return undefined;
    const known = this.#known.get(key)?.get(frame);
    if (known === undefined || !known.questions.areAnsweredAsBefore()) return undefined;
    return known.macs === macs || equalBytes(known.macs, macs) ? known : undefined;
  }

  #decide(frame: Uint8Array, arrival: Arrival): Step {
    const { key, macs } = arrival;
    const copy = copyOf(frame);
    copy.set(macs);
    const questions = new Questions(this.#program);
    const { action, reason } = steer(copy, questions, packetIn(frame));
    const onwards = action === "forward" ? arrivalOf(copy.slice(0, MACS_LENGTH)) : undefined;
    const step = { action, reason, onwards };
    if (key !== undefined && !questions.isUnrepeatable) {
      this.#remember(frame, key, { macs, step, questions, place: undefined });
    }
    return step;
  }

  #remember(frame: Uint8Array, key: number, remembered: Remembered): void {
    let frames = this.#known.get(key);
    if (frames === undefined || frames.size >= MOST_FRAMES) {
      this.#places.clear();
      frames = new Map();
      this.#known.set(key, frames);
    }
    frames.set(frame, remembered);
  }
}
