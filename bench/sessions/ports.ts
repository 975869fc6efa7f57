// What the benchmark's members, its client and the suites agree on.

/** As sessions, and by the same code as plain sockets. */
export const PORTS = { files: 8080, lines: 7000, plainFiles: 8081, plainLines: 7001 } as const;

/** In the folder of the files. */
export const FILES = {
  large: "large.bin",
  marked: "marked.bin",
  verified: "verified.bin",
} as const;

export interface MemberSettings {
  readonly folder: string;
  readonly addresses: readonly string[];
  readonly interface: string;
  readonly bundle: string;
  readonly applicationsSocket: string;
}

/** A line of a member. */
export interface Said {
  /** Milliseconds since boot, the same clock in every process. */
  readonly at: number;
  readonly what: "ready" | "left" | "resumed" | "trouble" | "counts";
  readonly member?: string;
  readonly message?: string;
  readonly takenOver?: number;
  readonly abandoned?: number;
  readonly lost?: number;
  readonly exposed?: number;
  readonly served?: number;
  readonly held?: number;
}

/** What the client is to keep going. */
export interface ClientSettings {
  readonly folder: string;
  readonly address: string;
  readonly dialogues: number;
  /** Pause of a dialogue between an answer and the next line. */
  readonly thinkMs: number;
  /** Lines of a dialogue that may be under way at once. */
  readonly window: number;
  readonly downloads: number;
  /** Of each download, in bytes a second. */
  readonly rate: number;
  /** Of a connection; afterwards another one is made in its place. */
  readonly lastMs: number;
}

/** The longest time in which a connection that waited for something got nothing. */
export interface Gap {
  readonly kind: "dialogue" | "download";
  readonly from: number;
  readonly to: number;
}

/** What the client saw since it was asked last. */
export interface Report {
  readonly connections: number;
  readonly ended: number;
  /** Where a member's server had not started yet. */
  readonly refused: number;
  readonly bytes: number;
  readonly lines: number;
  /** Each with its reason: a reset, wrong bytes, a connection that ended early. */
  readonly broken: readonly string[];
  readonly gaps: readonly Gap[];
}
