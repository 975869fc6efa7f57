// The keys that authenticate keepalives (A2). The master makes them and hands them round over mutual TLS; a
// rotation first gives the new key to every member and sends with it only after that.
import { randomBytes } from "node:crypto";
import { GROUP_KEY_LENGTH, type GroupKey } from "#wire/control/message.ts";

/** How long a key is used for sending. */
export const ROTATE_EVERY_MS = 3_600_000;
/** From handing a new key round until sending with it. */
export const ACTIVATE_AFTER_MS = 2000;

export class GroupKeys {
  #current: GroupKey | undefined;
  #previous: GroupKey | undefined;

  get current(): GroupKey | undefined {
    return this.#current;
  }

  get previous(): GroupKey | undefined {
    return this.#previous;
  }

  /** From the master. True when the key is new here. */
  adopt(key: GroupKey, previous: GroupKey | undefined): boolean {
    const isNew = this.#current === undefined || !sameKey(this.#current, key);
    if (isNew) this.#previous = previous ?? this.#current;
    this.#current = key;
    return isNew;
  }

  /** A new key with the next id (1 … 255). */
  rotate(): GroupKey {
    this.#previous = this.#current;
    const keyId = ((this.#current?.keyId ?? randomBytes(1).readUInt8()) % 255) + 1;
    this.#current = { keyId, key: new Uint8Array(randomBytes(GROUP_KEY_LENGTH)) };
    return this.#current;
  }
}

const sameKey = (a: GroupKey, b: GroupKey): boolean =>
  a.keyId === b.keyId && Buffer.from(a.key).equals(b.key);
