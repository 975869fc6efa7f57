// The client of one connection: says lines, and checks every byte that comes.
import type { Prng } from "#base/prng.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { answerTo } from "./application.ts";
import { type Segment, Tcp } from "./tcp.ts";

export class SimulatedClient {
  readonly key: ConnectionKey;
  readonly tcp: Tcp;
  readonly #prng: Prng;
  readonly #lines: number;
  #said = 0;
  #due: number[] = [];
  received = 0;
  ended = false;
  /** Nobody could go on with its connection: it is told so. */
  mayBeReset = false;
  wasReset = false;
  /** What must not have happened. */
  problem: string | undefined;

  constructor(
    key: ConnectionKey,
    is: { readonly prng: Prng; readonly lines: number },
    tcp: {
      readonly sendNext: number;
      readonly receiveNext: number;
      readonly send: (s: Segment) => void;
    },
  ) {
    this.key = key;
    this.#prng = is.prng;
    this.#lines = is.lines;
    this.tcp = new Tcp(tcp, {
      send: tcp.send,
      bytes: (bytes) => this.#take(bytes),
      end: () => this.#end(),
      drain: () => {},
      reset: () => this.#reset(),
    });
  }

  /** Whether the segment brings something new. */
  lacks(segment: Segment): boolean {
    return this.tcp.lacks(segment);
  }

  /** Everything has been said, answered and ended. */
  get isDone(): boolean {
    return this.wasReset || (this.ended && this.tcp.isDelivered);
  }

  #reset(): void {
    if (this.mayBeReset) this.wasReset = true;
    else this.problem ??= "reset";
  }

  /** What comes after everything is over does not matter: TIME-WAIT. */
  receive(nowMs: number, segment: Segment): void {
    if (!segment.reset || !this.isDone) this.tcp.receive(nowMs, segment);
  }

  /** Says a line, whatever is under way; the last one is followed by the end of the stream. */
  speak(nowMs: number): void {
    if (this.#said === this.#lines) return;
    this.#said += 1;
    const asksForMore = this.#prng.chance(0.3);
    const line = asksForMore ? String(this.#prng.below(4000)) : `word${this.#prng.below(1e6)}`;
    this.#due.push(...answerTo(line, this.#said));
    this.tcp.write(nowMs, Buffer.from(`${line}\n`, "latin1"));
    if (this.#said === this.#lines) this.tcp.end(nowMs);
  }

  #take(bytes: Uint8Array): void {
    const due = this.#due.splice(0, bytes.byteLength);
    const at = bytes.findIndex((byte, index) => byte !== due[index]);
    if (at >= 0) this.problem ??= `a wrong byte at ${this.received + at}`;
    this.received += bytes.byteLength;
  }

  #end(): void {
    this.ended = true;
    if (this.#said < this.#lines || this.#due.length > 0) {
      this.problem ??= `ended after ${this.received} bytes; ${this.#due.length} are missing`;
    }
  }
}
