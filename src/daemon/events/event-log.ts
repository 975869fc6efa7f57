// This node's event log: takes events as they happen, keeps them off the path of a failover, and tells whoever follows that there are new
// ones. Followers read from the store at their own pace (src/api/event-stream.ts), so nothing waits in memory for a slow one.
import type { EventSource, EventsStatus } from "#api/event-stream.ts";
import type { NewEvent, StoredEvent } from "#api/event-catalogue.ts";
import type { Trouble } from "../trouble.ts";
import { EventStore, type Question, type TimedEvent } from "./event-store.ts";

/** Events that wait to be written; what comes on top is counted as lost. More than one burst of a full cluster. */
export const MAX_WAITING = 8192;

export interface EventLogOptions {
  readonly store: EventStore;
  readonly trouble: Trouble;
  readonly now?: () => number;
}

export class EventLog implements EventSource {
  readonly #store: EventStore;
  readonly #trouble: Trouble;
  readonly #now: () => number;
  readonly #waiting: TimedEvent[] = [];
  readonly #listeners = new Set<() => void>();
  #lost = 0;
  #isClosed = false;

  constructor({ store, trouble, now = Date.now }: EventLogOptions) {
    this.#store = store;
    this.#trouble = trouble;
    this.#now = now;
  }

  /** The event log in the state folder; where that cannot be written, one that ends with the agent. */
  static open(file: string, trouble: Trouble): EventLog {
    const { store, putAside } = openStore(file, trouble);
    if (putAside !== undefined) {
      trouble.report("event log", new Error(`it was damaged and is now ${putAside}`));
    }
    return new EventLog({ store, trouble });
  }

  /** Costs next to nothing here and now; it is written in the next turn. */
  record(event: NewEvent, atMs = this.#now()): void {
    if (this.#isClosed || this.#waiting.length >= MAX_WAITING) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push({ atMs, event });
    if (this.#waiting.length === 1) setImmediate(() => this.flush());
  }

  /** Writes what waits. A disk that refuses costs these events, which are counted. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const events = this.#waiting.splice(0);
    this.#trouble.guard("event log", () => {
      try {
        this.#lost += this.#store.append(events);
      } catch (error) {
        this.#lost += events.length;
        throw error;
      }
    });
    for (const tell of this.#listeners) tell();
  }

  get last(): number {
    return this.#store.last;
  }

  get first(): number {
    return this.#store.first;
  }

  get status(): EventsStatus {
    return {
      kept: this.#store.rows,
      dropped: this.#store.dropped,
      lost: this.#lost,
      followers: this.#listeners.size,
    };
  }

  read(question: Question): StoredEvent[] {
    return this.#store.read(question);
  }

  onNew(tell: () => void): () => void {
    this.#listeners.add(tell);
    return () => void this.#listeners.delete(tell);
  }

  close(): void {
    if (this.#isClosed) return;
    this.flush();
    this.#isClosed = true;
    this.#store.close();
  }
}

function openStore(file: string, trouble: Trouble): ReturnType<typeof EventStore.open> {
  try {
    return EventStore.open(file);
  } catch (error) {
    trouble.report("open the event log", error);
    return EventStore.open(":memory:");
  }
}
