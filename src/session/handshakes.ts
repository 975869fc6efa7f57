// Connections between their SYN-ACK, of which the session program tells, and their socket, which the application's listener accepts. Either
// may come first; each is waited for, but not for ever.
import { elapsedMs, type Instant } from "#base/time.ts";
import type { OpenedEvent } from "#driver/bpf/session-program.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import type { Clock } from "./clock.ts";
import { keyText } from "./key-text.ts";
import type { SessionSocket } from "./sockets.ts";

/** A record of a connection that nobody accepts is kept so long; a later SYN-ACK makes a new one. */
const NEVER_ACCEPTED_MS = 10_000;
/**
 * The program tells of a SYN-ACK at once, or (its map was full) not at all. After so many looks it is sure: what it tells is read in between, so
 * a process that stood still does not take what it has not read for what was never told.
 */
const NEVER_TOLD_LOOKS = 5;
const LOOK_EVERY_MS = 20;

export interface HandshakeActions {
  readonly accepted: (event: OpenedEvent, socket: SessionSocket) => void;
  /** A flood of SYNs. */
  readonly neverAccepted: (key: ConnectionKey) => void;
  /** A full map. */
  readonly neverTold: (key: ConnectionKey, socket: SessionSocket) => void;
}

interface Accepted {
  readonly key: ConnectionKey;
  readonly socket: SessionSocket;
  looks: number;
}

export class Handshakes {
  readonly #clock: Clock;
  readonly #actions: HandshakeActions;
  readonly #begun = new Map<string, { readonly event: OpenedEvent; readonly at: Instant }>();
  readonly #accepted = new Map<string, Accepted>();

  constructor(clock: Clock, actions: HandshakeActions) {
    this.#clock = clock;
    this.#actions = actions;
  }

  /** A SYN-ACK has left. */
  begun(event: OpenedEvent): void {
    const text = keyText(event.key);
    this.#begun.set(text, { event, at: this.#clock.now() });
    const accepted = this.#accepted.get(text);
    if (accepted !== undefined) this.#complete(text, event, accepted.socket);
  }

  accepted(key: ConnectionKey, socket: SessionSocket): void {
    const text = keyText(key);
    const event = this.#begun.get(text)?.event;
    if (event !== undefined) this.#complete(text, event, socket);
    else this.#wait(text, { key, socket, looks: 0 });
  }

  #wait(text: string, accepted: Accepted): void {
    this.#accepted.set(text, accepted);
    this.#clock.later(LOOK_EVERY_MS, () => this.#look(text, accepted));
  }

  #look(text: string, accepted: Accepted): void {
    if (this.#accepted.get(text) !== accepted) return;
    accepted.looks += 1;
    if (accepted.looks < NEVER_TOLD_LOOKS) return this.#wait(text, accepted);
    this.#accepted.delete(text);
    this.#actions.neverTold(accepted.key, accepted.socket);
  }

  #complete(text: string, event: OpenedEvent, socket: SessionSocket): void {
    this.#begun.delete(text);
    this.#accepted.delete(text);
    this.#actions.accepted(event, socket);
  }

  forget(key: ConnectionKey): void {
    this.#begun.delete(keyText(key));
  }

  sweep(): void {
    const now = this.#clock.now();
    for (const [text, { event, at }] of [...this.#begun]) {
      if (elapsedMs(at, now) < NEVER_ACCEPTED_MS) continue;
      this.#begun.delete(text);
      this.#actions.neverAccepted(event.key);
    }
  }
}
