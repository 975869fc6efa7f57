// Asks for owners of slots for which packets wait here (A15). The master asks itself. A member asks its master, in messages of bounded
// length and at a bounded rate, however many packets come: what does not fit is asked for with the next one.
import type { SlotRef } from "./assignment.ts";
import { MAX_SLOTS_WANTED } from "#wire/control/message.ts";

/** Between two messages. */
export const ASK_EVERY_MS = 20;

export interface SlotRequestsOptions {
  readonly isMaster: () => boolean;
  /** To this node's own controller. */
  readonly take: (slots: readonly SlotRef[]) => void;
  /** To the master; lost where there is no connection to one. */
  readonly send: (slots: readonly SlotRef[]) => void;
  /** Does it later; returns how to call it off. */
  readonly later: (delayMs: number, act: () => void) => () => void;
}

export class SlotRequests {
  readonly #options: SlotRequestsOptions;
  /** Not asked for yet; no more than there are slots. */
  readonly #open = new Map<string, SlotRef>();
  #callOff: (() => void) | undefined;

  constructor(options: SlotRequestsOptions) {
    this.#options = options;
  }

  /** Not to be called while effects are performed: the master's own answer comes at once. */
  ask(slots: readonly SlotRef[]): void {
    if (slots.length === 0) return;
    if (this.#options.isMaster()) return this.#options.take(slots);
    for (const slot of slots) this.#open.set(`${slot.slot} ${slot.group}`, slot);
    if (this.#callOff === undefined) this.#flush();
  }

  #flush(): void {
    this.#callOff = undefined;
    if (this.#open.size === 0) return;
    const asked = [...this.#open].slice(0, MAX_SLOTS_WANTED);
    for (const [key] of asked) this.#open.delete(key);
    const slots = asked.map(([, slot]) => slot);
    this.#callOff = this.#options.later(ASK_EVERY_MS, () => this.#flush());
    if (this.#options.isMaster()) this.#options.take(slots);
    else this.#options.send(slots);
  }

  close(): void {
    this.#callOff?.();
  }
}
