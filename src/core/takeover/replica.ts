// The members that could take connections over (A16): what their owners told them, by owner. While a record is here, the packets of its
// connection are kept from this machine's stack, which knows nothing of it and would answer with a reset. So are they where this member
// only knows of the connection, or has not been told all of it yet: whoever is to go on with it here gets it from another member first
// (fetching.ts).
import type { NodeId } from "#base/ids.ts";
import type { Instant } from "#base/time.ts";
import type {
  ConnectionNumber,
  Noted,
  Opened,
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
  /** One that was to be got from another member is not this node's any more. */
  | { readonly type: "put-back-noted"; readonly fetch: Fetch }
  /** Another member had it. */
  | { readonly type: "fetched"; readonly fetch: Fetch; readonly connection: HeldConnection }
  /** The owner may have gone on without this member (currency.ts): what is held is not what is there. Of all its connections, as far as known. */
  | { readonly type: "outdated"; readonly owner: NodeId }
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
    }
  /** To be resumed here, once another member has said what this one does not hold. The shield stays. */
  | { readonly type: "fetch"; readonly fetch: Fetch };

/** A connection that this member knows of and does not (wholly) hold. */
export interface Fetch {
  readonly owner: NodeId;
  readonly opened: Opened;
  /** When its clock of timestamps came. */
  readonly clockAt: Instant;
}

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

interface Copy extends HeldConnection {
  /** Everything is there that was before this member was to hold it. */
  readonly whole: boolean;
}

interface OwnerRecords {
  readonly owner: NodeId;
  /** Messages of its stream, from the first. */
  received: number;
  readonly held: Map<ConnectionNumber, Copy>;
  readonly noted: Map<ConnectionNumber, Fetch>;
}

export class Replica {
  readonly #limits: TakeoverLimits;
  readonly #owners = new Map<NodeId, OwnerRecords>();
  /** Where what was taken was kept. */
  readonly #taken = new WeakMap<HeldConnection | Fetch, OwnerRecords>();
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

