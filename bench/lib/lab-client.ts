// A program of a benchmark in the namespace of a lab host, which is told by lines what to do, and answers with lines.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import type { Lab } from "#lab/lab.ts";

export interface LabClientOptions {
  readonly host: string;
  readonly argv: readonly string[];
  /** For messages. */
  readonly name: string;
  readonly limitMs: number;
}

export class LabClient {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #options: LabClientOptions;

  constructor(lab: Lab, options: LabClientOptions) {
    const { host, argv, name } = options;
    this.#options = options;
    this.#child = lab.spawn(host, argv, { stdio: ["pipe", "pipe", "inherit"] });
    if (this.#child.stdout === null) throw new Error(`the ${name} has no output`);
    this.#lines = createInterface(this.#child.stdout);
  }

  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** The next one. @param what it says, for messages */
  async line(what: string): Promise<string> {
    const { name, limitMs } = this.#options;
    const asked = new AbortController();
    const signal = AbortSignal.any([AbortSignal.timeout(limitMs), asked.signal]);
    const line = once(this.#lines, "line", { signal }) as Promise<[string]>;
    const gone = once(this.#lines, "close", { signal }).then(() => {
      throw new Error(`The ${name} ended before ${what}`);
    });
    try {
      const [text] = await Promise.race([line, gone]);
      return text;
    } finally {
      asked.abort(); // nobody listens for what did not happen
    }
  }

  end(): void {
    this.#child.kill("SIGTERM");
  }
}
