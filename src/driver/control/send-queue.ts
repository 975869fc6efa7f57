// Frames that wait for a peer to read. Tables that nobody has read yet are worth nothing once newer ones exist, so only
// the newest tables frame is kept; everything else stays in order. The limits are enforced by the channel.
import type { ControlMessageType } from "#wire/control/message.ts";

interface Waiting {
  readonly type: ControlMessageType;
  readonly frame: Uint8Array;
}

export class SendQueue {
  #waiting: Waiting[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** True when an older tables frame was dropped in favour of this one. */
  push(type: ControlMessageType, frame: Uint8Array): boolean {
    const old = type === "tables" ? this.#waiting.findIndex((entry) => entry.type === type) : -1;
    const [dropped] = old === -1 ? [] : this.#waiting.splice(old, 1);
    this.#bytes += frame.byteLength - (dropped?.frame.byteLength ?? 0);
    this.#waiting.push({ type, frame });
    return dropped !== undefined;
  }

  shift(): Uint8Array | undefined {
    const first = this.#waiting.shift();
    this.#bytes -= first?.frame.byteLength ?? 0;
    return first?.frame;
  }

  clear(): void {
    this.#waiting = [];
    this.#bytes = 0;
  }
}
