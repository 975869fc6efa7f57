// Who makes and replaces the group key, by the steps of daemon/key-rotation.ts: hand the new one round, send with it, forget the others.
import type { Prng } from "#base/prng.ts";
import { type ClusterConfig, lostSomebody } from "./cluster-config.ts";
import type { HeartOrder } from "./heart.ts";
import type { GroupKey } from "./key-ring.ts";

const ACTIVATE_AFTER_MS = 2000;
const RETIRE_AFTER_MS = 1000;

export interface GroupKeysHost {
  readonly prng: Prng;
  readonly isMaster: () => boolean;
  readonly config: () => ClusterConfig;
  readonly heart: (order: HeartOrder) => void;
  readonly sendToAll: () => void;
  readonly later: (delayMs: number, act: () => void) => () => void;
}

export class GroupKeys {
  readonly #host: GroupKeysHost;
  newest: GroupKey | undefined;
  before: GroupKey | undefined;
  #isNewestInUse = false;
  /** The configuration under which the newest key was made or received. */
  #knownTo: ClusterConfig | undefined;
  #callOff: () => void = () => {};

  constructor(host: GroupKeysHost) {
    this.#host = host;
  }

  /** The key that the master sends with, as far as this node knows. */
  get #inUse(): GroupKey | undefined {
    return this.#isNewestInUse ? this.newest : this.before;
  }

  becameMaster(activeKeyId: number | undefined): void {
    if (this.newest === undefined) return this.#first();
    if (this.newest.keyId === activeKeyId) this.#isNewestInUse = true;
    this.#armHeart(this.newest);
    const stale = this.#knownTo === undefined || lostSomebody(this.#knownTo, this.#host.config());
    if (stale) this.#replace();
    else if (this.before !== undefined) this.#completeLater(this.newest);
  }

  #fresh(): GroupKey {
    const { prng } = this.#host;
    const keyId = ((this.newest?.keyId ?? prng.below(256)) % 255) + 1;
    return { keyId, secret: prng.uint32() };
  }

  #first(): void {
    this.#knownTo = this.#host.config();
    this.newest = this.#fresh();
    this.#isNewestInUse = true;
    this.#host.heart({ type: "group-key", key: this.newest, activate: true });
  }

  #armHeart(newest: GroupKey): void {
    const { before } = this;
    const inUse = this.#inUse;
    if (before === undefined) return;
    this.#host.heart({ type: "group-key", key: before, activate: inUse === before });
    this.#host.heart({ type: "group-key", key: newest, activate: inUse === newest });
  }

  trustChanged(): void {
    if (this.#knownTo === undefined) return;
    const now = this.#host.config();
    if (this.#host.isMaster() && lostSomebody(this.#knownTo, now)) this.#replace();
    else if (!lostSomebody(this.#knownTo, now)) this.#knownTo = now;
  }

  #replace(): void {
    this.#knownTo = this.#host.config();
    this.before = this.#inUse;
    this.#isNewestInUse = this.before === undefined;
    this.newest = this.#fresh();
    this.#host.heart({ type: "group-key", key: this.newest, activate: false });
    this.#host.sendToAll();
    this.#completeLater(this.newest);
  }

  #completeLater(key: GroupKey): void {
    const { later, isMaster, heart, sendToAll } = this.#host;
    this.#callOff();
    this.#callOff = later(ACTIVATE_AFTER_MS, () => {
      if (!isMaster() || this.newest !== key) return;
      this.#isNewestInUse = true;
      heart({ type: "group-key", key, activate: true });
      this.#callOff = later(RETIRE_AFTER_MS, () => {
        if (!isMaster() || this.newest !== key) return;
        this.before = undefined;
        heart({ type: "retire-keys" });
        sendToAll();
      });
    });
  }

  adopt(newest: GroupKey, before: GroupKey | undefined): void {
    const { heart, config } = this.#host;
    if (this.newest?.secret !== newest.secret) this.#knownTo = config();
    this.newest = newest;
    this.before = before;
    this.#isNewestInUse = before === undefined;
    this.#armHeart(newest);
    if (before !== undefined) return;
    heart({ type: "group-key", key: newest, activate: true });
    heart({ type: "retire-keys" });
  }
}
