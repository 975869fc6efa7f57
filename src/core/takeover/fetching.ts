// Connections that this member is to take over and does not hold (A16, docs/adr/0033): it asks the members for a copy, in the order in
// which they were to hold it, and takes the first whole one. Whoever lacks it says so; of one that says nothing the next is asked soon, in
// addition. Where nobody has it, it may be that nobody has it yet: a holder that was cut off comes back. That is waited for, as long as
// this member may speak and is asked by the peer; then the connection is lost.
import type { NodeId } from "#base/ids.ts";
import { elapsedMs, type Instant } from "#base/time.ts";
import type { ConnectionNumber, CopyMessage } from "#wire/takeover/message.ts";
import { ConnectionLog } from "./connection-log.ts";
import { TAKEOVER_LIMITS } from "./limits.ts";
import type { Fetch, HeldConnection } from "./replica.ts";
import { byPreference } from "./replica-choice.ts";

/** The next member is asked, too. */
const SLOW_MS = 100;
/** No member has it. */
export const NOBODY_MS = 5000;
/** Questions to one member that are not answered: what comes back must find room in its stream. */
const MOST_OPEN = 48;
/** After a stream has ended with questions on it: its answers may have been too much for it. */
const FEW_OPEN = 4;

export type FetchingInput =
  | { readonly type: "want"; readonly fetch: Fetch }
  /** Not this node's to take any more, or another member says that it serves it. */
  | { readonly type: "drop"; readonly fetch: Fetch }
  /** A stream to a member is there, or is no more. */
  | { readonly type: "member-there" | "member-left"; readonly member: NodeId }
  | {
      readonly type: "passed";
      readonly from: NodeId;
      readonly owner: NodeId;
      readonly message: CopyMessage;
    }
  | {
      readonly type: "lacking";
      readonly from: NodeId;
      readonly owner: NodeId;
      readonly connection: ConnectionNumber;
    }
  /** @param speaks whether this node has the right to (ADR 29) */
  | { readonly type: "tick"; readonly speaks: boolean };

export type FetchingEffect =
  | {
      readonly type: "ask";
      readonly to: NodeId;
      readonly owner: NodeId;
      readonly connection: ConnectionNumber;
    }
  | { readonly type: "fetched"; readonly fetch: Fetch; readonly connection: HeldConnection }
  | { readonly type: "lost"; readonly fetch: Fetch };

interface Wanting {
  readonly name: string;
  readonly fetch: Fetch;
  /** Members that have been thought of. */
  readonly tried: Set<NodeId>;
  /** Of these, those whose answer is to come; and what of it has. */
  readonly open: Map<NodeId, { copy: HeldConnection | undefined }>;
  /** When the last of them was thought of. */
  askedAt: Instant;
  /** Since when there is nobody to ask. */
  idleSince: Instant | undefined;
}

interface Member {
  most: number;
  /** Asked, and their last word has not come. */
  readonly open: Set<string>;
  readonly waiting: Set<string>;
}

const nameOf = (owner: NodeId, connection: ConnectionNumber): string => `${owner} ${connection}`;

export class Fetching {
  readonly #wanting = new Map<string, Wanting>();
  readonly #members = new Map<NodeId, Member>();
  /** How many questions may be open to whoever has no stream now. */
  readonly #most = new Map<NodeId, number>();

  get connections(): number {
    return this.#wanting.size;
  }

  step(now: Instant, input: FetchingInput): FetchingEffect[] {
    switch (input.type) {
      case "want":
        return this.#want(now, input.fetch);
      case "drop":
        this.#end(nameOf(input.fetch.owner, input.fetch.opened.connection));
        return this.#pumpAll();
      case "member-there":
        return this.#there(now, input.member);
      case "member-left":
        return this.#left(now, input.member);
      case "passed":
        return this.#passed(now, input.from, input.owner, input.message);
      case "lacking":
        return this.#lacking(now, input.from, nameOf(input.owner, input.connection));
      case "tick":
        return this.#tick(now, input.speaks);
    }
  }

