// What this process holds of others' sessions (A16), and those that it takes over: records in, a connection whose peer has said where it
// stands out. While a connection is here in either way, this machine's stack is kept out of it.
import type { NodeId } from "#base/ids.ts";
import { type HeldConnection, Replica, type ReplicaEffect } from "#core/takeover/replica.ts";
import type { Resumed } from "#core/takeover/resumption.ts";
import type { HeardEvent } from "#driver/bpf/session-program.ts";
import { bareSegment } from "#wire/takeover/bare-segment.ts";
import type { OwnerMessage } from "#wire/takeover/message.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { Figures } from "./figures.ts";
import { probeOf } from "./serving.ts";
import { HELD, Shields, SILENT } from "./shields.ts";
import { Takeovers } from "./takeovers.ts";

export interface HoldingActions {
  /** Whether this process serves the connection or has handed it over. */
  readonly isOwn: (key: ConnectionKey) => boolean;
  readonly isServed: (key: ConnectionKey) => boolean;
  /** Another member says that it serves it: false when this process does, and with more right. */
  readonly givesWay: (key: ConnectionKey, generation: number) => boolean;
  /** That other member does. */
  readonly replaced: (key: ConnectionKey, generation: number) => void;
  /** At the numbers that the peer has said. */
  readonly resume: (held: HeldConnection, resumed: Resumed) => void;
}

export class Holding {
  readonly #parts: EngineParts;
  readonly #figures: Figures;
  readonly #actions: HoldingActions;
  readonly #replica = new Replica();
  readonly #takeovers: Takeovers;
  readonly #shields = new Shields();
  #lost = 0;

  constructor(parts: EngineParts, figures: Figures, actions: HoldingActions) {
    this.#parts = parts;
    this.#figures = figures;
    this.#actions = actions;
    this.#takeovers = new Takeovers(parts.clock, {
      right: () => parts.program.right(),
      revoked: (held) => this.#revoked(held),
      standIn: (held) => parts.sockets.standIn(held),
      probe: (segment) => parts.raw.send(segment.key.peer, bareSegment(probeOf(segment))),
      restore: actions.resume,
      lost: (held) => this.lose(held.log.opened.initial.key),
    });
  }

  /** Sessions of others. */
  get connections(): number {
    return this.#replica.connections;
  }

  get lost(): number {
    return this.#lost;
  }

  /** Whether others told of it. */
  has(key: ConnectionKey): boolean {
    return this.#shields.has(key);
  }

  /** Undefined: nobody told of it. */
  generationOf(key: ConnectionKey): number | undefined {
    return this.#shields.generationOf(key);
  }

  isUnderway(key: ConnectionKey): boolean {
    return this.#takeovers.has(key);
  }

  /** A segment of a peer. */
  segment(event: HeardEvent): void {
    this.#takeovers.heard(event);
  }

  takeWaiting(key: ConnectionKey): readonly Uint8Array[] {
    return this.#takeovers.takeWaiting(key);
  }

  /** What owners tell. */
  heard(owner: NodeId, messages: readonly OwnerMessage[]): void {
    this.#perform(this.#replica.step(this.#parts.clock.now(), { type: "told", owner, messages }));
  }

  ownerBegan(owner: NodeId): void {
    this.#perform(this.#replica.step(this.#parts.clock.now(), { type: "owner-gone", owner }));
  }

  #perform(effects: readonly ReplicaEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "answer":
          this.#parts.links.answer(effect.to, effect.message);
          break;
        case "shield":
          this.#shield(effect.key, effect.generation);
          break;
        case "unshield":
          this.unshield(effect.key);
          break;
        case "resume":
          this.take(effect.connection, effect.handed);
          break;
      }
    }
  }

  /** Somebody else says that he serves it. Who took it over later is right. */
  #shield(key: ConnectionKey, generation: number): void {
    this.#shields.raise(key, generation);
    if (!this.#actions.givesWay(key, generation)) return;
    // Not there yet: an owner of the same generation is back before it was replaced.
    if (generation < (this.#takeovers.generationOf(key) ?? 0)) return;
    this.#parts.program.hold(key, SILENT);
    this.#takeovers.abandon(key);
    this.#figures.ended(key);
    this.#actions.replaced(key, generation);
  }

  /** One record of it less. */
  unshield(key: ConnectionKey): void {
    if (!this.#shields.lower(key)) return;
    const isUsed = this.#actions.isOwn(key) || this.#takeovers.has(key);
    if (!isUsed) this.#parts.program.release(key);
  }

  /** The owner serves them no more, and this node is to. */
  takeOver(owner: NodeId, isMine: (key: ConnectionKey) => boolean): void {
    for (const [connection, { log }] of [...this.#replica.held(owner)]) {
      const { initial, generation } = log.opened;
      if (!isMine(initial.key) || !this.#shields.isLatest(initial.key, generation)) continue;
      const now = this.#parts.clock.now();
      this.#perform(this.#replica.step(now, { type: "take", owner, connection }));
    }
  }

  /** Work sets were lost: this node was cut off and took others for dead, or the next owner takes over what was on its way. */
  stopTaking(isMine: (key: ConnectionKey) => boolean): void {
    this.#takeovers.revoke((key) => !isMine(key));
  }

  #revoked(connection: HeldConnection): void {
    const { key } = connection.log.opened.initial;
    this.#figures.ended(key);
    this.#parts.program.hold(key, SILENT);
    this.#perform(this.#replica.step(this.#parts.clock.now(), { type: "put-back", connection }));
  }

  /** From now on this node asks the peer. @param final there is no other owner */
  take(held: HeldConnection, final: boolean): void {
    const { key } = held.log.opened.initial;
    if (this.#actions.isServed(key) || this.#takeovers.has(key)) return this.unshield(key);
    this.#parts.program.hold(key, HELD);
    this.#figures.began(key, this.#parts.clock.now());
    this.#takeovers.begin(held, final);
  }

  /** It cannot be gone on with: whatever its peer sends, this machine's stack answers. */
  lose(key: ConnectionKey): void {
    this.#lost += 1;
    this.#figures.ended(key);
    this.unshield(key);
  }

  close(): void {
    this.#takeovers.close();
  }
}
