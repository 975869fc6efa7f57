// What this process holds and knows of others' sessions (A16), and those that it takes over: records in, a connection whose peer has said
// where it stands out. While a connection is here in any way, this machine's stack is kept out of it.
import type { NodeId } from "#base/ids.ts";
import { asOf } from "#core/takeover/clock.ts";
import { ConnectionLog } from "#core/takeover/connection-log.ts";
import {
  type Fetch,
  type HeldConnection,
  Replica,
  type ReplicaEffect,
  type ReplicaInput,
} from "#core/takeover/replica.ts";
import { type ProbeSegment, type Resumed, Resumption } from "#core/takeover/resumption.ts";
import type { HeardEvent } from "#driver/bpf/session-program.ts";
import { bareSegment } from "#wire/takeover/bare-segment.ts";
import type { Lacking, Passed, ToMember, Wanted } from "#wire/takeover/message.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { Figures } from "./figures.ts";
import { Fetches } from "./fetches.ts";
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
  readonly #fetches: Fetches;
  readonly #takeovers: Takeovers;
  readonly #shields = new Shields();
  #lost = 0;
  #fetched = 0;

  constructor(parts: EngineParts, figures: Figures, actions: HoldingActions) {
    this.#parts = parts;
    this.#figures = figures;
    this.#actions = actions;
    this.#fetches = new Fetches(parts.clock, {
      right: () => parts.program.right(),
      ask: (to, message) => parts.links.tell(to, message),
      fetched: (fetch, connection) => {
        this.#fetched += 1;
        this.#step({ type: "fetched", fetch, connection });
      },
      lost: (fetch) => this.#nobodyHas(fetch),
    });
    this.#takeovers = new Takeovers(parts.clock, {
      right: () => parts.program.right(),
      revoked: (held) => this.#revoked(held),
      standIn: (held) => parts.sockets.standIn(held),
      probe: (segment) => this.#probe(segment),
      restore: actions.resume,
      trouble: parts.trouble,
      lost: (held) => this.lose(held.log.opened.initial.key),
    });
  }

  /** Sessions of others. */
  get connections(): number {
    return this.#replica.connections;
  }

  /** Of these only others could say where they are. */
  get noted(): number {
    return this.#replica.noted;
  }

  /** Of what fell to this process it had to get so many from another member first. */
  get fetched(): number {
    return this.#fetched;
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
    return this.#takeovers.has(key) || this.#fetches.has(key);
  }

  /** A segment of a peer. */
  segment(event: HeardEvent): void {
    this.#takeovers.heard(event);
  }

  takeWaiting(key: ConnectionKey): readonly Uint8Array[] {
    return this.#takeovers.takeWaiting(key);
  }

  /** What owners tell, and whoever takes over asks. */
  heard(from: NodeId, messages: readonly ToMember[]): void {
    const told = messages.flatMap((each) => (each.type === "wanted" ? [] : [each]));
    if (told.length > 0) this.#step({ type: "told", owner: from, messages: told });
    for (const each of messages) if (each.type === "wanted") this.#wanted(from, each);
  }

  ownerBegan(owner: NodeId): void {
    this.#step({ type: "owner-gone", owner });
  }

  /** Another member is to go on with it. The record stays: that one may be gone before it has told of the connection itself. */
  #wanted(from: NodeId, { owner, connection }: Wanted): void {
    const { links, clock } = this.#parts;
    const held = links.isCurrent(owner) ? this.#replica.whole(owner, connection) : undefined;
    if (held === undefined) return links.answer(from, { type: "lacking", owner, connection });
    for (const each of held.log.copy()) {
      const message = asOf(clock.now(), held.clockAt, each);
      links.answer(from, { type: "passed", owner, message });
    }
  }

  /** A stream to a member is there, or is no more. */
  memberThere(member: NodeId): void {
    this.#fetches.memberThere(member);
  }

  memberLeft(member: NodeId): void {
    this.#fetches.memberLeft(member);
  }

  /** Of what this process has asked for. */
  answered(from: NodeId, message: Passed | Lacking): void {
    this.#fetches.answered(from, message);
  }

  #step(input: ReplicaInput): void {
    this.#perform(this.#replica.step(this.#parts.clock.now(), input));
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
        case "fetch":
          this.#fetch(effect.fetch);
          break;
      }
    }
  }

  /** Somebody else says that he serves it. Who took it over later is right. */
  #shield(key: ConnectionKey, generation: number): void {
    this.#shields.raise(key, generation);
    if (!this.#actions.givesWay(key, generation)) return;
    // Not there yet: an owner of the same generation is back before it was replaced.
    const underway = this.#takeovers.generationOf(key) ?? this.#fetches.generationOf(key);
    if (generation < (underway ?? 0)) return;
    this.#parts.program.hold(key, SILENT);
    // its record went with it
    if (this.#fetches.abandon(key)) this.#shields.lower(key);
    if (this.#takeovers.abandon(key)) this.#shields.lower(key);
    this.#figures.ended(key);
    this.#actions.replaced(key, generation);
  }

  /** One record of it less. */
  unshield(key: ConnectionKey): void {
    if (!this.#shields.lower(key)) return;
    const isUsed = this.#actions.isOwn(key) || this.isUnderway(key);
    if (!isUsed) this.#parts.program.release(key);
  }

  /** The owner serves them no more, and this node is to. */
  takeOver(owner: NodeId, isMine: (key: ConnectionKey) => boolean): void {
    if (!this.#parts.links.isCurrent(owner)) this.#step({ type: "outdated", owner });
    for (const { connection, initial, generation } of [...this.#replica.known(owner)]) {
      if (!isMine(initial.key) || !this.#shields.isLatest(initial.key, generation)) continue;
      this.#step({ type: "take", owner, connection });
    }
  }

  /** Work sets were lost: this node was cut off and took others for dead, or the next owner takes over what was on its way. */
  stopTaking(isMine: (key: ConnectionKey) => boolean): void {
    for (const fetch of this.#fetches.revoke((key) => !isMine(key))) {
      this.#figures.ended(fetch.opened.initial.key);
      this.#step({ type: "put-back-noted", fetch });
    }
    this.#takeovers.revoke((key) => !isMine(key));
  }

  #revoked(connection: HeldConnection): void {
    const { key } = connection.log.opened.initial;
    this.#figures.ended(key);
    this.#parts.program.hold(key, SILENT);
    this.#step({ type: "put-back", connection });
  }

  /** From now on other members are asked. What the peer sends waits. */
  #fetch(fetch: Fetch): void {
    const { key } = fetch.opened.initial;
    if (this.#actions.isServed(key) || this.isUnderway(key)) return this.unshield(key);
    this.#figures.began(key, this.#parts.clock.now());
    this.#fetches.begin(fetch);
  }

  /** What this process has handed over and nobody went on with. */
  takeBack(held: HeldConnection): void {
    const { initial, generation } = held.log.opened;
    this.#shields.raise(initial.key, generation);
    this.take(held, true);
  }

  /** From now on this node asks the peer. @param final there is no other owner */
  take(held: HeldConnection, final: boolean): void {
    const { key } = held.log.opened.initial;
    if (this.#actions.isServed(key) || this.isUnderway(key)) return this.unshield(key);
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

  #probe(segment: ProbeSegment): void {
    this.#parts.raw.send(segment.key.peer, bareSegment(probeOf(segment)));
  }

  /** Its peer is asked once more all the same: this machine's stack resets the connection by the peer's answer, and its client knows. */
  #nobodyHas({ opened, clockAt }: Fetch): void {
    this.lose(opened.initial.key);
    const question = new Resumption({ log: new ConnectionLog(opened), clockAt }, 0);
    for (const effect of question.step(this.#parts.clock.now(), { type: "begin" })) {
      if (effect.type === "probe") this.#probe(effect.segment);
    }
  }

  close(): void {
    this.#fetches.close();
    this.#takeovers.close();
  }
}
