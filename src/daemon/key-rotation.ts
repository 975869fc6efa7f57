// When the group key is replaced, and by what steps (A2): every hour; and at once when a node that knows it is trusted no longer, also
// when the master that should have done so has died. New key to everybody, send with it, forget the ones before.
import type { GroupKey } from "#wire/control/message.ts";
import type { GroupKeys } from "./group-keys.ts";
import type { HeartCommand } from "./heart-protocol.ts";
import { eitherTrust, lostSomebody, type Trust } from "./trust.ts";

/** How long a key is used for sending. */
export const ROTATE_EVERY_MS = 3_600_000;
/** From handing a new key round until sending with it. */
export const ACTIVATE_AFTER_MS = 2000;
/** From sending with a key until the ones before are refused: members change to it with the next keepalive. */
export const RETIRE_AFTER_MS = 1000;

export interface KeyRotationHost {
  readonly keys: GroupKeys;
  readonly isMaster: () => boolean;
  /** As of the configuration in force. */
  readonly trust: () => Trust;
  readonly heart: (command: HeartCommand) => void;
  /** Hands the keys to every member that is connected. */
  readonly sendToAll: () => void;
  /** Does it later; returns how to call it off. */
  readonly later: (delayMs: number, act: () => void) => () => void;
}

export class KeyRotation {
  readonly #host: KeyRotationHost;
  /** Who may know the newest key: all that were trusted since it was made, as far as this node knows. */
  #knownTo: Trust | undefined;
  #callOff: () => void = () => {};

  constructor(host: KeyRotationHost) {
    this.#host = host;
  }

  /**
   * This node is master, or about to be shown as it. The members know the key, or get it when they connect.
   *
   * @param activeKeyId that the heart sends with: the former master's, whose rotation may have come to any step
   */
  becameMaster(activeKeyId: number | undefined): void {
    const { keys, trust } = this.#host;
    if (keys.newest === undefined) return this.#first();
    if (keys.newest.keyId === activeKeyId) keys.activate();
    this.#armHeart(keys.newest);
    const stale = this.#knownTo === undefined || lostSomebody(this.#knownTo, trust());
    if (stale) this.#replace();
    else if (keys.before !== undefined) this.#completeLater(keys.newest); // what the former master began
  }

  /** Whatever was on its way to the heart: it holds these keys, and sends with the one in use. */
  #armHeart(newest: GroupKey): void {
    const { keys, heart } = this.#host;
    const { before, inUse } = keys;
    if (before === undefined) return;
    heart({ type: "group-key", ...before, activate: inUse === before });
    heart({ type: "group-key", ...newest, activate: inUse === newest });
  }

  #first(): void {
    const { keys, trust, heart } = this.#host;
    this.#knownTo = trust();
    heart({ type: "group-key", ...keys.rotate(), activate: true });
  }

  /** The configuration has changed. */
  trustChanged(): void {
    if (this.#knownTo === undefined) return;
    const now = this.#host.trust();
    if (this.#host.isMaster() && lostSomebody(this.#knownTo, now)) this.rotate();
    else this.#knownTo = eitherTrust(this.#knownTo, now);
  }

  rotate(): void {
    if (this.#host.isMaster()) this.#replace();
  }

  #replace(): void {
    const { keys, trust, heart, sendToAll } = this.#host;
    this.#knownTo = trust();
    const key = keys.rotate();
    heart({ type: "group-key", ...key, activate: false });
    sendToAll();
    this.#completeLater(key);
  }

  /** Only ever for the newest key: a further rotation calls this one off. */
  #completeLater(key: GroupKey): void {
    const { keys, isMaster, heart, sendToAll, later } = this.#host;
    this.#callOff();
    this.#callOff = later(ACTIVATE_AFTER_MS, () => {
      if (!isMaster() || keys.newest?.keyId !== key.keyId) return;
      keys.activate();
      heart({ type: "group-key", ...key, activate: true });
      this.#callOff = later(RETIRE_AFTER_MS, () => {
        if (!isMaster() || keys.newest?.keyId !== key.keyId) return;
        keys.retire();
        heart({ type: "retire-keys" });
        sendToAll();
      });
    });
  }

  /** As a member: the master's keys. Without one before, no other key is good any more. */
  adopt(newest: GroupKey, before: GroupKey | undefined): void {
    const { keys, trust, heart } = this.#host;
    const isNew = keys.newest === undefined || !sameKey(keys.newest, newest);
    if (isNew) this.#knownTo = trust();
    keys.adopt(newest, before);
    this.#armHeart(newest);
    if (before !== undefined) return;
    heart({ type: "group-key", ...newest, activate: true });
    heart({ type: "retire-keys" });
  }

  close(): void {
    this.#callOff();
  }
}

const sameKey = (a: GroupKey, b: GroupKey): boolean =>
  a.keyId === b.keyId && Buffer.from(a.key).equals(b.key);
