// One end of a TCP connection, as little of it as a simulation needs: it sends everything from what was acknowledged on again when nothing
// comes for a while, and takes in what is next. No windows, no options.
import { advance, distance } from "#base/sequence.ts";

export interface Segment {
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly bytes: Uint8Array;
  readonly fin: boolean;
  readonly reset: boolean;
}

export interface TcpEvents {
  readonly send: (segment: Segment) => void;
  readonly bytes: (bytes: Uint8Array) => void;
  /** The other end's FIN. */
  readonly end: () => void;
  /** There is room for more. */
  readonly drain: () => void;
  readonly reset: () => void;
}

const MSS = 100;
const RETRY_MS = 200;
const LONGEST_RETRY_MS = 1600;
const NOTHING = new Uint8Array();

export class Tcp {
  readonly #events: TcpEvents;
  /** Sequence numbers of the first byte that is not acknowledged, and of the first that was never sent. */
  #unacknowledged: number;
  #next: number;
  #receiveNext: number;
  /** From `#unacknowledged` on. */
  #queue = NOTHING;
  #ending = false;
  #finAcknowledged = false;
  #peerEnded = false;
  #retryAt = Infinity;
  #retryMs = RETRY_MS;
  #over = false;

  constructor(is: { readonly sendNext: number; readonly receiveNext: number }, events: TcpEvents) {
    this.#events = events;
    this.#unacknowledged = is.sendNext;
    this.#next = is.sendNext;
    this.#receiveNext = is.receiveNext;
  }

  get queued(): number {
    return this.#queue.byteLength;
  }

  lacks({ sequence, bytes, fin }: Segment): boolean {
    const end = advance(sequence, bytes.byteLength + (fin ? 1 : 0));
    return distance(this.#receiveNext, end) > 0;
  }

  /** With a FIN; undefined: the connection is no more. */
  get undelivered(): number | undefined {
    if (this.#over) return undefined;
    return this.queued + (this.#ending && !this.#finAcknowledged ? 1 : 0);
  }

  /** Everything, with the FIN, is with the other end. */
  get isDelivered(): boolean {
    return this.#over || this.#finAcknowledged;
  }

  write(nowMs: number, bytes: Uint8Array): void {
    this.#queue = Buffer.concat([this.#queue, bytes]);
    this.#output(nowMs);
  }

  end(nowMs: number): void {
    this.#ending = true;
    this.#output(nowMs);
  }

  /** A window probe or a keepalive: whoever gets it answers. */
  ask(): void {
    this.#send(advance(this.#unacknowledged, -1), NOTHING, false);
  }

  reset(): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.send({ ...this.#segment(this.#next, NOTHING, false), reset: true });
  }

  /** Nothing more is heard of it. */
  vanish(): void {
    this.#over = true;
  }

  tick(nowMs: number): void {
    if (this.#over || nowMs < this.#retryAt) return;
    this.#retryMs = Math.min(LONGEST_RETRY_MS, 2 * this.#retryMs);
    this.#next = this.#unacknowledged;
    this.#retryAt = Infinity;
    this.#output(nowMs);
  }

  receive(nowMs: number, segment: Segment): void {
    if (this.#over) return;
    if (segment.reset) {
      this.#over = true;
      return this.#events.reset();
    }
    this.#acknowledged(nowMs, segment.acknowledgement);
    this.#takeIn(segment);
  }

  #acknowledged(nowMs: number, acknowledgement: number): void {
    const count = distance(this.#unacknowledged, acknowledgement);
    const most = this.#queue.byteLength + (this.#ending ? 1 : 0);
    if (count <= 0 || count > most) return;
    const before = this.#queue.byteLength;
    this.#queue = this.#queue.subarray(Math.min(count, before));
    this.#unacknowledged = acknowledgement;
    if (distance(this.#next, acknowledgement) > 0) this.#next = acknowledgement;
    if (this.#ending && count === before + 1) this.#finAcknowledged = true;
    this.#retryMs = RETRY_MS;
    this.#retryAt = Infinity;
    this.#output(nowMs);
    this.#events.drain();
  }

  #takeIn({ sequence, bytes, fin }: Segment): void {
    const isPure = bytes.byteLength === 0 && !fin;
    const known = distance(sequence, this.#receiveNext);
    // A bare acknowledgement is not answered, unless it is from before: somebody asks.
    if (isPure && known <= 0) return;
    if (!isPure && known >= 0 && !this.#peerEnded) {
      const fresh = bytes.subarray(Math.min(known, bytes.byteLength));
      const hasFin = fin && known <= bytes.byteLength;
      this.#receiveNext = advance(this.#receiveNext, fresh.byteLength + (hasFin ? 1 : 0));
      if (fresh.byteLength > 0) this.#events.bytes(fresh);
      if (hasFin) {
        this.#peerEnded = true;
        this.#events.end();
      }
    }
    this.#send(this.#next, NOTHING, false);
  }

  #output(nowMs: number): void {
    if (this.#over) return;
    for (;;) {
      const at = distance(this.#unacknowledged, this.#next);
      const bytes = this.#queue.subarray(at, at + MSS);
      const fin = this.#ending && !this.#finAcknowledged && at + bytes.byteLength === this.queued;
      if (bytes.byteLength === 0 && (!fin || at > this.queued)) break;
      this.#send(this.#next, bytes, fin);
      this.#next = advance(this.#next, bytes.byteLength + (fin ? 1 : 0));
    }
    const isWaiting = this.#next !== this.#unacknowledged;
    if (isWaiting && this.#retryAt === Infinity) this.#retryAt = nowMs + this.#retryMs;
  }

  #segment(sequence: number, bytes: Uint8Array, fin: boolean): Segment {
    return { sequence, acknowledgement: this.#receiveNext, bytes, fin, reset: false };
  }

  #send(sequence: number, bytes: Uint8Array, fin: boolean): void {
    this.#events.send(this.#segment(sequence, bytes, fin));
  }
}
