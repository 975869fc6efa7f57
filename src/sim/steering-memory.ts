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
import { SOURCE } from "#wire/ethernet.ts";
import { senderOf, wayOf } from "#wire/ethernet-hop.ts";
import type { ClientFrame } from "./client-frame.ts";
import { slotOfFrame } from "./frame-slot.ts";
import { changedSlots } from "./tables-bytes.ts";

/** One in so many. */
const MADE_ANEW = 64;
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
  /** Seats are taken again. */
  readonly frame: ClientFrame;
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
  const { hop, asked } = wayOf(macs, SOURCE);
  const key = (asked << 20) | (hop << 16) | senderOf(macs, SOURCE);
  return { key: hop === 0 ? undefined : key, macs };
}

/** By length: the frame on which steer() works. */
const copies = new Map<number, Uint8Array>();

function copyOf({ bytes }: ClientFrame): Uint8Array {
  const copy = copies.get(bytes.byteLength) ?? new Uint8Array(bytes.byteLength);
  copies.set(bytes.byteLength, copy);
  copy.set(bytes);
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
  /** By arrival and the frame's seat. */
  readonly #known = new Map<number, (Remembered | undefined)[]>();
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
      this.#known.clear();
      return;
    }
    if (!changed.some((slots) => slots.includes(1))) return;
    for (const seats of this.#known.values()) {
      for (let seat = 0; seat < seats.length; seat++) {
        const remembered = seats[seat];
        if (remembered === undefined) continue;
        const place = (remembered.place ??= this.#placeOf(remembered.frame));
        if (place !== null && changed[place.group]?.[place.slot] === 1) seats[seat] = undefined;
      }
    }
  }

  #placeOf(frame: ClientFrame): Place | null {
    const { tables, installed } = this.#program;
    const found = slotOfFrame(tables, frame);
    if (found === undefined) return null;
    return { group: installed.groups.indexOf(found.group), slot: found.slot };
  }

  /** What steer() decides about a frame that arrives so. The frame itself is left as it is. */
  steer(frame: ClientFrame, arrival: Arrival): Step {
    const known = this.#recall(frame, arrival);
    if (known === undefined) return this.#decide(frame, arrival);
    this.#used += 1;
    if (this.#used % MADE_ANEW !== 0) return known.step;
    const anew = this.#decide(frame, arrival);
    assert(sameStep(anew, known.step), "steer() decides the same about the same");
    return anew;
  }

  #recall(frame: ClientFrame, { key, macs }: Arrival): Remembered | undefined {
    if (key === undefined || frame.seat === undefined) return undefined;
    const known = this.#known.get(key)?.[frame.seat];
    if (known?.frame !== frame || !known.questions.areAnsweredAsBefore()) return undefined;
    return known.macs === macs || equalBytes(known.macs, macs) ? known : undefined;
  }

  #decide(frame: ClientFrame, arrival: Arrival): Step {
    const { key, macs } = arrival;
    const copy = copyOf(frame);
    copy.set(macs);
    const questions = new Questions(this.#program);
    const { action, reason } = steer(copy, questions, frame.packet);
    const onwards = action === "forward" ? arrivalOf(copy.slice(0, MACS_LENGTH)) : undefined;
    const step = { action, reason, onwards };
    if (key !== undefined && frame.seat !== undefined && !questions.isUnrepeatable) {
      this.#seatsOf(key)[frame.seat] = { frame, macs, step, questions, place: undefined };
    }
    return step;
  }

  #seatsOf(key: number): (Remembered | undefined)[] {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const seats: (Remembered | undefined)[] = [];
    this.#known.set(key, seats);
    return seats;
  }
}
