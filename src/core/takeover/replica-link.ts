// What one member was told on its stream, and how much of it it holds. Acknowledgements count messages of the whole stream: one of
// them speaks for any number of connections, so that thousands of connections do not cost thousands of answers.
import type { ConnectionNumber } from "#wire/takeover/message.ts";
import { NOWHERE, type Place } from "./place.ts";

/** One copy of a connection at this member. */
interface Copy {
  place: Place;
  /** It could go on with the connection: it has what there was before the copy was begun. */
  whole: boolean;
}

interface Told {
  readonly connection: ConnectionNumber;
  /** Undefined: it holds nothing by it. One that was let go of says nothing about the next. */
  readonly copy: Copy | undefined;
  /** Where the connection is for whoever holds this message and those before. */
  readonly place: Place;
  readonly whole: boolean;
}

export interface Advance {
  readonly connection: ConnectionNumber;
  /** Its copy is whole since now. */
  readonly completed: boolean;
}

export class ReplicaLink {
  /** Told and not acknowledged, in order. */
  readonly #told: Told[] = [];
  #acknowledged = 0;
  readonly #copies = new Map<ConnectionNumber, Copy>();
  /** It knows that they are there. */
  readonly #noted = new Set<ConnectionNumber>();
  readonly #refused = new Set<ConnectionNumber>();

  /** A message without which nothing is held. */
  noted(connection: ConnectionNumber): void {
    this.#copies.delete(connection);
    this.#noted.add(connection);
    this.#told.push({ connection, copy: undefined, place: NOWHERE, whole: false });
  }

  /** Its first message about the connection that it is to hold. @param whole there is nothing more */
  began(connection: ConnectionNumber, whole: boolean): void {
    this.#noted.delete(connection);
    const copy = { place: NOWHERE, whole };
    this.#copies.set(connection, copy);
    this.#told.push({ connection, copy, place: NOWHERE, whole });
  }

  /** @param place undefined: one that is not the last of a copy */
  sent(connection: ConnectionNumber, place = NOWHERE): void {
    const copy = this.#copies.get(connection);
    this.#told.push({ connection, copy, place, whole: copy?.whole === true });
  }

  /** The last message of a copy. */
  completed(connection: ConnectionNumber, place: Place): void {
    this.#told.push({ connection, copy: this.#copies.get(connection), place, whole: true });
  }

  /** The last message about this connection: what it says later about it does not matter. */
  forget(connection: ConnectionNumber): void {
    this.#copies.delete(connection);
    this.#noted.delete(connection);
    this.#refused.delete(connection);
  }

  /** It will not have it. */
  refused(connection: ConnectionNumber): void {
    this.forget(connection);
    this.#refused.add(connection);
  }

  hasRefused(connection: ConnectionNumber): boolean {
    return this.#refused.has(connection);
  }

  isNoted(connection: ConnectionNumber): boolean {
    return this.#noted.has(connection);
  }

  /** Whether it was told of the connection and still has to do with it. */
  knows(connection: ConnectionNumber): boolean {
    return this.isNoted(connection) || this.#copies.has(connection);
  }

  /** Undefined: it is not to hold this connection. */
  held(connection: ConnectionNumber): Place | undefined {
    return this.#copies.get(connection)?.place;
  }

  isWhole(connection: ConnectionNumber): boolean {
    return this.#copies.get(connection)?.whole === true;
  }

  /** The connections of which it holds more than before. A count that goes back or too far says nothing. */
  acknowledged(messages: number): Advance[] {
    const count = messages - this.#acknowledged;
    if (count <= 0 || count > this.#told.length) return [];
    const changed = new Map<ConnectionNumber, boolean>();
    for (const { connection, copy, place, whole } of this.#told.splice(0, count)) {
      if (copy === undefined || this.#copies.get(connection) !== copy) continue;
      const completed = whole && !copy.whole;
      copy.place = place;
      copy.whole ||= whole;
      changed.set(connection, completed || changed.get(connection) === true);
    }
    this.#acknowledged = messages;
    return [...changed].map(([connection, completed]) => ({ connection, completed }));
  }
}
