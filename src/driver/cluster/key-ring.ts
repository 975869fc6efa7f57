// The group keys that authenticate keepalives. A new key reaches every member before the master sends with
// it; members answer with whatever key their master uses, so a rotation needs no common moment.
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { MAC_LENGTH } from "#wire/cluster/datagram.ts";

/** The key in use and the one before it, or the one that comes next. */
export const MAX_KEYS = 2;

export class KeyRing {
  /** Key objects, because a MAC with bare bytes costs six times as much. */
  readonly #keys = new Map<number, KeyObject>();
  #active: number | undefined;

  /** The key to send with. */
  get active(): number | undefined {
    return this.#active;
  }

  install(keyId: number, key: Uint8Array, activate: boolean): void {
    this.#keys.delete(keyId);
    this.#keys.set(keyId, createSecretKey(key));
    if (activate || this.#active === undefined) this.#active = keyId;
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= MAX_KEYS) break;
      if (oldest !== this.#active) this.#keys.delete(oldest);
    }
  }

  /** Keeps the newest key alone and sends with it: whoever knows only an older one is out. */
  retire(): void {
    const newest = [...this.#keys.keys()].at(-1);
    for (const keyId of this.#keys.keys()) if (keyId !== newest) this.#keys.delete(keyId);
    this.#active = newest;
  }

  /** A proved message of our master was sent with this key. */
  follow(keyId: number): void {
    if (this.#keys.has(keyId)) this.#active = keyId;
  }

  tag(keyId: number, bytes: Uint8Array): Uint8Array | undefined {
    const key = this.#keys.get(keyId);
    if (key === undefined) return undefined;
    return createHmac("sha256", key).update(bytes).digest().subarray(0, MAC_LENGTH);
  }

  check(keyId: number, bytes: Uint8Array, tag: Uint8Array): "good" | "bad" | "unknown-key" {
    const expected = this.tag(keyId, bytes);
    if (expected === undefined) return "unknown-key";
    return timingSafeEqual(expected, tag) ? "good" : "bad";
  }
}
