// The member that serves connections (A16, output commit). It tells every replica what happens on them, and says how far each connection
// is safe: the peer's bytes are acknowledged on the wire only up to there, so that what was acknowledged is never lost with a machine.
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
import { common, furthest, NOWHERE, type Place, placeOf, samePlace } from "./place.ts";
import { ReplicaLink } from "./replica-link.ts";

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
  | { readonly type: "send"; readonly to: NodeId; readonly message: OwnerMessage }
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
  readonly #links = new Map<NodeId, ReplicaLink>();
  #bytes = 0;
  #speaks = true;

  constructor(limits: TakeoverLimits = TAKEOVER_LIMITS) {
    this.#limits = limits;
  }

  get connections(): number {
    return this.#served.size;
  }

  get loggedBytes(): number {
    return this.#bytes;
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
    if (message.type === "handed") throw new RangeError("a connection is handed over by hand-over");
    return served.exposed ? [] : this.#log(served, message);
  }

  #open(log: ConnectionLog): OwnerEffect[] {
    const { connection } = log.opened;
    const exposed = this.#served.size >= this.#limits.connections;
    const served = { log, exposed, unsaid: exposed, committed: NOWHERE, handedTo: undefined };
    this.#served.set(connection, served);
    if (exposed) return this.#say(served);
    const told = [...this.#links].map(([to, link]): OwnerEffect => {
      link.sent(connection, NOWHERE);
      return { type: "send", to, message: log.opened };
    });
    return [...told, ...this.#whetherExposed(connection)];
  }

  #tellAll(to: NodeId, { log, handedTo }: Served): OwnerEffect[] {
    const link = this.#links.get(to);
    if (link === undefined) return [];
    const messages = [...log.messages()];
    if (handedTo === to) messages.push({ type: "handed", connection: log.opened.connection });
    return messages.map((message) => {
      link.sent(message.connection, placeOf(log));
      return { type: "send", to, message };
    });
  }

  #log(served: Served, message: LogMessage): OwnerEffect[] {
    const { log } = served;
    const before = log.bytes;
    if (!log.apply(message)) throw new RangeError(`${message.type} does not follow what happened`);
    this.#bytes += log.bytes - before;
    const { bytesPerConnection, bytes } = this.#limits;
    if (log.bytes > bytesPerConnection || this.#bytes > bytes) return this.#expose(served);
    return [...this.#tell(message, placeOf(log)), ...this.#settle(message.connection)];
  }

  /** The limit's rule: the connection goes on, and its replicas forget it rather than keep half of it. */
  #expose(served: Served): OwnerEffect[] {
    const { connection } = served.log.opened;
    this.#bytes -= served.log.bytes;
    served.exposed = true;
    served.unsaid = true;
    return [...this.#tellLast({ type: "closed", connection }), ...this.#say(served)];
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
    return this.#tellLast(message);
  }

  /** Everyone who holds the connection. */
  #tell(message: OwnerMessage, place: Place): OwnerEffect[] {
    const holders = [...this.#links].filter(([, link]) => link.held(message.connection));
    return holders.map(([to, link]) => {
      link.sent(message.connection, place);
      return { type: "send", to, message };
    });
  }

  #tellLast(message: Closed): OwnerEffect[] {
    const effects = this.#tell(message, NOWHERE);
    for (const link of this.#links.values()) link.forget(message.connection);
    return effects;
  }

  /** Says how far the connection is safe, when that has changed. */
  #settle(connection: ConnectionNumber): OwnerEffect[] {
    const served = this.#served.get(connection);
    if (served === undefined || served.exposed || !this.#speaks) return [];
    // What was said to be safe stays so while a replica that joined catches up.
    const place = furthest(served.committed, this.#safe(connection, served.log));
    if (samePlace(place, served.committed)) return [];
    served.committed = place;
    const { receiveNext: base } = served.log.opened.essential;
    const receiveNext = advance(base, place.input + (place.fin ? 1 : 0));
    const { input: inputOffset, output: outputOffset, states, end: outputEnded } = place;
    const known = { states, outputEnded };
    return [{ type: "commit", connection, inputOffset, receiveNext, outputOffset, ...known }];
  }

  /** What the slowest of its replicas holds; everything, where there is none. */
  #safe(connection: ConnectionNumber, log: ConnectionLog): Place {
    let safe = placeOf(log);
    for (const link of this.#links.values()) safe = common(safe, link.held(connection) ?? safe);
    return safe;
  }

  #joined(replica: NodeId): OwnerEffect[] {
    this.#links.set(replica, new ReplicaLink());
    const all = [...this.#served.values()].filter(({ exposed }) => !exposed);
    return all.flatMap((served) => this.#tellAll(replica, served));
  }

  #left(replica: NodeId): OwnerEffect[] {
    if (!this.#links.delete(replica)) return [];
    return [...this.#served.keys()].flatMap((connection) => [
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

  /** Order on the stream makes sure that who takes it knows it. */
  #handOver(connection: ConnectionNumber, to: NodeId): OwnerEffect[] {
    const served = this.#served.get(connection);
    const link = this.#links.get(to);
    if (served === undefined || served.exposed || served.handedTo !== undefined) return [];
    // Without a stream, or where it was refused, the connection stays where it is.
    if (link?.held(connection) === undefined) return [];
    served.handedTo = to;
    link.sent(connection, placeOf(served.log));
    const message: OwnerMessage = { type: "handed", connection };
    return [
      { type: "silence", connection },
      { type: "send", to, message },
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
    const isHeld = [...this.#links.values()].some((link) => link.held(connection) !== undefined);
    const exposed = this.#served.get(connection)?.exposed ?? true;
    return isHeld || exposed ? [] : [{ type: "exposed", connection, reason: "no-replica" }];
  }

  #answered(replica: NodeId, message: ReplicaMessage): OwnerEffect[] {
    const link = this.#links.get(replica);
    if (link === undefined) return [];
    if (message.type === "acknowledged") {
      return link.acknowledged(message.messages).flatMap((each) => this.#settle(each));
    }
    const { connection } = message;
    link.forget(connection);
    const served = this.#served.get(connection);
    if (served?.handedTo === replica) return this.#takeBack(served);
    return [...this.#settle(connection), ...this.#whetherExposed(connection)];
  }
}
