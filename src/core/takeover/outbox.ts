// What an application makes for its peer, and what of it must wait (A16). Two kinds of output, which may follow each other:
//
//   made again   write(): follows from the last state and the input behind it, so no replica holds it. A state that stands for such output
//                is told only when the peer has that output: until then the older state is the one from which it can be made.
//   copied       commit(): output that nothing could make again goes to the replicas together with the state behind it, and leaves when
//                they hold both. So a new owner never knows less than the peer, and begins at exactly that state.
//
// The end of the output waits likewise: a FIN leaves when the replicas know of it.
import type { Snapshot } from "#wire/takeover/message.ts";

/** How much of the replicas' memory is wasted by what the peer has, before they are told so. */
const STALE_BYTES = 4096;
/** A 32-bit sequence number stays unambiguous when its surroundings are told so often. */
const FAR_BYTES = 2 ** 28;
/** States that wait for the peer; one that comes while so many do replaces the newest of them. */
const MAX_WAITING_STATES = 8;

export interface Commit {
  readonly output: Uint8Array;
  readonly state: Uint8Array;
  /** Input that the state has taken in. */
  readonly inputOffset: number;
  /** Names it, for `held`. */
  readonly id: number;
}

export type OutboxEffect =
  /** To the peer, in this order. */
  | { readonly type: "send"; readonly bytes: Uint8Array }
  | { readonly type: "send-end" }
  /** To the replicas. */
  | { readonly type: "tell-output"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly type: "tell-state"; readonly snapshot: Snapshot }
  | { readonly type: "tell-end"; readonly offset: number }
  | { readonly type: "tell-progress"; readonly outputOffset: number }
  /** The replicas hold this commit, or nobody protects the connection any more. */
  | { readonly type: "held"; readonly id: number };

export interface OutboxStart {
  /** Output that the application's state stands for. */
  readonly made: number;
  /** Output that the peer has already: it is not sent again. */
  readonly delivered: number;
  /** An earlier owner has told that the output ends. */
  readonly ended: boolean;
  /** Snapshots that the connection's log has seen. */
  readonly states: number;
}

type Item =
  | { readonly type: "write"; readonly bytes: Uint8Array }
  | { readonly type: "state"; readonly snapshot: Snapshot; readonly after: number }
  | ({ readonly type: "commit"; readonly offset: number; readonly after: number } & Commit)
  | { readonly type: "end" };

interface Waiting {
  readonly item: Item;
  /** Commits: which of the connection's states it was told as; undefined: not yet. */
  told: number | undefined;
}

interface WaitingState {
  readonly snapshot: Snapshot;
  /** What the peer must have first. */
  readonly after: number;
}

export class Outbox {
  readonly #delivered: number;
  #made: number;
  /** Up to here it has left. */
  #left: number;
  #acknowledged: number;
  /** Where the last output ends that is made again, and the last that is copied. */
  #remade = 0;
  #copied: number;
  /** Up to here the replicas know that the peer has it. */
  #progress: number;
  /** Nobody protects the connection: nothing waits. */
  #exposed = false;
  #queue: Waiting[] = [];
  /** So many of the queue's first have been told, or need not be. */
  #examined = 0;
  #states: WaitingState[] = [];
  /** States told, and those that all replicas hold. */
  #told: number;
  #held = 0;
  #endTold: boolean;
  #endHeld = false;
  #ended = false;

  constructor({ made, delivered, ended, states }: OutboxStart) {
    this.#made = made;
    this.#delivered = delivered;
    this.#left = Math.max(made, delivered);
    this.#acknowledged = delivered;
    this.#progress = delivered;
    // what lies between is in the replicas' logs: it was copied
    this.#copied = delivered < made ? made : 0;
    this.#endTold = ended;
    this.#told = states;
  }

  /** Output that the application has made, from the connection's first byte. */
  get made(): number {
    return this.#made;
  }

