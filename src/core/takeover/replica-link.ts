// What one replica was told on its stream, and how much of it it holds. Acknowledgements count messages of the whole stream: one of
// them speaks for any number of connections, so that thousands of connections do not cost thousands of answers.
import type { ConnectionNumber } from "#wire/takeover/message.ts";
import { NOWHERE, type Place } from "./place.ts";

interface Told {
  readonly connection: ConnectionNumber;
  /** Where the connection is for whoever holds this message and those before. */
  readonly place: Place;
}

export class ReplicaLink {
  /** Told and not acknowledged, in order. */
  readonly #told: Told[] = [];
  #acknowledged = 0;
  readonly #held = new Map<ConnectionNumber, Place>();

  sent(connection: ConnectionNumber, place: Place): void {
    this.#told.push({ connection, place });
    if (!this.#held.has(connection)) this.#held.set(connection, NOWHERE);
  }

  /** The last message about this connection, or it refused: what it says later about it does not matter. */
  forget(connection: ConnectionNumber): void {
    this.#held.delete(connection);
  }

  /** Undefined: this replica has nothing to do with the connection. */
  held(connection: ConnectionNumber): Place | undefined {
    return this.#held.get(connection);
  }

  /** The connections of which it holds more than before. A count that goes back or too far says nothing. */
  acknowledged(messages: number): ConnectionNumber[] {
    const count = messages - this.#acknowledged;
    if (count <= 0 || count > this.#told.length) return [];
    const changed = new Set<ConnectionNumber>();
    for (const { connection, place } of this.#told.splice(0, count)) {
      if (!this.#held.has(connection)) continue;
      this.#held.set(connection, place);
      changed.add(connection);
    }
    this.#acknowledged = messages;
    return [...changed];
  }
}
