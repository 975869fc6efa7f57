// One client of the relay and its connection to the backend, as a machine without sockets: requests go there, answers come back in order,
// one for each request. What the client has is exactly what the session's state says (A16): an answer leaves with the state in which its
// request is answered. So a member that takes over knows which requests have no answer yet; they are the input behind the state.
import { after, earliest, type Instant } from "#base/time.ts";
import { decodeUtf8 } from "#wire/utf8.ts";
import { FrameCutter, type Framing } from "./frames.ts";

export interface ExchangeRules {
  readonly framing: Framing;
  /** Bytes, of a request and of an answer. */
  readonly maxFrame: number;
  /** Requests without an answer, in all and in bytes; then the client waits. One is always taken. */
  readonly maxInFlight: number;
  readonly maxInFlightBytes: number;
  /**
   * Requests that were given to a backend whose connection is lost: given to the next one, which may do them twice; or the client's
   * connection ends behind the last answer, and no request is ever given twice.
   */
  readonly onLoss: "replay" | "close";
  /** Messages that the backend says first, unasked. */
  readonly greeting: number;
  readonly connectTimeoutMs: number;
  /** 0: none. */
  readonly answerTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

export type ExchangeInput =
  | { readonly type: "begin"; readonly state: Uint8Array | undefined }
  | { readonly type: "client" | "backend"; readonly bytes: Uint8Array }
  | { readonly type: "client-ended" | "backend-up" | "backend-ended" | "backend-lost" | "tick" }
  /** The other members hold this commit. */
  | { readonly type: "held"; readonly given: number };

/** Why a client's connection ends that would have gone on. */
export type Trouble =
  | "backend-unreachable"
  | "request-lost"
  | "replayed-too-often"
  | "request-too-long"
  | "answer-too-long"
  | "idle";

export type ExchangeEffect =
  | { readonly type: "connect" | "end-backend" | "drop-backend" | "end" }
  | { readonly type: "give"; readonly bytes: Uint8Array }
  | {
      readonly type: "commit";
      readonly output: Uint8Array;
      readonly state: Uint8Array;
      readonly unread: number;
      /** Requests that may be given when the other members hold this; undefined: none wait for it. */
      readonly given: number | undefined;
    }
  | { readonly type: "trouble"; readonly trouble: Trouble };

/** A request that makes its backend fail is not tried for ever. */
const MAX_REPLAYS = 3;
const RETRY_MS = 100;
/** A backend that was told that the client has ended may take so long to end, too. */
const LAST_WORDS_MS = 10_000;

interface State {
  /** Messages of the greeting that the client has yet to get. */
  readonly greeting: number;
  /** Requests behind the state that may be with a backend; only where none is given twice. */
  readonly given: number;
}

export class Exchange {
  readonly #rules: ExchangeRules;
  readonly #requests: FrameCutter;
  readonly #answers: FrameCutter;
  /** Without an answer, in order. */
  #open: Uint8Array[] = [];
  #openBytes = 0;
  /** Of these, so many have been given to this backend; and so many may be, by what the other members hold. */
  #given = 0;
  #allowed = 0;
  /** Requests from the first: answered, and told to the other members as given. */
  #answered = 0;
  #promised = 0;
  #greeting: number;
  /** Of a backend that is not the client's first. */
  #unwanted = 0;
  #backend: "down" | "connecting" | "up" = "down";
  #everUp = false;
  #replays = 0;
  #clientEnded = false;
  /** The last request is a line without its end: nobody owes an answer to it. */
  #isLastBare = false;
  #toldEnd = false;
  #over = false;
  #retryAt: Instant | undefined;
  #reachBy: Instant | undefined;
  #answerBy: Instant | undefined;
  #idleAt: Instant | undefined;
  #lastWordsBy: Instant | undefined;

  constructor(rules: ExchangeRules) {
    this.#rules = rules;
    this.#requests = new FrameCutter(rules.framing, rules.maxFrame);
    this.#answers = new FrameCutter(rules.framing, rules.maxFrame);
    this.#greeting = rules.greeting;
  }

