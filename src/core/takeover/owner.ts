// The member that serves connections (A16, output commit). It tells their replicas what happens on them (spread.ts), and says how far each
// connection is safe: the peer's bytes are acknowledged on the wire only up to there, so that what was acknowledged is never lost with a
// machine.
//
// A planned hand-over (A8): this member falls silent, then tells the new owner that the connection is its own. Everybody's records stay
// until the new owner has told of the connection itself; should it be gone before, this member takes the connection back.
//
// Without the right to speak (ADR 29) nothing more is safe: others may go on with the connection from what they know.
import { advance } from "#base/sequence.ts";
import type { NodeId } from "#base/ids.ts";
import type {
  Closed,
  ConnectionNumber,
  OwnerMessage,
  ReplicaMessage,
} from "#wire/takeover/message.ts";
import { ConnectionLog, type LogMessage } from "./connection-log.ts";
import { TAKEOVER_LIMITS, type TakeoverLimits } from "./limits.ts";
import { furthest, NOWHERE, type Place, placeOf, samePlace } from "./place.ts";
import type { ReplicaCount } from "./replica-choice.ts";
import { type Send, Spread } from "./spread.ts";

export type OwnerInput =
  | { readonly type: "happened"; readonly message: OwnerMessage }
  /** A stream to a replica begins, or ends; its member may be well. */
  | { readonly type: "replica-joined" | "replica-left"; readonly replica: NodeId }
  /** It is no member any more: it speaks for nothing (ADR 8). */
  | { readonly type: "member-gone"; readonly member: NodeId }
  | { readonly type: "hand-over"; readonly connection: ConnectionNumber; readonly to: NodeId }
  /** The new owner has told of it. */
  | { readonly type: "taken"; readonly connection: ConnectionNumber }
  | { readonly type: "answered"; readonly replica: NodeId; readonly message: ReplicaMessage }
  /** Whether this member may speak from now on; as long as nothing is said of it, it may. */
  | { readonly type: "right"; readonly speaks: boolean };

export type ExposedReason = "no-replica" | "limit";

export type OwnerEffect =
  | Send
  /** Every replica holds the input up to here: it may be acknowledged to the peer, and answered. */
  | {
      readonly type: "commit";
      readonly connection: ConnectionNumber;
      readonly inputOffset: number;
      /** Sequence number that may be acknowledged; a FIN that the replicas know of counts. */
      readonly receiveNext: number;
      readonly outputOffset: number;
      /** How many of the connection's states they hold, and whether they know that its output ends. */
      readonly states: number;
      readonly outputEnded: boolean;
    }
  /** Nobody could take this connection over by now. It goes on. */
  | {
      readonly type: "exposed";
      readonly connection: ConnectionNumber;
      readonly reason: ExposedReason;
    }
  /** From now on this member says nothing on it, and its socket goes without a word. Comes before it is handed over. */
  | { readonly type: "silence"; readonly connection: ConnectionNumber }
  /** To be resumed here, from what this member knows: the one that it was handed to is gone, or would not have it. */
  | {
      readonly type: "take-back";
      readonly connection: ConnectionNumber;
      readonly log: ConnectionLog;
    };

interface Served {
  readonly log: ConnectionLog;
  /** No log is kept any more: a limit was reached. */
  exposed: boolean;
  /** That is not said yet. */
  unsaid: boolean;
  /** Last said. */
  committed: Place;
  /** Whom it was handed to, until that one tells of it. */
  handedTo: NodeId | undefined;
}

export class Owner {
  readonly #limits: TakeoverLimits;
  readonly #served = new Map<ConnectionNumber, Served>();
  readonly #spread: Spread;
  #bytes = 0;
  #speaks = true;

  constructor(replicas: ReplicaCount = "all", limits: TakeoverLimits = TAKEOVER_LIMITS) {
    this.#spread = new Spread(replicas);
    this.#limits = limits;
  }

  get connections(): number {
    return this.#served.size;
  }

  get loggedBytes(): number {
    return this.#bytes;
  }

