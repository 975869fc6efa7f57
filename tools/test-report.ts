// What `npm test` says at the end: the slowest files, every failure, and the closing line, which counts each failure once and is
// the last thing printed.
import path from "node:path";
import { root } from "./steps.ts";
import type { Outcome } from "./test-process.ts";

const SLOWEST = 12;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export class TestReport {
  readonly #failures: string[] = [];
  readonly #msByFile = new Map<string, number>();
  #passed = 0;
  #skipped = 0;

  /** Something that is no test. */
  failed(what: string): void {
    this.#failures.push(what);
  }

  /** @param name of the process: its file, or a name for its many files */
  add(name: string, { passed, skipped, failures, tookMs, msByFile }: Outcome): void {
    this.#passed += passed;
    this.#skipped += skipped;
    for (const failure of failures) this.#failures.push(`${name}: ${failure}`);
    if (msByFile.size > 1) {
      for (const [file, ms] of msByFile) this.#msByFile.set(path.relative(root, file), ms);
      this.#msByFile.set(`${name}, ${msByFile.size} files`, tookMs);
    } else this.#msByFile.set(name, tookMs);
  }

  /** A run without a test has shown nothing. */
  get isGreen(): boolean {
    return this.#failures.length === 0 && this.#passed > 0;
  }

  lines(tookMs: number): string[] {
    const slowest = [...this.#msByFile].sort(([, a], [, b]) => b - a).slice(0, SLOWEST);
    return [
      `\nslowest of ${seconds(tookMs)}:`,
      ...slowest.map(([name, ms]) => `${seconds(ms).padStart(9)}  ${name}`),
      ...(this.#skipped > 0 ? [`\n${this.#skipped} skipped`] : []),
      ...(this.#failures.length > 0 ? ["\nfailed:", ...this.#failures.map((f) => `  ${f}`)] : []),
      `\n${this.#passed} passed, ${this.#failures.length} failed`,
    ];
  }
}
