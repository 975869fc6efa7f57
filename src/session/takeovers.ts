// The connections on their way to this process: each asks its peer by a resumption (core/takeover) until the peer has said where it
// stands. What the peer sends meanwhile waits.
import type { HeldConnection } from "#core/takeover/replica.ts";
import {
  type ProbeSegment,
  Resumption,
  type ResumptionInput,
  type Resumed,
} from "#core/takeover/resumption.ts";
import { WaitingPackets } from "#core/takeover/waiting-packets.ts";
import type { HeardEvent, RightToSpeak } from "#driver/bpf/session-program.ts";
import { completeChecksum } from "#wire/takeover/kept-packet.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { type Clock, Recurring } from "./clock.ts";
import { keyText } from "./key-text.ts";

/** What a restored socket can take before its application reads, in bytes; the kernel grows it. */
const FREE_RECEIVE_BUFFER = 65_535;
/** How often it is looked whose time to ask again has come, while anybody is on the way. */
const TICK_MS = 10;

export interface TakeoverActions {
  /** Nobody is asked, and no answer is believed, while this node may not speak (docs/adr/0029). */
  readonly right: () => RightToSpeak;
  /** It was begun before this node was on its own, or is another's now: who is to take it over is decided anew. */
  readonly revoked: (held: HeldConnection) => void;
  /** Answers what removes it: it goes before the connection is restored. Throws where the kernel would not have it. */
  readonly standIn: (held: HeldConnection) => () => void;
  readonly probe: (segment: ProbeSegment) => void;
  readonly restore: (held: HeldConnection, resumed: Resumed) => void;
  readonly trouble: (error: Error) => void;
  readonly lost: (held: HeldConnection, reason: "reset" | "silent" | "incomplete") => void;
}

interface Underway {
  readonly held: HeldConnection;
  readonly final: boolean;
  readonly tenure: number;
  readonly dismiss: () => void;
  readonly resumption: Resumption;
}

export class Takeovers {
  readonly #clock: Clock;
  readonly #actions: TakeoverActions;
  readonly #underway = new Map<string, Underway>();
  readonly #waiting = new WaitingPackets();
  readonly #ticking: Recurring;

  constructor(clock: Clock, actions: TakeoverActions) {
    this.#clock = clock;
    this.#actions = actions;
    this.#ticking = new Recurring(clock, TICK_MS, () => this.#tick());
  }

  has(key: ConnectionKey): boolean {
    return this.#underway.has(keyText(key));
  }

  /** Of the connection's record; undefined: it is not on its way. */
  generationOf(key: ConnectionKey): number | undefined {
    return this.#underway.get(keyText(key))?.held.log.opened.generation;
  }

  /** @param final there is no other owner: it is not given up because work sets move */
  begin(held: HeldConnection, final: boolean): void {
    const resumption = new Resumption(held, FREE_RECEIVE_BUFFER);
    const text = keyText(held.log.opened.initial.key);
    const { tenure } = this.#actions.right();
    const dismiss = this.#standIn(held);
    this.#underway.set(text, { held, resumption, final, tenure, dismiss });
    this.#step(text, { type: "tick" });
  }

  /** Without one the peer's answers may go to a former owner. It is asked again and again all the same, and that one is forgotten. */
  #standIn(held: HeldConnection): () => void {
    try {
      return this.#actions.standIn(held);
    } catch (error) {
      this.#actions.trouble(error as Error);
      return () => {};
    }
  }

  /** A segment of a peer. Of a connection that is held here only: this node may be about to hear that it is to take it over. */
  heard(event: HeardEvent): void {
    const text = keyText(event.key);
    if (event.packet !== undefined) this.#waiting.keep(this.#clock.now(), text, event.packet);
    this.#step(text, { type: "peer", segment: event });
  }

  /** What the peer sent while its connection was on the way, ready for this machine's stack. */
  takeWaiting(key: ConnectionKey): readonly Uint8Array[] {
    const packets = this.#waiting.take(this.#clock.now(), keyText(key));
    return packets.filter((packet) => completeChecksum(packet));
  }

  #step(text: string, input: ResumptionInput): void {
    const underway = this.#underway.get(text);
    if (underway === undefined) return;
    const { speaks, tenure } = this.#actions.right();
    if (!underway.final && underway.tenure !== tenure) this.#revoke(text, underway);
    else if (speaks) this.#ask(text, underway, input);
    this.#watch();
  }

  #ask(text: string, underway: Underway, input: ResumptionInput): void {
    const { resumption } = underway;
    const now = this.#clock.now();
    const begun = resumption.isBegun ? [] : resumption.step(now, { type: "begin" });
    for (const effect of [...begun, ...resumption.step(now, input)]) {
      switch (effect.type) {
        case "probe":
          this.#actions.probe(effect.segment);
          break;
        case "restore":
          this.#end(text);
          this.#actions.restore(underway.held, effect.resumed);
          break;
        case "lost":
          this.#end(text);
          this.#actions.lost(underway.held, effect.reason);
          break;
      }
    }
  }

  /** Those on their way here because their owner was taken for dead, and that are another's now. */
  revoke(isOthers: (key: ConnectionKey) => boolean): void {
    for (const [text, underway] of [...this.#underway]) {
      const { final, held } = underway;
      if (!final && isOthers(held.log.opened.initial.key)) this.#revoke(text, underway);
    }
    this.#watch();
  }

  #revoke(text: string, { held }: Underway): void {
    this.#end(text);
    this.#actions.revoked(held);
  }

  /** Another member has it after all. False: it was not on its way here. */
  abandon(key: ConnectionKey): boolean {
    const wasUnderway = this.has(key);
    this.#end(keyText(key));
    this.#watch();
    return wasUnderway;
  }

  #end(text: string): void {
    this.#underway.get(text)?.dismiss();
    this.#underway.delete(text);
  }

  #watch(): void {
    this.#ticking.want(this.#underway.size > 0);
  }

  #tick(): void {
    for (const text of [...this.#underway.keys()]) this.#step(text, { type: "tick" });
  }

  close(): void {
    for (const text of [...this.#underway.keys()]) this.#end(text);
    this.#watch();
  }
}