  /** Connections that fewer members hold than are to. */
  get lackReplicas(): number {
    const protectedOnes = [...this.#served].filter(([, { exposed }]) => !exposed);
    return protectedOnes.filter(([connection]) => this.#spread.lacksReplicas(connection)).length;
  }

  /** Undefined: not served, or without protection. */
  logOf(connection: ConnectionNumber): ConnectionLog | undefined {
    const served = this.#served.get(connection);
    return served === undefined || served.exposed ? undefined : served.log;
  }

  step(input: OwnerInput): OwnerEffect[] {
    switch (input.type) {
      case "happened":
        return this.#happened(input.message);
      case "replica-joined":
        return this.#joined(input.replica);
      case "replica-left":
        return this.#left(input.replica);
      case "answered":
        return this.#answered(input.replica, input.message);
      case "member-gone":
        return this.#gone(input.member);
      case "hand-over":
        return this.#handOver(input.connection, input.to);
      case "taken":
        return this.#taken(input.connection);
      case "right":
        return this.#mayOrMayNot(input.speaks);
    }
  }

  #happened(message: OwnerMessage): OwnerEffect[] {
    if (message.type === "opened") return this.#open(new ConnectionLog(message));
    const served = this.#served.get(message.connection);
    // What a socket still says that has been handed over: the new owner knows better.
    if (served === undefined || served.handedTo !== undefined) return [];
    if (message.type === "closed") return this.#end(message, served);
    if (message.type === "handed" || message.type === "noted" || message.type === "whole") {
      throw new RangeError(`${message.type} is the owner's to say, and nothing that happens`);
    }
    return served.exposed ? [] : this.#log(served, message);
  }

  #open(log: ConnectionLog): OwnerEffect[] {
    const { connection } = log.opened;
    const exposed = this.#served.size >= this.#limits.connections;
    const served = { log, exposed, unsaid: exposed, committed: NOWHERE, handedTo: undefined };
    this.#served.set(connection, served);
    if (exposed) return this.#say(served);
    return [...this.#spread.opened(log), ...this.#whetherExposed(connection)];
  }

  #log(served: Served, message: LogMessage): OwnerEffect[] {
    const { log } = served;
    const before = log.bytes;
    if (!log.apply(message)) throw new RangeError(`${message.type} does not follow what happened`);
    this.#bytes += log.bytes - before;
    const { bytesPerConnection, bytes } = this.#limits;
    if (log.bytes > bytesPerConnection || this.#bytes > bytes) return this.#expose(served);
    return [...this.#spread.tell(message, placeOf(log)), ...this.#settle(message.connection)];
  }

  /** The limit's rule: the connection goes on, and its replicas forget it rather than keep half of it. */
  #expose(served: Served): OwnerEffect[] {
    const { connection } = served.log.opened;
    this.#bytes -= served.log.bytes;
    served.exposed = true;
    served.unsaid = true;
    return [...this.#spread.tellLast({ type: "closed", connection }), ...this.#say(served)];
  }

  /** Whoever hears it no longer waits for replicas, so it is kept back like what is safe. */
  #say(served: Served): OwnerEffect[] {
    if (!served.unsaid || !this.#speaks) return [];
    served.unsaid = false;
    return [{ type: "exposed", connection: served.log.opened.connection, reason: "limit" }];
  }

  /** What was kept back is said when the right is there again, as far as it still holds then. */
  #mayOrMayNot(speaks: boolean): OwnerEffect[] {
    if (speaks === this.#speaks) return [];
    this.#speaks = speaks;
    return [...this.#served].flatMap(([connection, served]) => [
      ...this.#settle(connection),
      ...this.#say(served),
    ]);
  }

  #end(message: Closed, served: Served): OwnerEffect[] {
    this.#served.delete(message.connection);
    if (served.exposed) return [];
    this.#bytes -= served.log.bytes;
    return this.#spread.tellLast(message);
  }

