// GET /v1/events/follow: events as they happen, one JSON object a line, for as long as the client stays. A follower is a place in the
// store, not a queue: it reads the next events when the client has taken the ones before, so a slow client costs no memory. What was
// dropped from the store before it came to it is told as {"missed": n}. An empty line every ten seconds says that the agent lives.
import type { ServerResponse } from "node:http";
import { PanError } from "#base/error-codes.ts";
import type { EventType, StoredEvent } from "./event-catalogue.ts";

/** More would keep other clients from the socket. */
export const MAX_FOLLOWERS = 16;
const BATCH = 200;
const ALIVE_EVERY_MS = 10_000;
/** A client that takes nothing for so long is cut off. */
export const STALLED_MS = 60_000;

export interface EventQuestion {
  readonly after: number;
  readonly sinceMs?: number;
  readonly types: readonly EventType[];
  readonly limit: number;
  readonly newest?: boolean;
}

export interface EventsStatus {
  readonly kept: number;
  readonly dropped: number;
  readonly lost: number;
  readonly followers: number;
}

/** What an agent offers to those who follow. */
export interface EventSource {
  /** Number of the newest event; of the oldest one that is kept. */
  readonly last: number;
  readonly first: number;
  readonly status: EventsStatus;
  read(question: EventQuestion): StoredEvent[];
  /** Tells when there are new events; returns how to end that. */
  onNew(tell: () => void): () => void;
}

export function requireRoom(source: EventSource): void {
  if (source.status.followers < MAX_FOLLOWERS) return;
  throw new PanError(
    "PAN_TOO_MANY_FOLLOWERS",
    `${MAX_FOLLOWERS} clients follow this node's events already; end one, or ask without --follow`,
  );
}

export interface Following {
  readonly after: number;
  readonly types: readonly EventType[];
}

/** Until the client is gone, or has stalled. The response is all its own. */
export function streamEvents(
  source: EventSource,
  out: ServerResponse,
  following: Following,
): { readonly ended: Promise<void> } {
  return new EventStream(source, out, following);
}

class EventStream {
  readonly #source: EventSource;
  readonly #out: ServerResponse;
  readonly #types: readonly EventType[];
  readonly #alive: NodeJS.Timeout;
  readonly #quiet: () => void;
  #place: number;
  #stalled: NodeJS.Timeout | undefined;
  #ended = false;
  readonly ended: Promise<void>;

  constructor(source: EventSource, out: ServerResponse, { after, types }: Following) {
    this.#source = source;
    this.#out = out;
    this.#types = types;
    this.#place = Math.min(after, source.last);
    out.socket?.setTimeout(0); // quiet for long is no fault here
    out.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    out.flushHeaders();
    this.ended = new Promise((resolve) => {
      out.on("close", () => {
        this.#end();
        resolve();
      });
    });
    out.on("error", () => this.#end());
    out.on("drain", () => this.#drained());
    this.#quiet = source.onNew(() => this.#pump());
    this.#alive = setInterval(() => {
      if (this.#stalled === undefined) this.#write("\n");
    }, ALIVE_EVERY_MS);
    this.#pump();
  }

  #pump(): void {
    while (!this.#ended && this.#stalled === undefined) {
      const missed = this.#source.first - 1 - this.#place;
      if (missed > 0) {
        this.#place += missed;
        this.#write(`${JSON.stringify({ missed })}\n`);
        continue;
      }
      const { last } = this.#source;
      const question = { after: this.#place, types: this.#types, limit: BATCH };
      const events = this.#source.read(question);
      // events of other types are passed over, too
      const seen = events.length < BATCH ? last : this.#place;
      this.#place = Math.max(seen, events.at(-1)?.seq ?? 0);
      if (events.length === 0) return;
      this.#write(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    }
  }

  #write(text: string): void {
    if (this.#ended || this.#out.write(text)) return;
    this.#stalled = setTimeout(() => this.#out.destroy(), STALLED_MS);
  }

  #drained(): void {
    clearTimeout(this.#stalled);
    this.#stalled = undefined;
    this.#pump();
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#stalled);
    clearInterval(this.#alive);
    this.#quiet();
  }
}
