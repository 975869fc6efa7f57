// The members that could take connections over (A16): what their owners told them, by owner. While a record is here, the packets of its
// connection are kept from this machine's stack, which knows nothing of it and would answer with a reset.
import type { NodeId } from "#base/ids.ts";
import type { Instant } from "#base/time.ts";
import type {
  ConnectionNumber,
  OwnerMessage,
  RefusalReason,
  ReplicaMessage,
} from "#wire/takeover/message.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { ConnectionLog } from "./connection-log.ts";
import { TAKEOVER_LIMITS, type TakeoverLimits } from "./limits.ts";

export type ReplicaInput =
  /** What one read of the owner's stream brought: answered at once, and once. */
  | { readonly type: "told"; readonly owner: NodeId; readonly messages: readonly OwnerMessage[] }
  /** The owner serves this connection no more (dead, or its slot has moved), and this node is to. */
  | { readonly type: "take"; readonly owner: NodeId; readonly connection: ConnectionNumber }
  /** One that was taken is not resumed after all: it is decided anew who is to. */
  | { readonly type: "put-back"; readonly connection: HeldConnection }
  /** The owner's process has begun anew, or its connections are others' now. */
  | { readonly type: "owner-gone"; readonly owner: NodeId };

export type ReplicaEffect =
  | { readonly type: "answer"; readonly to: NodeId; readonly message: ReplicaMessage }
  /** Packets of this connection never reach the stack; or do again. */
  | { readonly type: "shield"; readonly key: ConnectionKey; readonly generation: number }
  | { readonly type: "unshield"; readonly key: ConnectionKey }
  /** To be resumed here. The shield stays until it is. */
  | {
      readonly type: "resume";
      readonly owner: NodeId;
      readonly connection: HeldConnection;
      /** Its owner has said so itself: nobody else has it. */
      readonly handed: boolean;
    };

export interface ReplicaCounts {
  /** Connections that a limit kept from being held. */
  readonly refused: number;
  /** Told things that contradict each other: a defect of the owner. */
  readonly contradictions: number;
}

export interface HeldConnection {
  readonly log: ConnectionLog;
  /** When the owner's latest clock of timestamps came, by this node's own clock. */
  readonly clockAt: Instant;
}

type Connections = Map<ConnectionNumber, HeldConnection>;

interface OwnerRecords {
  /** Messages of its stream, from the first. */
  received: number;
  readonly held: Connections;
}

export class Replica {
  readonly #limits: TakeoverLimits;
  readonly #owners = new Map<NodeId, OwnerRecords>();
  /** Where what was taken was kept. */
  readonly #taken = new WeakMap<HeldConnection, OwnerRecords>();
  #bytes = 0;
  #refused = 0;
  #contradictions = 0;

  constructor(limits: TakeoverLimits = TAKEOVER_LIMITS) {
    this.#limits = limits;
  }

