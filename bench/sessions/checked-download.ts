// A long download by a stock curl whose every byte counts: a file of any size that is made quickly and lies on few blocks of a disk, and its
// checksum. Also used by the lab tests of sessions (A16).
import type { ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import type { Lab } from "#lab/lab.ts";
import { STANDARD } from "#lab/standard.ts";

/** Random bytes at the beginning of every so many: what is missing, doubled or elsewhere moves all that follow. */
const MARK_EVERY = 1024 * 1024;
const MARK_BYTES = 4096;

/** Writes a file of marks with holes between them. Answers its SHA-256, in hex. */
export function writeMarked(file: string, bytes: number): string {
  const hash = createHash("sha256");
  const fd = openSync(file, "w");
  try {
    ftruncateSync(fd, bytes);
    const block = Buffer.alloc(MARK_EVERY);
    for (let at = 0; at < bytes; at += MARK_EVERY) {
      randomBytes(MARK_BYTES).copy(block);
      const length = Math.min(MARK_EVERY, bytes - at);
      writeSync(fd, block, 0, Math.min(MARK_BYTES, length), at);
      hash.update(block.subarray(0, length));
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest("hex");
}

export interface Downloaded {
  /** curl's. */
  readonly status: number | null;
  readonly complaint: string;
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
}

export class CheckedDownload {
  readonly #curl: ChildProcess;
  readonly #ended: Promise<[number | null]>;
  readonly #hash = createHash("sha256");
  #bytes = 0;
  #complaint = "";

  /** Begins it, from the lab's client. @param more arguments of curl */
  constructor(lab: Lab, url: string, more: readonly string[] = []) {
    const argv = ["curl", "--silent", "--show-error", ...more, url];
    this.#curl = lab.spawn(STANDARD.client, argv, { stdio: ["ignore", "pipe", "pipe"] });
    this.#ended = once(this.#curl, "close") as Promise<[number | null]>;
    this.#curl.stdout?.on("data", (chunk: Buffer) => {
      this.#hash.update(chunk);
      this.#bytes += chunk.byteLength;
    });
    this.#curl.stderr?.on("data", (chunk: Buffer) => (this.#complaint += chunk.toString()));
  }

  /** That have come. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Until so many bytes have come. It stands still from then until go(): whoever serves it can be looked for. */
  async reach(bytes: number): Promise<void> {
    while (this.#bytes < bytes) {
      const ended = this.#ended.then(() => true);
      const came = once(this.#curl.stdout ?? this.#curl, "data").then(() => false);
      if (await Promise.race([ended, came])) {
        throw new Error(`The download ended after ${this.#bytes} bytes: ${this.#complaint}`);
      }
    }
    this.#curl.stdout?.pause();
  }

  go(): void {
    this.#curl.stdout?.resume();
  }

  giveUp(): void {
    this.#curl.kill("SIGKILL");
  }

  /** Resolves when it is over, whatever came of it. */
  async end(): Promise<Downloaded> {
    const [status] = await this.#ended;
    const sha256 = this.#hash.digest("hex");
    return { status, complaint: this.#complaint, bytes: this.#bytes, sha256 };
  }
}
