// Where this node's events are kept: one SQLite file in the state folder, bounded in rows and bytes; what is over is dropped from the old
// end and counted. It outlives the agent, and a crash at any moment: a transaction is in the file whole or not at all. A file that cannot
// be read is put aside, never repaired by guess, and a new one is begun.
import { renameSync, rmSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { EventType, NewEvent, StoredEvent } from "#api/event-catalogue.ts";

export interface StoreLimits {
  readonly rows: number;
  /** Of the events' text; the file is somewhat larger. */
  readonly bytes: number;
}

/** Weeks of a quiet cluster, a day of one whose tables change every two seconds. */
export const STORE_LIMITS: StoreLimits = { rows: 50_000, bytes: 16 * 1024 * 1024 };

/** Of one event; what is longer is not kept, and counted. */
export const MAX_EVENT_BYTES = 16 * 1024;

/** What is dropped at once when there is too much: one part in so many. */
const DROP_SHARE = 64;

class DamagedError extends Error {
  constructor(file: string) {
    super(`${file} is damaged`);
  }
}

/** SQLite's own words for it. */
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

function isDamage(error: unknown): boolean {
  if (error instanceof DamagedError) return true;
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS events_by_type ON events (type, seq);
  CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
`;

export interface Question {
  /** Only events after this one. */
  readonly after: number;
  /** Only events that happened then or later, in milliseconds since 1970. */
  readonly sinceMs?: number;
  /** Empty: all. */
  readonly types: readonly EventType[];
  readonly limit: number;
  /** The newest `limit` events, not the oldest ones. The order is that of time either way. */
  readonly newest?: boolean;
}

export interface TimedEvent {
  readonly atMs: number;
  readonly event: NewEvent;
}

interface Row {
  readonly seq: number;
  readonly at: number;
  readonly type: string;
  readonly body: string;
}

export class EventStore {
  readonly #database: DatabaseSync;
  readonly #limits: StoreLimits;
  readonly #insert: StatementSync;
  #rows: number;
  #bytes: number;
  #first: number;
  #last: number;
  #dropped: number;

  /** `putAside`: where a file went that is damaged. Throws when the file system refuses. */
  static open(
    file: string,
    limits: StoreLimits = STORE_LIMITS,
  ): { readonly store: EventStore; readonly putAside: string | undefined } {
    try {
      return { store: new EventStore(file, limits), putAside: undefined };
    } catch (error) {
      if (!isDamage(error)) throw error;
      const putAside = `${file}.damaged`;
      renameSync(file, putAside);
      for (const rest of ["-wal", "-shm"]) rmSync(`${file}${rest}`, { force: true });
      return { store: new EventStore(file, limits), putAside };
    }
  }

  private constructor(file: string, limits: StoreLimits) {
    this.#limits = limits;
    this.#database = new DatabaseSync(file);
    try {
      // NORMAL: a power failure may cost the last events, never the file
      this.#database.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA auto_vacuum = INCREMENTAL;",
      );
      const [check] = this.#database.prepare("PRAGMA quick_check(1)").all();
      if (check?.["quick_check"] !== "ok") throw new DamagedError(file);
      this.#database.exec(SCHEMA);
      this.#insert = this.#database.prepare("INSERT INTO events (at, type, body) VALUES (?, ?, ?)");
      const sums = this.#one(
        "SELECT count(*) AS rows, ifnull(sum(length(body)), 0) AS bytes, ifnull(min(seq), 0) AS first FROM events",
      );
      [this.#rows, this.#bytes, this.#first] = [sums["rows"], sums["bytes"], sums["first"]].map(
        Number,
      ) as [number, number, number];
      this.#last = Number(
        this.#one("SELECT ifnull(max(seq), 0) AS last FROM sqlite_sequence WHERE name = 'events'")[
          "last"
        ],
      );
      this.#dropped = Number(
        this.#one("SELECT ifnull(max(value), 0) AS n FROM counts WHERE name = 'dropped'")["n"],
      );
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  #one(sql: string): Record<string, unknown> {
    return this.#database.prepare(sql).get() ?? {};
  }

  /** Number of the newest event ever kept; 0: none was. */
  get last(): number {
    return this.#last;
  }

  /** Number of the oldest event that is still there; one more than the newest where none is. */
  get first(): number {
    return this.#rows === 0 ? this.#last + 1 : this.#first;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Events that made room for later ones, ever. */
  get dropped(): number {
    return this.#dropped;
  }

  /** All of them or none. Returns how many were too long to be kept. */
  append(events: readonly TimedEvent[]): number {
    const lines = events.map(({ atMs, event: { type, ...rest } }) => ({
      atMs,
      type,
      body: JSON.stringify(rest),
    }));
    const kept = lines.filter(({ body }) => body.length <= MAX_EVENT_BYTES);
    this.#transaction(() => {
      for (const { atMs, type, body } of kept) {
        const { lastInsertRowid } = this.#insert.run(atMs, type, body);
        if (this.#rows === 0) this.#first = Number(lastInsertRowid);
        this.#last = Number(lastInsertRowid);
        this.#rows += 1;
        this.#bytes += body.length;
      }
      this.#makeRoom();
    });
    return lines.length - kept.length;
  }

  /** What is counted here is what is in the file, also after a failure. */
  #transaction(act: () => void): void {
    const before = [this.#rows, this.#bytes, this.#first, this.#last, this.#dropped] as const;
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      act();
      this.#database.exec("COMMIT");
    } catch (error) {
      [this.#rows, this.#bytes, this.#first, this.#last, this.#dropped] = before;
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  #makeRoom(): void {
    while (this.#rows > this.#limits.rows || this.#bytes > this.#limits.bytes) {
      const excess = Math.max(this.#rows - this.#limits.rows, 0);
      const count = Math.min(this.#rows, excess + Math.ceil(this.#rows / DROP_SHARE));
      this.#dropOldest(count);
    }
  }

  #dropOldest(count: number): void {
    const upTo = this.#first + count - 1; // numbers have no gaps
    const { bytes } = this.#database
      .prepare("SELECT ifnull(sum(length(body)), 0) AS bytes FROM events WHERE seq <= ?")
      .get(upTo) as { bytes: number };
    this.#database.prepare("DELETE FROM events WHERE seq <= ?").run(upTo);
    this.#rows -= count;
    this.#bytes -= bytes;
    this.#first = upTo + 1;
    this.#dropped += count;
    this.#database
      .prepare("INSERT OR REPLACE INTO counts (name, value) VALUES ('dropped', ?)")
      .run(this.#dropped);
  }

  /** In the order in which they were kept. */
  read({ after, sinceMs = 0, types, limit, newest = false }: Question): StoredEvent[] {
    const among = types.length === 0 ? "" : ` AND type IN (${types.map(() => "?").join(", ")})`;
    const order = newest ? "DESC" : "ASC";
    const rows = this.#database
      .prepare(
        `SELECT seq, at, type, body FROM events WHERE seq > ? AND at >= ?${among} ORDER BY seq ${order} LIMIT ?`,
      )
      .all(after, sinceMs, ...types, limit) as unknown as Row[];
    return (newest ? rows.toReversed() : rows).map(eventOf);
  }

  close(): void {
    this.#database.close();
  }
}

const eventOf = ({ seq, at, type, body }: Row): StoredEvent =>
  ({
    seq,
    at: new Date(at).toISOString(),
    type,
    ...(JSON.parse(body) as object),
  }) as unknown as StoredEvent;