  get deadline(): Instant | undefined {
    if (this.#over) return undefined;
    const backend = earliest(this.#retryAt, this.#reachBy, this.#answerBy);
    return earliest(backend, this.#lastWordsBy, this.#idleAt);
  }

  /** Whether more of the client is to be read. */
  get wantsRequests(): boolean {
    const { maxInFlight, maxInFlightBytes } = this.#rules;
    return this.#open.length < maxInFlight && this.#openBytes < maxInFlightBytes;
  }

  /** Another member could not go on as if nothing had been: a request that may not be given twice is with the backend. */
  get mustStay(): boolean {
    return this.#promised > this.#answered;
  }

  step(now: Instant, input: ExchangeInput): ExchangeEffect[] {
    if (this.#over) return [];
    switch (input.type) {
      case "begin":
        return this.#begin(now, input.state);
      case "client":
        return this.#client(now, input.bytes);
      case "client-ended":
        return this.#clientEnds(now);
      case "backend-up":
        return this.#up(now);
      case "backend":
        return this.#heard(now, input.bytes);
      case "backend-ended":
        return this.#backendEnds(now);
      case "backend-lost":
        return this.#lost(now);
      case "held":
        this.#allowed = Math.max(this.#allowed, input.given);
        return this.#give(now);
      case "tick":
        return this.#tick(now);
    }
  }

  #begin(now: Instant, bytes: Uint8Array | undefined): ExchangeEffect[] {
    this.#touch(now);
    const state = bytes === undefined ? undefined : readState(bytes);
    if (state === undefined) return this.#connect(now);
    this.#greeting = state.greeting;
    // the greeting of a backend of which the client has begun to hear is not its own
    this.#everUp = true;
    if (state.given > 0) return this.#endBy("request-lost");
    return this.#connect(now);
  }

  #connect(now: Instant): ExchangeEffect[] {
    this.#backend = "connecting";
    this.#retryAt = undefined;
    this.#reachBy ??= after(now, this.#rules.connectTimeoutMs);
    return [{ type: "connect" }];
  }

  /** A backend that is away is called when it is needed. */
  #connectIfNeeded(now: Instant): ExchangeEffect[] {
    const isNeeded = this.#open.length > 0 || this.#greeting > 0;
    const isCalled = this.#backend === "connecting" || this.#retryAt !== undefined;
    return isNeeded && !isCalled ? this.#connect(now) : [];
  }

  #up(now: Instant): ExchangeEffect[] {
    this.#backend = "up";
    this.#reachBy = undefined;
    this.#unwanted = this.#everUp ? this.#rules.greeting - this.#greeting : 0;
    this.#everUp = true;
    if (this.#unwanted > 0 || this.#greeting > 0) this.#expectAnswer(now);
    return this.#give(now);
  }

  #client(now: Instant, bytes: Uint8Array): ExchangeEffect[] {
    this.#touch(now);
    const frames = this.#requests.push(bytes);
    if (frames === undefined) return this.#endBy("request-too-long");
    for (const frame of frames) this.#take(frame);
    return this.#give(now);
  }

  #take(frame: Uint8Array): void {
    this.#open.push(frame);
    this.#openBytes += frame.byteLength;
  }

  #clientEnds(now: Instant): ExchangeEffect[] {
    this.#clientEnded = true;
    const { rest } = this.#requests;
    if (rest.byteLength > 0 && this.#rules.framing === "line") {
      this.#isLastBare = true;
      this.#take(rest);
      this.#requests.clear();
    }
    if (this.#open.length === 0 && this.#backend !== "up") return this.#end();
    return this.#give(now);
  }

  /** Everything that may be given, and the end behind it. */
  #give(now: Instant): ExchangeEffect[] {
    const effects: ExchangeEffect[] = this.#promise();
    if (this.#backend !== "up") return [...effects, ...this.#connectIfNeeded(now)];
    const may =
      this.#rules.onLoss === "replay" ? this.#open.length : this.#allowed - this.#answered;
    const next = this.#open.slice(this.#given, Math.max(this.#given, may));
    if (next.length > 0) {
      effects.push({ type: "give", bytes: Buffer.concat(next) });
      this.#given += next.length;
      this.#expectAnswer(now);
    }
    if (this.#clientEnded && !this.#toldEnd && this.#given === this.#open.length) {
      this.#toldEnd = true;
      if (!this.#isOwed) this.#lastWordsBy = after(now, LAST_WORDS_MS);
      effects.push({ type: "end-backend" });
    }
    return effects;
  }

  /** Where nothing is given twice, the other members know of it first. */
  #promise(): ExchangeEffect[] {
    const upTo = this.#answered + this.#open.length;
    if (this.#rules.onLoss === "replay" || this.#promised >= upTo) return [];
    this.#promised = upTo;
    return [this.#commit([], upTo)];
  }

  /** Whether an answer has to come. */
  get #isOwed(): boolean {
    return this.#given > (this.#isLastBare ? 1 : 0);
  }

  #expectAnswer(now: Instant): void {
    const { answerTimeoutMs } = this.#rules;
    if (answerTimeoutMs > 0) this.#answerBy ??= after(now, answerTimeoutMs);
  }

