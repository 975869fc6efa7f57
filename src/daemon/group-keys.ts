// The keys that authenticate keepalives (A2). The master makes them and hands them round over mutual TLS. A new key first
// reaches every member, then the master sends with it, then the ones before are forgotten by everybody.
import { randomBytes } from "node:crypto";
import { GROUP_KEY_LENGTH, type GroupKey } from "#wire/control/message.ts";

export class GroupKeys {
  #newest: GroupKey | undefined;
  /** The one that the master still sends with, while the newest is handed round. */
  #before: GroupKey | undefined;

  /** The key to send with, now or soon. */
  get newest(): GroupKey | undefined {
    return this.#newest;
  }

  get before(): GroupKey | undefined {
    return this.#before;
  }

  /** From the master, which sends with `before` as long as there is one. */
  adopt(newest: GroupKey, before: GroupKey | undefined): void {
    this.#newest = newest;
    this.#before = before;
  }

  /** A new key with the next id (1 … 255). A key that was never sent with is forgotten for it. */
  rotate(): GroupKey {
    this.#before ??= this.#newest;
    const keyId = ((this.#newest?.keyId ?? randomBytes(1).readUInt8()) % 255) + 1;
    this.#newest = { keyId, key: new Uint8Array(randomBytes(GROUP_KEY_LENGTH)) };
    return this.#newest;
  }

  /** The newest key is the only one from now on. */
  retire(): void {
    this.#before = undefined;
  }
}
