// The group keys of one node's heart, by the rules of driver/cluster/key-ring.ts: the key in use and one more.

export interface GroupKey {
  /** 1 … 255. */
  readonly keyId: number;
  /** Stands for the 32 bytes. */
  readonly secret: number;
}

const MAX_KEYS = 2;

export class KeyRing {
  #keys: GroupKey[] = [];
  #active: GroupKey | undefined;

  get active(): GroupKey | undefined {
    return this.#active;
  }

  install(key: GroupKey, activate: boolean): void {
    this.#keys = [...this.#keys.filter(({ keyId }) => keyId !== key.keyId), key];
    const replaces = this.#active?.keyId === key.keyId;
    if (activate || replaces || this.#active === undefined) this.#active = key;
    while (this.#keys.length > MAX_KEYS) {
      const oldest = this.#keys.findIndex(({ keyId }) => keyId !== this.#active?.keyId);
      this.#keys.splice(oldest, 1);
    }
  }

  retire(): void {
    this.#keys = this.#keys.slice(-1);
    this.#active = this.#keys[0];
  }

  /** A proved message of our master was sent with this key. */
  follow(keyId: number): void {
    this.#active = this.#keys.find((key) => key.keyId === keyId) ?? this.#active;
  }

  secretOf(keyId: number): number | undefined {
    for (const key of this.#keys) if (key.keyId === keyId) return key.secret;
    return undefined;
  }
}
