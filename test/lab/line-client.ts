// A program on the client's host that is told lines, and answers each by a list as JSON.
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Lab } from "#lab/lab.ts";
import { STANDARD } from "#lab/standard.ts";

const LIMIT_MS = 20_000;

export class LineClient {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  /** @param program a file beside this one */
  constructor(lab: Lab, program: string, ...words: readonly (string | number)[]) {
    const argv = [process.execPath, path.join(import.meta.dirname, program), ...words.map(String)];
    this.#child = lab.spawn(STANDARD.client, argv, { stdio: ["pipe", "pipe", "inherit"] });
    assert.ok(this.#child.stdout);
    this.#lines = createInterface(this.#child.stdout);
  }

  /** What it says next. */
  async answers(): Promise<string[]> {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const [line] = (await once(this.#lines, "line", { signal })) as [string];
    return JSON.parse(line) as string[];
  }

  async say(line: string): Promise<string[]> {
    const answers = this.answers();
    this.#child.stdin?.write(`${line}\n`);
    return await answers;
  }

  end(): void {
    this.#child.stdin?.end();
  }
}
