// The connections that fall to this process and that only others hold (docs/adr/0033): each is got from one of them before its peer is
// asked. Decisions are core/takeover's.
import type { NodeId } from "#base/ids.ts";
import { Fetching, type FetchingInput } from "#core/takeover/fetching.ts";
import type { Fetch, HeldConnection } from "#core/takeover/replica.ts";
import type { RightToSpeak } from "#driver/bpf/session-program.ts";
import type { Lacking, Passed, Wanted } from "#wire/takeover/message.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { type Clock, Recurring } from "./clock.ts";
import { keyText } from "./key-text.ts";

/** How often it is looked who has not answered, while anybody is asked. */
const TICK_MS = 25;

export interface FetchActions {
  readonly right: () => RightToSpeak;
  readonly ask: (to: NodeId, message: Wanted) => void;
  readonly fetched: (fetch: Fetch, held: HeldConnection) => void;
  /** No member has it. */
  readonly lost: (fetch: Fetch) => void;
}

export class Fetches {
  readonly #clock: Clock;
  readonly #actions: FetchActions;
  readonly #fetching = new Fetching();
  readonly #byKey = new Map<string, Fetch>();
  readonly #looking: Recurring;

  constructor(clock: Clock, actions: FetchActions) {
    this.#clock = clock;
    this.#actions = actions;
    this.#looking = new Recurring(clock, TICK_MS, () =>
      this.#step({ type: "tick", speaks: actions.right().speaks }),
    );
  }

  has(key: ConnectionKey): boolean {
    return this.#byKey.has(keyText(key));
  }

  /** Of the connection's record; undefined: it is not on its way. */
  generationOf(key: ConnectionKey): number | undefined {
    return this.#byKey.get(keyText(key))?.opened.generation;
  }

  begin(fetch: Fetch): void {
    this.#byKey.set(keyText(fetch.opened.initial.key), fetch);
    this.#step({ type: "want", fetch });
  }

  /** A stream to a member is there, or is no more. */
  memberThere(member: NodeId): void {
    this.#step({ type: "member-there", member });
  }

  memberLeft(member: NodeId): void {
    this.#step({ type: "member-left", member });
  }

  answered(from: NodeId, message: Passed | Lacking): void {
    this.#step({ ...message, from });
  }

  /** Another member serves it. False: it was not on its way here. */
  abandon(key: ConnectionKey): boolean {
    const fetch = this.#byKey.get(keyText(key));
    if (fetch !== undefined) this.#drop(fetch);
    return fetch !== undefined;
  }

  /** Those that are another's to take over now. */
  revoke(isOthers: (key: ConnectionKey) => boolean): Fetch[] {
    const revoked = [...this.#byKey.values()].filter(({ opened }) => isOthers(opened.initial.key));
    for (const fetch of revoked) this.#drop(fetch);
    return revoked;
  }

  #drop(fetch: Fetch): void {
    this.#byKey.delete(keyText(fetch.opened.initial.key));
    this.#step({ type: "drop", fetch });
  }

  #step(input: FetchingInput): void {
    for (const effect of this.#fetching.step(this.#clock.now(), input)) {
      if (effect.type === "ask") {
        const { to, owner, connection } = effect;
        this.#actions.ask(to, { type: "wanted", owner, connection });
        continue;
      }
      this.#byKey.delete(keyText(effect.fetch.opened.initial.key));
      if (effect.type === "lost") this.#actions.lost(effect.fetch);
      else this.#actions.fetched(effect.fetch, effect.connection);
    }
    this.#looking.want(this.#byKey.size > 0);
  }

  close(): void {
    this.#byKey.clear();
    this.#looking.want(false);
  }
}