  #commit(output: readonly Uint8Array[], given?: number): ExchangeEffect {
    const state: State = {
      greeting: this.#greeting,
      given: Math.max(0, this.#promised - this.#answered),
    };
    return {
      type: "commit",
      output: Buffer.concat(output),
      state: Buffer.from(JSON.stringify(state)),
      unread: this.#openBytes + this.#requests.rest.byteLength,
      given,
    };
  }

  #heard(now: Instant, bytes: Uint8Array): ExchangeEffect[] {
    this.#touch(now);
    const frames = this.#answers.push(bytes);
    if (frames === undefined) return this.#endBy("answer-too-long");
    const output: Uint8Array[] = [];
    for (const frame of frames) if (this.#isForClient()) output.push(frame);
    if (frames.length > 0) {
      this.#answerBy = undefined;
      if (this.#isOwed) this.#expectAnswer(now);
      if (this.#toldEnd && !this.#isOwed) this.#lastWordsBy ??= after(now, LAST_WORDS_MS);
    }
    return output.length === 0 ? [] : [this.#commit(output), ...this.#give(now)];
  }

  /** Takes note of one message of the backend: of its greeting, an answer, or something that nobody asked for. */
  #isForClient(): boolean {
    if (this.#unwanted > 0) {
      this.#unwanted -= 1;
      return false;
    }
    if (this.#greeting > 0) {
      this.#greeting -= 1;
      this.#replays = 0;
      return true;
    }
    if (this.#given === 0) return true;
    this.#openBytes -= this.#open.shift()?.byteLength ?? 0;
    this.#given -= 1;
    this.#answered += 1;
    this.#replays = 0;
    return true;
  }

  /** Its FIN: with nothing in flight the backend has said that this is the end. */
  #backendEnds(now: Instant): ExchangeEffect[] {
    if (this.#isOwed || this.#given < this.#open.length) return this.#lost(now);
    const { rest } = this.#answers;
    // the last line of a backend may be without its end, too
    const isLine = this.#rules.framing === "line" && rest.byteLength > 0;
    return [...(isLine ? [this.#commit([rest])] : []), ...this.#end()];
  }

  #lost(now: Instant): ExchangeEffect[] {
    const wasConnecting = this.#backend === "connecting";
    const wasOwed = this.#isOwed;
    const wasUnkind = this.#backend === "up" && (wasOwed || this.#greeting > 0);
    this.#backend = "down";
    this.#given = 0;
    this.#answers.clear();
    this.#answerBy = undefined;
    this.#toldEnd = false;
    const drop: ExchangeEffect = { type: "drop-backend" };
    if (this.#clientEnded && this.#open.length === 0) return [drop, ...this.#end()];
    if (wasOwed && this.#rules.onLoss === "close") return this.#endBy("request-lost");
    if (wasUnkind) this.#replays += 1;
    if (this.#replays > MAX_REPLAYS) return this.#endBy("replayed-too-often");
    if (this.#open.length === 0 && this.#greeting === 0) this.#reachBy = undefined;
    else if (wasConnecting) this.#retryAt = after(now, RETRY_MS);
    return [drop, ...this.#connectIfNeeded(now)];
  }

  #touch(now: Instant): void {
    const { idleTimeoutMs } = this.#rules;
    if (idleTimeoutMs > 0) this.#idleAt = after(now, idleTimeoutMs);
  }

  #tick(now: Instant): ExchangeEffect[] {
    const isDue = (at: Instant | undefined): boolean => at !== undefined && now >= at;
    if (isDue(this.#idleAt)) return this.#endBy("idle");
    if (isDue(this.#lastWordsBy)) return this.#end();
    if (isDue(this.#reachBy)) return this.#endBy("backend-unreachable");
    if (isDue(this.#answerBy)) return this.#lost(now);
    return isDue(this.#retryAt) ? this.#connect(now) : [];
  }

  #endBy(trouble: Trouble): ExchangeEffect[] {
    return [{ type: "trouble", trouble }, ...this.#end()];
  }

  #end(): ExchangeEffect[] {
    this.#over = true;
    return [{ type: "drop-backend" }, { type: "end" }];
  }
}

/** Undefined: not written by a relay. */
function readState(bytes: Uint8Array): State | undefined {
  const state = JSON.parse(decodeUtf8(bytes) ?? "null") as Partial<State> | null;
  return typeof state?.greeting === "number" && typeof state.given === "number"
    ? { greeting: state.greeting, given: state.given }
    : undefined;
}
