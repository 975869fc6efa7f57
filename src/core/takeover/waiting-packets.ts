// Packets of a peer that came while its connection was on the way to this member: given to its socket when that is there, so that the
// peer's timer need not send them again. Bounded in number, bytes and age; what does not fit, the peer does send again.
import { elapsedMs, type Instant } from "#base/time.ts";

export interface WaitingLimits {
  /** Packets of one connection; the first are kept, because the others are of use only behind them. */
  readonly packets: number;
  /** Of all connections. */
  readonly bytes: number;
  readonly ageMs: number;
}

export const WAITING_LIMITS: WaitingLimits = {
  packets: 64,
  bytes: 32 * 1024 * 1024,
  ageMs: 2000,
};

interface Waiting {
  /** When the first came. */
  readonly since: Instant;
  readonly packets: Uint8Array[];
}

export class WaitingPackets {
  readonly #limits: WaitingLimits;
  /** By the connection's name, in the order in which their first came. */
  readonly #waiting = new Map<string, Waiting>();
  #bytes = 0;

  constructor(limits: WaitingLimits = WAITING_LIMITS) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  keep(now: Instant, connection: string, packet: Uint8Array): void {
    this.#expire(now);
    const { packets, bytes } = this.#limits;
    const waiting = this.#waiting.get(connection) ?? { since: now, packets: [] };
    if (waiting.packets.length >= packets || this.#bytes + packet.byteLength > bytes) return;
    waiting.packets.push(packet);
    this.#bytes += packet.byteLength;
    this.#waiting.set(connection, waiting);
  }

  /** What waited for this connection, in the order in which it came; it waits no more. */
  take(now: Instant, connection: string): readonly Uint8Array[] {
    this.#expire(now);
    return this.#drop(connection);
  }

  #drop(connection: string): readonly Uint8Array[] {
    const packets = this.#waiting.get(connection)?.packets ?? [];
    this.#waiting.delete(connection);
    this.#bytes -= packets.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return packets;
  }

  #expire(now: Instant): void {
    for (const [connection, { since }] of this.#waiting) {
      if (elapsedMs(since, now) <= this.#limits.ageMs) return;
      this.#drop(connection);
    }
  }
}