  /** Those of which it is only known that they are there. */
  get noted(): number {
    return [...this.#owners.values()].reduce((sum, { noted }) => sum + noted.size, 0);
  }

  /** What this node could say of one connection to whoever is to take it over. */
  whole(owner: NodeId, connection: ConnectionNumber): HeldConnection | undefined {
    const held = this.#owners.get(owner)?.held.get(connection);
    return held?.whole === true ? held : undefined;
  }

  /** All of one owner, to decide which of them are this node's to take. */
  *known(owner: NodeId): Generator<Opened> {
    const records = this.#owners.get(owner);
    for (const { log } of records?.held.values() ?? []) yield log.opened;
    for (const { opened } of records?.noted.values() ?? []) yield opened;
  }

  /** Connections of one owner that are held. */
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
      case "put-back-noted":
        return this.#putBackNoted(input.fetch);
      case "fetched":
        return this.#fetched(input.fetch, input.connection);
      case "outdated":
        this.#outdate(input.owner);
        return [];
      case "owner-gone":
        return this.#gone(input.owner);
    }
  }

  #told(now: Instant, owner: NodeId, messages: readonly OwnerMessage[]): ReplicaEffect[] {
    const known = this.#owners.get(owner);
    const records = known ?? { owner, received: 0, held: new Map(), noted: new Map() };
    this.#owners.set(owner, records);
    const effects = messages.flatMap((message) => this.#hear(now, records, message));
    records.received += messages.length;
    const message: ReplicaMessage = { type: "acknowledged", messages: records.received };
    return [...effects, { type: "answer", to: owner, message }];
  }

  #hear(now: Instant, records: OwnerRecords, message: OwnerMessage): ReplicaEffect[] {
    const { connection } = message;
    if (message.type === "noted") return this.#note(now, records, message);
    if (message.type === "opened") return this.#open(now, records, new ConnectionLog(message));
    const held = records.held.get(connection);
    if (message.type === "closed") return this.#end(records, connection);
    // One that was refused: its owner may not have heard so yet.
    if (held === undefined) return [];
    if (message.type === "handed") return this.#take(records.owner, connection, true);
    if (message.type === "whole") {
      records.held.set(connection, { ...held, whole: true });
      return [];
    }
    if (message.type === "progress") records.held.set(connection, { ...held, clockAt: now });
    const { log } = held;
    const before = log.bytes;
    const fits = log.apply(message);
    this.#bytes += log.bytes - before;
    if (!fits) return this.#refuse(records, log, "contradiction");
    return this.#isFull(log) ? this.#refuse(records, log, "bytes") : [];
  }

  #isFull(log: ConnectionLog): boolean {
    return log.bytes > this.#limits.bytesPerConnection || this.#bytes > this.#limits.bytes;
  }

  #open(now: Instant, records: OwnerRecords, log: ConnectionLog): ReplicaEffect[] {
    const { connection, initial, generation } = log.opened;
    const known = records.held.get(connection);
    if (known !== undefined) return this.#refuse(records, known.log, "contradiction");
    const isCopy = records.noted.delete(connection);
    if (this.#hasNoRoom(records)) return this.#refuseNew(records, connection);
    records.held.set(connection, { log, clockAt: now, whole: !isCopy });
    return isCopy ? [] : [{ type: "shield", key: initial.key, generation }];
  }

  /** It is no replica's business any more here, or has not been yet. */
  #note(now: Instant, records: OwnerRecords, message: Noted): ReplicaEffect[] {
    const { connection, initial, generation } = message;
    const { owner, held, noted } = records;
    const copy = held.get(connection);
    const isNew = copy === undefined && !noted.has(connection);
    if (isNew && this.#hasNoRoom(records)) return this.#refuseNew(records, connection);
    if (copy !== undefined) this.#drop(records, copy.log);
    noted.set(connection, { owner, opened: { ...message, type: "opened" }, clockAt: now });
    return isNew ? [{ type: "shield", key: initial.key, generation }] : [];
  }

  #hasNoRoom({ held, noted }: OwnerRecords): boolean {
    return held.size + noted.size >= this.#limits.connections;
  }

  #refuseNew({ owner }: OwnerRecords, connection: ConnectionNumber): ReplicaEffect[] {
    this.#refused += 1;
    const message: ReplicaMessage = { type: "refused", connection, reason: "connections" };
    return [{ type: "answer", to: owner, message }];
  }

  #refuse(records: OwnerRecords, log: ConnectionLog, reason: RefusalReason): ReplicaEffect[] {
    const { connection } = log.opened;
    if (reason === "contradiction") this.#contradictions += 1;
    else this.#refused += 1;
    const message: ReplicaMessage = { type: "refused", connection, reason };
    return [...this.#drop(records, log), { type: "answer", to: records.owner, message }];
  }

  #end(records: OwnerRecords, connection: ConnectionNumber): ReplicaEffect[] {
    const held = records.held.get(connection);
    if (held !== undefined) return this.#drop(records, held.log);
    const noted = records.noted.get(connection);
    records.noted.delete(connection);
    return noted === undefined ? [] : [{ type: "unshield", key: noted.opened.initial.key }];
  }

  #drop({ held }: OwnerRecords, log: ConnectionLog): ReplicaEffect[] {
    held.delete(log.opened.connection);
    this.#bytes -= log.bytes;
    return [{ type: "unshield", key: log.opened.initial.key }];
  }

  #take(owner: NodeId, number: ConnectionNumber, handed: boolean): ReplicaEffect[] {
    const records = this.#owners.get(owner);
    if (records === undefined) return [];
    const connection = records.held.get(number);
    if (connection?.whole !== true) return this.#takeNoted(records, number);
    records.held.delete(number);
    this.#bytes -= connection.log.bytes;
    return [this.#resume(records, connection, handed)];
  }

  #resume(records: OwnerRecords, connection: HeldConnection, handed: boolean): ReplicaEffect {
    connection.log.rewind();
    this.#taken.set(connection, records);
    return { type: "resume", owner: records.owner, connection, handed };
  }

  /** What a copy that is not whole lacks, nobody can tell: it is got from another member like one of which nothing is here. */
  #takeNoted(records: OwnerRecords, number: ConnectionNumber): ReplicaEffect[] {
    const part = records.held.get(number);
    const fetch =
      part === undefined
        ? records.noted.get(number)
        : { owner: records.owner, opened: part.log.opened, clockAt: part.clockAt };
    if (fetch === undefined) return [];
    if (part !== undefined) this.#drop(records, part.log);
    records.noted.delete(number);
    this.#taken.set(fetch, records);
    return [{ type: "fetch", fetch }];
  }

  #fetched(fetch: Fetch, connection: HeldConnection): ReplicaEffect[] {
    const records = this.#taken.get(fetch);
    this.#taken.delete(fetch);
    return records === undefined ? [] : [this.#resume(records, connection, false)];
  }

  /** Like those that another member holds. */
  #outdate(owner: NodeId): void {
    for (const copy of this.#owners.get(owner)?.held.values() ?? []) {
      this.#owners.get(owner)?.held.set(copy.log.opened.connection, { ...copy, whole: false });
    }
  }

  #isVoid(records: OwnerRecords): boolean {
    return this.#owners.get(records.owner) !== records;
  }

  #putBackNoted(fetch: Fetch): ReplicaEffect[] {
    const records = this.#taken.get(fetch);
    this.#taken.delete(fetch);
    if (records === undefined || this.#isVoid(records) || this.#hasNoRoom(records)) {
      return [{ type: "unshield", key: fetch.opened.initial.key }];
    }
    records.noted.set(fetch.opened.connection, fetch);
    return [];
  }

  /** Not where the owner has begun anew since, or is forgotten: then the record is void. Nor where others have taken its room. */
  #putBack(connection: HeldConnection): ReplicaEffect[] {
    const { log } = connection;
    const records = this.#taken.get(connection);
    this.#taken.delete(connection);
    const isKnown = records !== undefined && !this.#isVoid(records);
    const isFull =
      isKnown && (this.#hasNoRoom(records) || this.#bytes + log.bytes > this.#limits.bytes);
    if (isKnown && !isFull) {
      records.held.set(log.opened.connection, { ...connection, whole: true });
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
    const all = [...records.held.keys(), ...records.noted.keys()];
    return all.flatMap((connection) => this.#end(records, connection));
  }
}
