// Scripts that take part (A10). Events wait in a bounded queue and are handed to the hooks one after the other, so that each hook sees
// them in order; votes do not wait behind events. The agent never waits for a hook.
import type { Logger } from "pino";
import type { Event, JoinVote } from "#wire/applications/message.ts";
import { hookEnvironment, type HookPlace, type HookSubject } from "./hook-environment.ts";
import type { Trouble } from "../trouble.ts";
import { type HookFiles, listHooks } from "./hook-files.ts";
import { type HookResult, runHook } from "./hook-run.ts";
import type { Tally } from "./tally.ts";

/** Events that wait. When there are more, the newest are dropped, counted, and the next hook is told how many it missed. */
export const MAX_WAITING = 1024;
export const HOOK_TIMEOUT_MS = 10_000;

/** What vote hooks say: a refusal's words, or nothing to say against it; "none": a hook failed, the rule decides. */
export type HookVote = { readonly refusal: string } | "accept" | "none";

export interface HooksHost {
  readonly folder: string;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly tally: Tally;
  readonly trouble: Pick<Trouble, "report">;
  readonly place: () => HookPlace;
  readonly timeoutMs?: number;
  readonly maxWaiting?: number;
}

export class Hooks {
  readonly #host: HooksHost;
  readonly #waiting: Event[] = [];
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #isDraining = false;
  /** Of the last event that all hooks were told. */
  #sequence: number | undefined;
  #complained = "";

  constructor(host: HooksHost) {
    this.#host = host;
  }

  /** Looks at the folder anew: hooks come and go while the agent runs. What is refused is said once. */
  files(): HookFiles {
    const { folder, log, tally } = this.#host;
    const files = listHooks(folder);
    const complaint = JSON.stringify(files.refused);
    if (complaint !== this.#complained) {
      this.#complained = complaint;
      for (const { file, problem } of files.refused) {
        tally.add("hook-refusals");
        log.warn({ hook: file }, `hook is not run: ${problem}`);
      }
    }
    return files;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  tell(event: Event): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#waiting.length >= (this.#host.maxWaiting ?? MAX_WAITING)) {
      this.#host.tally.add("hook-events-dropped");
      return;
    }
    this.#waiting.push(event);
    if (!this.#isDraining) void this.#keep(this.#drain(), undefined);
  }

  /** Remembered until it is done. What goes wrong is reported, and `otherwise` is the result. */
  #keep<T>(work: Promise<T>, otherwise: T): Promise<T> {
    const kept = work.catch((error: unknown) => {
      this.#host.trouble.report("hooks", error);
      return otherwise;
    });
    this.#running.add(kept);
    void kept.then(() => this.#running.delete(kept));
    return kept;
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    try {
      for (let event = this.#waiting.shift(); event; event = this.#waiting.shift()) {
        await this.#tellAll(event).catch((error: unknown) => this.#lost(event, error));
      }
    } finally {
      this.#isDraining = false;
    }
  }

  /** A fault of the agent keeps no further events back; the next hook is told that it missed this one. */
  #lost(event: Event, error: unknown): void {
    this.#sequence ??= event.sequence - 1;
    this.#host.tally.add("hook-events-lost");
    this.#host.trouble.report("tell hooks", error);
  }

  async #tellAll(event: Event): Promise<void> {
    const missed = event.sequence - (this.#sequence ?? event.sequence - 1) - 1;
    const timeoutMs = this.#host.timeoutMs ?? HOOK_TIMEOUT_MS;
    for (const file of this.files().events) {
      if (this.#stopping.signal.aborted) return;
      await this.#run(file, event, { timeoutMs, missed });
    }
    this.#sequence = event.sequence;
  }

  /** Asks the vote hooks one after the other; the first that refuses ends it. */
  vote(vote: JoinVote, signal: AbortSignal): Promise<HookVote> {
    return this.#keep(this.#vote(vote, signal), "none");
  }

  async #vote(vote: JoinVote, signal: AbortSignal): Promise<HookVote> {
    const end = performance.now() + vote.withinMs;
    for (const file of this.files().votes) {
      const timeoutMs = Math.max(1, end - performance.now());
      const result = await this.#run(file, vote, { timeoutMs, signal });
      if (result.outcome !== "ended" || result.status === undefined) return "none";
      if (result.status !== 0) return { refusal: wordsOf(result) };
    }
    return "accept";
  }

  async #run(
    file: string,
    subject: HookSubject,
    how: { readonly timeoutMs: number; readonly missed?: number; readonly signal?: AbortSignal },
  ): Promise<HookResult> {
    const { tally, log, place } = this.#host;
    const stopping = this.#stopping.signal;
    tally.add("hook-runs");
    const result = await runHook({
      file,
      environment: hookEnvironment(subject, place(), how.missed),
      input: `${JSON.stringify(subject)}\n`,
      timeoutMs: how.timeoutMs,
      signal: how.signal === undefined ? stopping : AbortSignal.any([stopping, how.signal]),
    });
    const { outcome, status, stdout, stderr } = result;
    if (outcome === "timeout") tally.add("hook-timeouts");
    const isVote = subject.type === "join-vote";
    const failed = outcome === "not-started" || (outcome === "ended" && status !== 0 && !isVote);
    if (failed) tally.add("hook-failures");
    const output = { ...(stdout === "" ? {} : { stdout }), ...(stderr === "" ? {} : { stderr }) };
    const line = { hook: file, event: subject.type, outcome, status, ...output };
    if (failed || outcome === "timeout") log.warn(line, "hook failed");
    else if (stdout + stderr !== "") log.info(line, "hook");
    return result;
  }

  /** Kills what runs, forgets what waits. */
  async stop(): Promise<void> {
    this.#waiting.length = 0;
    this.#stopping.abort();
    await Promise.allSettled(this.#running);
  }
}

/** The first line that it printed. */
function wordsOf({ stdout, status }: HookResult): string {
  const [first = ""] = stdout.split("\n");
  return first.trim() === "" ? `exit status ${status}` : first.trim();
}
