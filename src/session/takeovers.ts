// The connections on their way to this process: each asks its peer by a resumption (core/takeover) until the peer has said where it
// stands.
import type { HeardEvent } from "#driver/bpf/session-program.ts";
import type { HeldConnection } from "#core/takeover/replica.ts";
import {
  type ProbeSegment,
  Resumption,
  type ResumptionInput,
  type Resumed,
} from "#core/takeover/resumption.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { now } from "./clock.ts";
import { keyText } from "./key-text.ts";

/** What a restored socket can take before its application reads, in bytes; the kernel grows it. */
const FREE_RECEIVE_BUFFER = 65_535;
/** How often it is looked whose time to ask again has come, while anybody is on the way. */
const TICK_MS = 10;

export interface TakeoverActions {
  readonly probe: (segment: ProbeSegment) => void;
  readonly restore: (held: HeldConnection, resumed: Resumed) => void;
  readonly lost: (held: HeldConnection, reason: "reset" | "silent" | "incomplete") => void;
}

interface Underway {
  readonly held: HeldConnection;
  readonly resumption: Resumption;
}

export class Takeovers {
  readonly #actions: TakeoverActions;
  readonly #underway = new Map<string, Underway>();
  #timer: NodeJS.Timeout | undefined;

  constructor(actions: TakeoverActions) {
    this.#actions = actions;
  }

  has(key: ConnectionKey): boolean {
    return this.#underway.has(keyText(key));
  }

  begin(held: HeldConnection): void {
    const resumption = new Resumption(held, FREE_RECEIVE_BUFFER);
    const text = keyText(held.log.opened.initial.key);
    this.#underway.set(text, { held, resumption });
    this.#step(text, { type: "begin" });
  }

  /** A segment of a peer; of a connection that is held here only, it does not matter yet. */
  heard(event: HeardEvent): void {
    this.#step(keyText(event.key), { type: "peer", segment: event });
  }

  #step(text: string, input: ResumptionInput): void {
    const underway = this.#underway.get(text);
    if (underway === undefined) return;
    for (const effect of underway.resumption.step(now(), input)) {
      switch (effect.type) {
        case "probe":
          this.#actions.probe(effect.segment);
          break;
        case "restore":
          this.#underway.delete(text);
          this.#actions.restore(underway.held, effect.resumed);
          break;
        case "lost":
          this.#underway.delete(text);
          this.#actions.lost(underway.held, effect.reason);
          break;
      }
    }
    this.#watch();
  }

  #watch(): void {
    const isWanted = this.#underway.size > 0;
    if (isWanted === (this.#timer !== undefined)) return;
    clearInterval(this.#timer);
    this.#timer = isWanted ? setInterval(() => this.#tick(), TICK_MS) : undefined;
  }

  #tick(): void {
    for (const text of [...this.#underway.keys()]) this.#step(text, { type: "tick" });
  }

  close(): void {
    this.#underway.clear();
    this.#watch();
  }
}