  #want(now: Instant, fetch: Fetch): FetchingEffect[] {
    const name = nameOf(fetch.owner, fetch.opened.connection);
    const wanting: Wanting = {
      ...{ name, fetch, tried: new Set(), open: new Map() },
      ...{ askedAt: now, idleSince: undefined },
    };
    this.#wanting.set(name, wanting);
    return this.#askNext(now, wanting);
  }

  /** The member after those that have been thought of. */
  #askNext(now: Instant, wanting: Wanting): FetchingEffect[] {
    const { name, fetch, tried, open } = wanting;
    const left = [...this.#members.keys()].filter((id) => !tried.has(id));
    // most often nobody is left to be asked: then nothing is to be weighed
    const [next] = left.length === 0 ? [] : byPreference(fetch.opened.initial.key, left);
    const member = next === undefined ? undefined : this.#members.get(next);
    if (next === undefined || member === undefined) {
      if (open.size === 0) wanting.idleSince ??= now;
      return [];
    }
    tried.add(next);
    open.set(next, { copy: undefined });
    wanting.askedAt = now;
    wanting.idleSince = undefined;
    member.waiting.add(name);
    return this.#pump(next, member);
  }

  #pumpAll(): FetchingEffect[] {
    return [...this.#members].flatMap(([id, member]) => this.#pump(id, member));
  }

  /** Asks what waits, as far as there is room. */
  #pump(to: NodeId, { most, open, waiting }: Member): FetchingEffect[] {
    const asked: FetchingEffect[] = [];
    for (const name of waiting) {
      if (open.size >= most) break;
      waiting.delete(name);
      const fetch = this.#wanting.get(name)?.fetch;
      if (fetch === undefined) continue;
      open.add(name);
      const { connection } = fetch.opened;
      asked.push({ type: "ask", to, owner: fetch.owner, connection });
    }
    return asked;
  }

  /** Whoever still answers is not listened to; its room is free when it has. */
  #end(name: string): void {
    this.#wanting.delete(name);
    for (const { waiting } of this.#members.values()) waiting.delete(name);
  }

  #there(now: Instant, id: NodeId): FetchingEffect[] {
    const most = this.#most.get(id) ?? MOST_OPEN;
    this.#members.set(id, { most, open: new Set(), waiting: new Set() });
    return [...this.#wanting.values()].flatMap((wanting) => {
      wanting.tried.delete(id);
      return wanting.open.size > 0 ? [] : this.#askNext(now, wanting);
    });
  }

  #left(now: Instant, id: NodeId): FetchingEffect[] {
    const member = this.#members.get(id);
    if (member === undefined) return [];
    this.#members.delete(id);
    if (member.open.size > 0) this.#most.set(id, FEW_OPEN);
    const names = [...member.open, ...member.waiting];
    return names.flatMap((name) => this.#notFrom(now, id, name));
  }

  /** This member will not say it. */
  #notFrom(now: Instant, from: NodeId, name: string): FetchingEffect[] {
    const wanting = this.#wanting.get(name);
    if (wanting?.open.delete(from) !== true || wanting.open.size > 0) return [];
    return this.#askNext(now, wanting);
  }

  #lacking(now: Instant, from: NodeId, name: string): FetchingEffect[] {
    return [...this.#answered(from, name), ...this.#notFrom(now, from, name)];
  }

  /** That was its last word about it. */
  #answered(from: NodeId, name: string): FetchingEffect[] {
    const member = this.#members.get(from);
    if (member?.open.delete(name) !== true) return [];
    return this.#pump(from, member);
  }

  #passed(now: Instant, from: NodeId, owner: NodeId, message: CopyMessage): FetchingEffect[] {
    const name = nameOf(owner, message.connection);
    const wanting = this.#wanting.get(name);
    const answer = wanting?.open.get(from);
    if (message.type !== "whole") {
      const fits = answer === undefined || take(now, answer, message);
      // Half of a record is worth nothing: the rest of it is not listened to.
      return fits ? [] : this.#notFrom(now, from, name);
    }
    const next = this.#answered(from, name);
    if (wanting === undefined || answer?.copy === undefined) return next;
    this.#end(name);
    return [...next, { type: "fetched", fetch: wanting.fetch, connection: answer.copy }];
  }

  #tick(now: Instant, speaks: boolean): FetchingEffect[] {
    return [...this.#wanting.values()].flatMap((wanting): FetchingEffect[] => {
      const { idleSince, name, fetch, askedAt } = wanting;
      if (idleSince === undefined) {
        return elapsedMs(askedAt, now) < SLOW_MS ? [] : this.#askNext(now, wanting);
      }
      if (!speaks) wanting.idleSince = now;
      else if (elapsedMs(idleSince, now) >= NOBODY_MS) {
        this.#end(name);
        return [{ type: "lost", fetch }];
      }
      return [];
    });
  }
}

/** False: this contradicts what came before, or is more than is kept of a connection. */
function take(
  now: Instant,
  answer: { copy: HeldConnection | undefined },
  message: Exclude<CopyMessage, { type: "whole" }>,
): boolean {
  if (message.type === "opened") {
    answer.copy = { log: new ConnectionLog(message), clockAt: now };
    return true;
  }
  const { copy } = answer;
  // The rest of an answer that was for a question before this one.
  if (copy === undefined) return true;
  if (message.type === "progress") answer.copy = { ...copy, clockAt: now };
  return copy.log.apply(message) && copy.log.bytes <= TAKEOVER_LIMITS.bytesPerConnection;
}