  /** Says how far the connection is safe, when that has changed. */
  #settle(connection: ConnectionNumber): OwnerEffect[] {
    const served = this.#served.get(connection);
    if (served === undefined || served.exposed || !this.#speaks) return [];
    // What was said to be safe stays so while a replica that joined catches up.
    const place = furthest(served.committed, this.#spread.safe(served.log));
    if (samePlace(place, served.committed)) return [];
    served.committed = place;
    const { receiveNext: base } = served.log.opened.essential;
    const receiveNext = advance(base, place.input + (place.fin ? 1 : 0));
    const { input: inputOffset, output: outputOffset, states, end: outputEnded } = place;
    const known = { states, outputEnded };
    return [{ type: "commit", connection, inputOffset, receiveNext, outputOffset, ...known }];
  }

  #joined(replica: NodeId): OwnerEffect[] {
    this.#spread.joined(replica);
    return [...this.#served.values()].flatMap((served): OwnerEffect[] => {
      const told = this.#spreadAgain(served);
      if (served.handedTo !== replica || served.exposed) return told;
      const { log } = served;
      const handed = { type: "handed", connection: log.opened.connection } as const;
      return [...told, ...this.#spread.tellOne(replica, handed, log)];
    });
  }

  /** Other members are to hold it than do. */
  #spreadAgain({ log, exposed, handedTo }: Served): OwnerEffect[] {
    return exposed ? [] : this.#spread.settle(log, handedTo);
  }

  #left(replica: NodeId): OwnerEffect[] {
    if (!this.#spread.left(replica)) return [];
    return [...this.#served].flatMap(([connection, served]) => [
      ...this.#spreadAgain(served),
      ...this.#settle(connection),
      ...this.#whetherExposed(connection),
    ]);
  }

  #gone(member: NodeId): OwnerEffect[] {
    return [
      ...this.#left(member),
      ...[...this.#served.values()].flatMap((served) =>
        served.handedTo === member ? this.#takeBack(served) : [],
      ),
    ];
  }

  /** Order on the stream makes sure that who takes it holds it: one that did not is told everything first. */
  #handOver(connection: ConnectionNumber, to: NodeId): OwnerEffect[] {
    const served = this.#served.get(connection);
    if (served === undefined || served.exposed || served.handedTo !== undefined) return [];
    // Others may have it by now, and know more.
    if (!this.#speaks) return [];
    // Without a stream, or where it was refused, the connection stays where it is.
    if (!this.#spread.wouldTake(to, connection)) return [];
    served.handedTo = to;
    const copied = this.#spread.settle(served.log, to);
    const handed = { type: "handed", connection } as const;
    return [
      { type: "silence", connection },
      ...copied,
      ...this.#spread.tellOne(to, handed, served.log),
    ];
  }

  #taken(connection: ConnectionNumber): OwnerEffect[] {
    const served = this.#served.get(connection);
    return served === undefined ? [] : this.#end({ type: "closed", connection }, served);
  }

  #takeBack({ log }: Served): OwnerEffect[] {
    const { connection } = log.opened;
    log.rewind();
    return [{ type: "take-back", connection, log }, ...this.#taken(connection)];
  }

  #whetherExposed(connection: ConnectionNumber): OwnerEffect[] {
    const exposed = this.#served.get(connection)?.exposed ?? true;
    const isSaid = exposed || this.#spread.isHeld(connection);
    return isSaid ? [] : [{ type: "exposed", connection, reason: "no-replica" }];
  }

  #answered(replica: NodeId, message: ReplicaMessage): OwnerEffect[] {
    if (message.type === "refused") return this.#refused(replica, message.connection);
    return this.#spread.acknowledged(replica, message.messages).flatMap((each) => {
      const served = this.#served.get(each.connection);
      const isMoved = served !== undefined && each.completed;
      return [...(isMoved ? this.#spreadAgain(served) : []), ...this.#settle(each.connection)];
    });
  }

  #refused(replica: NodeId, connection: ConnectionNumber): OwnerEffect[] {
    const served = this.#served.get(connection);
    if (served === undefined || served.exposed) return [];
    this.#spread.refused(replica, connection);
    if (served.handedTo === replica) return this.#takeBack(served);
    return [
      ...this.#spreadAgain(served),
      ...this.#settle(connection),
      ...this.#whetherExposed(connection),
    ];
  }
}
