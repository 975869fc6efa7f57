// An event source for tests: a list in memory that forgets its oldest, with the same rules as the agent's store.
import type { NewEvent, StoredEvent } from "../event-catalogue.ts";
import type { EventSource } from "../event-stream.ts";

export interface FakeEvents extends EventSource {
  /** Happens at the given second of 1970. */
  add(second: number, ...events: readonly NewEvent[]): void;
  /** The oldest make room. */
  drop(count: number): void;
}

export function fakeEvents(): FakeEvents {
  let kept: StoredEvent[] = [];
  let last = 0;
  const listeners = new Set<() => void>();
  return {
    get last() {
      return last;
    },
    get first() {
      return kept[0]?.seq ?? last + 1;
    },
    get status() {
      const dropped = last - kept.length;
      return { kept: kept.length, dropped, lost: 0, followers: listeners.size };
    },
    read: ({ after, sinceMs = 0, types, limit, newest = false }) => {
      const found = kept.filter(
        ({ seq, at, type }) =>
          seq > after && Date.parse(at) >= sinceMs && (types.length === 0 || types.includes(type)),
      );
      return newest ? found.slice(-limit) : found.slice(0, limit);
    },
    onNew: (tell) => {
      listeners.add(tell);
      return () => void listeners.delete(tell);
    },
    add: (second, ...events) => {
      for (const event of events) {
        last += 1;
        kept.push({ seq: last, at: new Date(second * 1000).toISOString(), ...event });
      }
      for (const tell of listeners) tell();
    },
    drop: (count) => {
      kept = kept.slice(count);
    },
  };
}
