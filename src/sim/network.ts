// One Ethernet segment between the nodes, and everything that can go wrong on it, per direction of each pair.
import type { EventQueue } from "#base/event-queue.ts";
import type { Prng } from "#base/prng.ts";
import { Packet } from "./packet.ts";

export const LATENCY_MS = 0.1;

/** What holds for every datagram, unless a pair is worse. */
export interface Weather {
  /** Share of datagrams that are lost. */
  loss: number;
  /** Added to the latency, evenly spread: more than the gap between two datagrams reorders them. */
  jitterMs: number;
  /** Share of datagrams that arrive twice. */
  duplicates: number;
  /** Share of datagrams with a changed bit. */
  corruption: number;
}

export const FAIR: Weather = { loss: 0, jitterMs: 0.4, duplicates: 0, corruption: 0 };

const corrupted = (packet: Packet, prng: Prng): Packet => {
  const bytes = packet.bytes.slice();
  const at = prng.below(bytes.byteLength);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << prng.below(8));
  return new Packet(packet.from, bytes, "corrupted");
};

export class Network {
  readonly weather: Weather = { ...FAIR };
  /** Somebody who hears everything. */
  overheard: (packet: Packet) => void = () => {};
  /** Rises with every change of what can reach what. */
  changes = 0;
  readonly #size: number;
  readonly #prng: Prng;
  readonly #queue: EventQueue;
  readonly #arrive: (to: number, packet: Packet) => void;
  /** By from · size + to. */
  readonly #cut: Uint8Array;
  readonly #loss: Float64Array;
  /** Directions of pairs that are cut. */
  #cuts = 0;
  /** Pairs with a loss of their own. */
  #lossy = 0;

  constructor(
    size: number,
    prng: Prng,
    queue: EventQueue,
    arrive: (to: number, packet: Packet) => void,
  ) {
    this.#size = size + 1;
    this.#prng = prng;
    this.#queue = queue;
    this.#arrive = arrive;
    this.#cut = new Uint8Array(this.#size * this.#size);
    this.#loss = new Float64Array(this.#size * this.#size);
  }

  /** Whether frames from one to the other arrive at all. */
  carries(from: number, to: number): boolean {
    return from === to || this.#cut[from * this.#size + to] === 0;
  }

  /** Whether every node hears every other. */
  get isWhole(): boolean {
    return this.#cuts === 0;
  }

  /** Whether some pair has a loss of its own. */
  get isLossy(): boolean {
    return this.#lossy > 0;
  }

  /** Whether both hear each other. */
  connects(a: number, b: number): boolean {
    return this.carries(a, b) && this.carries(b, a);
  }

  lossBetween(a: number, b: number): number {
    const [there, back] = [
      this.#loss[a * this.#size + b] ?? 0,
      this.#loss[b * this.#size + a] ?? 0,
    ];
    return Math.max(this.weather.loss, there, back);
  }

  /** Share of datagrams between two that do not arrive as they were sent: a damaged one is refused, and so it is lost (A17). */
  unheardBetween(a: number, b: number): number {
    return 1 - (1 - this.lossBetween(a, b)) * (1 - this.weather.corruption);
  }

  cut(from: number, to: number, isCut: boolean): void {
    this.#cut[from * this.#size + to] = isCut ? 1 : 0;
    this.#recount();
  }

  #recount(): void {
    this.#cuts = this.#cut.reduce((count, each) => count + each, 0);
    this.#lossy = this.#loss.reduce((count, each) => count + (each > 0 ? 1 : 0), 0);
    this.changes += 1;
  }

  setLoss(from: number, to: number, loss: number): void {
    this.#loss[from * this.#size + to] = loss;
    this.#recount();
  }

  /** Only nodes of one side hear each other; who is on no side, everybody on none. */
  partition(sides: readonly (readonly number[])[]): void {
    const sideOf = new Map(sides.flatMap((ids, side) => ids.map((id) => [id, side + 1] as const)));
    for (let a = 1; a < this.#size; a++) {
      for (let b = 1; b < this.#size; b++) {
        const apart = (sideOf.get(a) ?? 0) !== (sideOf.get(b) ?? 0);
        this.#cut[a * this.#size + b] = apart ? 1 : 0;
      }
    }
    this.#recount();
  }

  heal(): void {
    this.#cut.fill(0);
    this.#loss.fill(0);
    Object.assign(this.weather, FAIR);
    this.#recount();
  }

  get #isFair(): boolean {
    const { loss, duplicates, corruption } = this.weather;
    return loss === 0 && duplicates === 0 && corruption === 0 && this.#lossy === 0;
  }

  #delay(): number {
    return LATENCY_MS + (this.#prng.uint32() / 2 ** 32) * this.weather.jitterMs;
  }

  /** `hears`: which nodes a broadcast is for; a switch brings it to all of them at once when nothing is wrong. */
  broadcast(nowMs: number, from: number, packet: Packet): void {
    this.overheard(packet);
    if (!this.#isFair) {
      for (let to = 1; to < this.#size; to++) if (to !== from) this.#one(nowMs, from, to, packet);
      return;
    }
    this.#queue.add(nowMs + this.#delay(), () => {
      for (let to = 1; to < this.#size; to++) {
        if (to !== from && this.carries(from, to)) this.#arrive(to, packet);
      }
    });
  }

  send(nowMs: number, from: number, to: number, packet: Packet): void {
    this.overheard(packet);
    this.#one(nowMs, from, to, packet);
  }

  #one(nowMs: number, from: number, to: number, packet: Packet): void {
    if (!this.carries(from, to)) return;
    const { loss, duplicates, corruption } = this.weather;
    const lost = Math.max(loss, this.#loss[from * this.#size + to] ?? 0);
    if (lost > 0 && this.#prng.chance(lost)) return;
    const damaged = corruption > 0 && this.#prng.chance(corruption);
    this.#carry(nowMs, from, to, damaged ? corrupted(packet, this.#prng) : packet);
    if (duplicates > 0 && this.#prng.chance(duplicates)) this.#carry(nowMs, from, to, packet);
  }

  #carry(nowMs: number, from: number, to: number, packet: Packet): void {
    this.#queue.add(nowMs + this.#delay(), () => {
      if (this.carries(from, to)) this.#arrive(to, packet);
    });
  }
}
