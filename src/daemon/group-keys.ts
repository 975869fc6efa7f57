// The keys that authenticate keepalives (A2). The master makes them and hands them round over mutual TLS. A new key first
// reaches every member, then the master sends with it, then the ones before are forgotten by everybody.
import { randomBytes } from "node:crypto";
import { GROUP_KEY_LENGTH, type GroupKey } from "#wire/control/message.ts";

export class GroupKeys {
  #newest: GroupKey | undefined;
  /** The one that was sent with before the newest is, or was; forgotten when every member has changed over. */
  #before: GroupKey | undefined;
  #isNewestInUse = false;

  /** The key to send with, now or soon. */
  get newest(): GroupKey | undefined {
    return this.#newest;
  }

  get before(): GroupKey | undefined {
    return this.#before;
  }

  /** The key that the master sends with, as far as this node knows. */
  get inUse(): GroupKey | undefined {
    return this.#isNewestInUse ? this.#newest : this.#before;
  }

  /** From the master; of two keys either may be the one in use. */
  adopt(newest: GroupKey, before: GroupKey | undefined): void {
    this.#newest = newest;
    this.#before = before;
    this.#isNewestInUse = before === undefined;
  }

  /**
   * A new key with the next id (1 … 255). Beside it stays the one in use, which the members need for as long as it is:
   * a key that was never sent with is forgotten, and so is one that is not sent with any more.
   */
  rotate(): GroupKey {
    this.#before = this.inUse;
    this.#isNewestInUse = this.#before === undefined;
    const keyId = ((this.#newest?.keyId ?? randomBytes(1).readUInt8()) % 255) + 1;
    this.#newest = { keyId, key: new Uint8Array(randomBytes(GROUP_KEY_LENGTH)) };
    return this.#newest;
  }

  /** The newest key is sent with from now on. */
  activate(): void {
    this.#isNewestInUse = true;
  }

  /** The newest key is the only one from now on. */
  retire(): void {
    this.#before = undefined;
    this.#isNewestInUse = true;
  }
}
