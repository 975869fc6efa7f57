// Who of the other members holds which connection of this one (A16, docs/adr/0033), and what they are told so that they do: those that are
// chosen all of it, the others that it is there. A record moves by a copy: the old holder lets go when every chosen one has all.
import type { NodeId } from "#base/ids.ts";
import type { Closed, ConnectionNumber, Opened, OwnerMessage } from "#wire/takeover/message.ts";
import type { ConnectionLog } from "./connection-log.ts";
import { common, NOWHERE, type Place, placeOf } from "./place.ts";
import { chooseReplicas, type ReplicaCount } from "./replica-choice.ts";
import { type Advance, ReplicaLink } from "./replica-link.ts";

export interface Send {
  readonly type: "send";
  readonly to: NodeId;
  readonly message: OwnerMessage;
}

const notedOf = (opened: Opened): OwnerMessage => ({ ...opened, type: "noted" });

export class Spread {
  readonly #wanted: ReplicaCount;
  readonly #links = new Map<NodeId, ReplicaLink>();

  constructor(wanted: ReplicaCount) {
    this.#wanted = wanted;
  }

  joined(member: NodeId): void {
    this.#links.set(member, new ReplicaLink());
  }

  /** False: it was not there. */
  left(member: NodeId): boolean {
    return this.#links.delete(member);
  }

  /** Whether it was told all of this connection, or is being told. */
  isAt(member: NodeId, connection: ConnectionNumber): boolean {
    return this.#links.get(member)?.held(connection) !== undefined;
  }

  /** Whether it may be told. */
  wouldTake(member: NodeId, connection: ConnectionNumber): boolean {
    return this.#links.get(member)?.hasRefused(connection) === false;
  }

  /** Somebody does, wholly or not. */
  isHeld(connection: ConnectionNumber): boolean {
    return [...this.#links.values()].some((link) => link.held(connection) !== undefined);
  }

  /** Fewer members hold all of it than are wanted. Where it is to be all members, there is no such number. */
  lacksReplicas(connection: ConnectionNumber): boolean {
    if (this.#wanted === "all") return false;
    let left = this.#wanted;
    for (const link of this.#links.values()) if (link.isWhole(connection)) left -= 1;
    return left > 0;
  }

  #chosen({ opened: { connection, initial } }: ConnectionLog): Set<NodeId> {
    const able = [...this.#links].filter(([, link]) => !link.hasRefused(connection));
    const ids = able.map(([id]) => id);
    return new Set(chooseReplicas(initial.key, ids, this.#wanted));
  }

  /** Of a connection that has just begun nothing more is known: whoever hears so holds it. */
  opened(log: ConnectionLog): Send[] {
    const { opened } = log;
    const chosen = this.#chosen(log);
    return [...this.#links].map(([to, link]) => {
      if (chosen.has(to)) link.began(opened.connection, true);
      else link.noted(opened.connection);
      return { type: "send", to, message: chosen.has(to) ? opened : notedOf(opened) };
    });
  }

  /** Members have come or gone, or hold more than before. @param also one that is to hold it in any case */
  settle(log: ConnectionLog, also?: NodeId): Send[] {
    const { connection } = log.opened;
    const chosen = this.#chosen(log);
    if (also !== undefined && this.wouldTake(also, connection)) chosen.add(also);
    const sends: Send[] = [];
    for (const [to, link] of this.#links) {
      const isNew = !link.knows(connection) && !link.hasRefused(connection);
      if (isNew) sends.push(...this.#note(to, link, log.opened));
      if (chosen.has(to) && link.isNoted(connection)) sends.push(...copyTo(to, link, log));
    }
    return [...sends, ...this.#letGo(log.opened, chosen)];
  }

  #note(to: NodeId, link: ReplicaLink, opened: Opened): Send[] {
    link.noted(opened.connection);
    return [{ type: "send", to, message: notedOf(opened) }];
  }

  /** Those that are not to hold it any more, once it does not depend on them. */
  #letGo(opened: Opened, chosen: ReadonlySet<NodeId>): Send[] {
    const { connection } = opened;
    const isReady = [...chosen].every((id) => this.#links.get(id)?.isWhole(connection));
    if (!isReady) return [];
    return [...this.#links].flatMap(([to, link]) =>
      chosen.has(to) || link.held(connection) === undefined ? [] : this.#note(to, link, opened),
    );
  }

  /** Everyone who holds the connection. */
  tell(message: OwnerMessage, place: Place): Send[] {
    const holders = [...this.#links].filter(([, link]) => link.held(message.connection));
    return holders.map(([to, link]) => {
      link.sent(message.connection, place);
      return { type: "send", to, message };
    });
  }

  /** One of them. */
  tellOne(to: NodeId, message: OwnerMessage, log: ConnectionLog): Send[] {
    this.#links.get(to)?.sent(message.connection, placeOf(log));
    return [{ type: "send", to, message }];
  }

  /** Everyone who knows of it. */
  tellLast(message: Closed): Send[] {
    const knowing = [...this.#links].filter(([, link]) => link.knows(message.connection));
    for (const [, link] of knowing) link.sent(message.connection, NOWHERE);
    for (const link of this.#links.values()) link.forget(message.connection);
    return knowing.map(([to]) => ({ type: "send", to, message }));
  }

  /** What the slowest of its replicas holds; everything, where there is none. */
  safe(log: ConnectionLog): Place {
    const { connection } = log.opened;
    let safe = placeOf(log);
    for (const link of this.#links.values()) safe = common(safe, link.held(connection) ?? safe);
    return safe;
  }

  acknowledged(member: NodeId, messages: number): Advance[] {
    return this.#links.get(member)?.acknowledged(messages) ?? [];
  }

  refused(member: NodeId, connection: ConnectionNumber): void {
    this.#links.get(member)?.refused(connection);
  }
}

function copyTo(to: NodeId, link: ReplicaLink, log: ConnectionLog): Send[] {
  const { connection } = log.opened;
  return [...log.copy()].map((message) => {
    if (message.type === "opened") link.began(connection, false);
    else if (message.type === "whole") link.completed(connection, placeOf(log));
    else link.sent(connection);
    return { type: "send", to, message };
  });
}