  /** Output that the peer has and the application has yet to make again. */
  get missing(): number {
    return Math.max(0, this.#delivered - this.#made);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Bytes that have not left. */
  get queued(): number {
    return Math.max(0, this.#made - this.#left);
  }

  /** Bytes that wait here, and those that the replicas keep for the peer. */
  get waiting(): number {
    if (this.#exposed) return this.queued;
    return this.queued + Math.max(0, Math.min(this.#copied, this.#left) - this.#acknowledged);
  }

  /** Whether it matters how far the peer has acknowledged. */
  get asksPeer(): boolean {
    if (this.#exposed) return false;
    return (
      this.#states.length > 0 ||
      this.#queue[this.#examined]?.item.type === "commit" ||
      this.#copied - this.#progress >= STALE_BYTES ||
      this.#made - this.#progress >= FAR_BYTES
    );
  }

  skip(bytes: number): void {
    if (bytes > this.missing) throw new RangeError(`${bytes} bytes are more than the peer has`);
    this.#made += bytes;
    this.#remade = this.#made;
  }

  write(bytes: Uint8Array): OutboxEffect[] {
    this.#assertOpen();
    const known = Math.min(this.missing, bytes.byteLength);
    this.#made += bytes.byteLength;
    this.#remade = this.#made;
    if (known === bytes.byteLength) return [];
    return this.#put({ type: "write", bytes: bytes.subarray(known) });
  }

  /** @param inputOffset input that the state has taken in */
  state(bytes: Uint8Array, inputOffset: number): OutboxEffect[] {
    const snapshot = { inputOffset, outputOffset: this.#made, bytes };
    return this.#put({ type: "state", snapshot, after: this.#remade });
  }

  commit(commit: Commit): OutboxEffect[] {
    this.#assertOpen();
    if (this.missing > 0) {
      throw new RangeError(
        "The peer has output that this state has not made again. Output that is not the same each time belongs into commit().",
      );
    }
    const offset = this.#made;
    this.#made += commit.output.byteLength;
    this.#copied = this.#made;
    return this.#put({ type: "commit", offset, after: this.#remade, ...commit });
  }

  end(): OutboxEffect[] {
    if (this.#ended) return [];
    this.#ended = true;
    return this.#put({ type: "end" });
  }

  /** The peer has acknowledged so much output. */
  acknowledged(offset: number): OutboxEffect[] {
    if (offset <= this.#acknowledged) return [];
    this.#acknowledged = offset;
    return [...this.#report(), ...this.#advance()];
  }

  /** The replicas hold so many of the connection's states, and whether they know of the output's end. */
  held(states: number, end: boolean): OutboxEffect[] {
    this.#held = Math.max(this.#held, states);
    this.#endHeld ||= end;
    return this.#advance();
  }

  /** Nobody protects the connection any more: what waits goes. */
  expose(): OutboxEffect[] {
    this.#exposed = true;
    this.#states = [];
    return this.#advance();
  }

  #assertOpen(): void {
    if (this.#ended) throw new RangeError("The session's output has ended");
  }

  #put(item: Item): OutboxEffect[] {
    this.#queue.push({ item, told: undefined });
    return this.#advance();
  }

  /** Tells what may be told, and lets go what may leave; one may make way for the other. */
  #advance(): OutboxEffect[] {
    const effects: OutboxEffect[] = [];
    for (;;) {
      const before = this.#queue.length;
      const step = [...this.#tellStates(), ...this.#tellCommits(), ...this.#release()];
      if (step.length === 0 && this.#queue.length === before) return effects;
      effects.push(...step);
    }
  }

  /** The newest of those that the peer has made good. */
  #tellStates(): OutboxEffect[] {
    const at = this.#states.findLastIndex(({ after }) => after <= this.#acknowledged);
    const snapshot = this.#states[at]?.snapshot;
    if (snapshot === undefined) return [];
    this.#states = this.#states.slice(at + 1);
    return [this.#tell(snapshot)];
  }

  #tell(snapshot: Snapshot): OutboxEffect {
    this.#told += 1;
    return { type: "tell-state", snapshot };
  }

  /** In their order; one that waits for the peer holds up those behind it. */
  #tellCommits(): OutboxEffect[] {
    if (this.#exposed) return [];
    const effects: OutboxEffect[] = [];
    for (; this.#examined < this.#queue.length; this.#examined += 1) {
      const waiting = this.#queue[this.#examined];
      if (waiting === undefined || waiting.item.type === "state") break;
      const { item } = waiting;
      if (item.type !== "commit") continue;
      if (item.after > this.#acknowledged) break;
      const { offset, output, state: bytes, inputOffset } = item;
      // older ones would contradict it
      this.#states = [];
      if (output.byteLength > 0) effects.push({ type: "tell-output", offset, bytes: output });
      const outputOffset = offset + output.byteLength;
      effects.push(this.#tell({ inputOffset, outputOffset, bytes }));
      waiting.told = this.#told;
    }
    return effects;
  }

  #release(): OutboxEffect[] {
    const effects: OutboxEffect[] = [];
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      const { item, told } = head;
      if (item.type === "commit" && !this.#exposed && !(told !== undefined && told <= this.#held)) {
        break;
      }
      if (item.type === "end" && !this.#mayEnd(effects)) break;
      this.#queue.shift();
      this.#examined = Math.max(0, this.#examined - 1);
      effects.push(...this.#leave(item));
    }
    return effects;
  }

  #leave(item: Item): OutboxEffect[] {
    switch (item.type) {
      case "write":
        return [this.#send(item.bytes)];
      case "state":
        this.#keepState(item);
        return [];
      case "commit": {
        const { output: bytes, id } = item;
        const held: OutboxEffect = { type: "held", id };
        return bytes.byteLength === 0 ? [held] : [this.#send(bytes), held];
      }
      case "end":
        return [{ type: "send-end" }];
    }
  }

  #send(bytes: Uint8Array): OutboxEffect {
    this.#left += bytes.byteLength;
    return { type: "send", bytes };
  }

  #keepState({ snapshot, after }: WaitingState): void {
    if (this.#exposed) return;
    if (this.#states.length === MAX_WAITING_STATES) this.#states.pop();
    this.#states.push({ snapshot, after });
  }

  /** Told first, and known to the replicas before it leaves. */
  #mayEnd(effects: OutboxEffect[]): boolean {
    if (this.#exposed || this.#endHeld) return true;
    if (!this.#endTold) {
      this.#endTold = true;
      effects.push({ type: "tell-end", offset: this.#made });
    }
    return false;
  }

  /** What the peer has, the replicas need not keep. */
  #report(): OutboxEffect[] {
    if (this.#exposed) return [];
    const outputOffset = this.#acknowledged;
    const stale = Math.min(outputOffset, this.#copied) - this.#progress;
    if (stale < STALE_BYTES && outputOffset - this.#progress < FAR_BYTES) return [];
    this.#progress = outputOffset;
    return [{ type: "tell-progress", outputOffset }];
  }
}