  get counts(): ReplicaCounts {
    return { refused: this.#refused, contradictions: this.#contradictions };
  }

  get bytes(): number {
    return this.#bytes;
  }

  get connections(): number {
    return [...this.#owners.values()].reduce((sum, { held }) => sum + held.size, 0);
  }

  /** Connections of one owner, to decide which of them are this node's to take. */
  held(owner: NodeId): ReadonlyMap<ConnectionNumber, HeldConnection> {
    return this.#owners.get(owner)?.held ?? new Map();
  }

  step(now: Instant, input: ReplicaInput): ReplicaEffect[] {
    switch (input.type) {
      case "told":
        return this.#told(now, input.owner, input.messages);
      case "take":
        return this.#take(input.owner, input.connection, false);
      case "put-back":
        return this.#putBack(input.connection);
      case "owner-gone":
        return this.#gone(input.owner);
    }
  }

  #told(now: Instant, owner: NodeId, messages: readonly OwnerMessage[]): ReplicaEffect[] {
    const records = this.#owners.get(owner) ?? { received: 0, held: new Map() };
    this.#owners.set(owner, records);
    const effects = messages.flatMap((message) => this.#hear(now, owner, records.held, message));
    records.received += messages.length;
    const message: ReplicaMessage = { type: "acknowledged", messages: records.received };
    return [...effects, { type: "answer", to: owner, message }];
  }

  #hear(now: Instant, owner: NodeId, held: Connections, message: OwnerMessage): ReplicaEffect[] {
    const { connection } = message;
    if (message.type === "opened") return this.#open(now, owner, held, new ConnectionLog(message));
    const log = held.get(connection)?.log;
    // One that was refused: its owner may not have heard so yet.
    if (log === undefined) return [];
    if (message.type === "closed") return this.#drop(held, log);
    if (message.type === "handed") return this.#take(owner, connection, true);
    if (message.type === "progress") held.set(connection, { log, clockAt: now });
    const before = log.bytes;
    const fits = log.apply(message);
    this.#bytes += log.bytes - before;
    if (!fits) return this.#refuse(owner, held, log, "contradiction");
    return this.#isFull(log) ? this.#refuse(owner, held, log, "bytes") : [];
  }

  #isFull(log: ConnectionLog): boolean {
    return log.bytes > this.#limits.bytesPerConnection || this.#bytes > this.#limits.bytes;
  }

  #open(now: Instant, owner: NodeId, held: Connections, log: ConnectionLog): ReplicaEffect[] {
    const { connection, initial, generation } = log.opened;
    const known = held.get(connection);
    if (known !== undefined) return this.#refuse(owner, held, known.log, "contradiction");
    if (held.size >= this.#limits.connections) {
      this.#refused += 1;
      const message: ReplicaMessage = { type: "refused", connection, reason: "connections" };
      return [{ type: "answer", to: owner, message }];
    }
    held.set(connection, { log, clockAt: now });
    return [{ type: "shield", key: initial.key, generation }];
  }

  #refuse(
    owner: NodeId,
    held: Connections,
    log: ConnectionLog,
    reason: RefusalReason,
  ): ReplicaEffect[] {
    const { connection } = log.opened;
    if (reason === "contradiction") this.#contradictions += 1;
    else this.#refused += 1;
    const message: ReplicaMessage = { type: "refused", connection, reason };
    return [...this.#drop(held, log), { type: "answer", to: owner, message }];
  }

  #drop(held: Connections, log: ConnectionLog): ReplicaEffect[] {
    held.delete(log.opened.connection);
    this.#bytes -= log.bytes;
    return [{ type: "unshield", key: log.opened.initial.key }];
  }

  #take(owner: NodeId, number: ConnectionNumber, handed: boolean): ReplicaEffect[] {
    const records = this.#owners.get(owner);
    const connection = records?.held.get(number);
    if (records === undefined || connection === undefined) return [];
    records.held.delete(number);
    this.#bytes -= connection.log.bytes;
    connection.log.rewind();
    this.#taken.set(connection, records);
    return [{ type: "resume", owner, connection, handed }];
  }

  /** Not where the owner has begun anew since, or is forgotten: then the record is void. Nor where others have taken its room. */
  #putBack(connection: HeldConnection): ReplicaEffect[] {
    const { log } = connection;
    const records = this.#taken.get(connection);
    this.#taken.delete(connection);
    const isKnown = records !== undefined && [...this.#owners.values()].includes(records);
    const { bytes, connections } = this.#limits;
    const isFull = (records?.held.size ?? 0) >= connections || this.#bytes + log.bytes > bytes;
    if (isKnown && !isFull) {
      records.held.set(log.opened.connection, connection);
      this.#bytes += log.bytes;
      return [];
    }
    if (isKnown) this.#refused += 1;
    return [{ type: "unshield", key: log.opened.initial.key }];
  }

  #gone(owner: NodeId): ReplicaEffect[] {
    const records = this.#owners.get(owner);
    this.#owners.delete(owner);
    if (records === undefined) return [];
    return [...records.held.values()].flatMap(({ log }) => this.#drop(records.held, log));
  }
}
