// A map whose keys are short runs of bytes, such as addresses. No text is made of a key, neither when it is put in nor when it is
// looked for: that would cost more than everything else that is done with a packet.

interface Entry<Value> {
  readonly bytes: Uint8Array;
  value: Value;
}

/** Bits beyond what Node keeps in a small integer would make the lookup slower. */
const HASH_BITS = 0x3fffffff;

function hashOf(bytes: Uint8Array): number {
  let hash = bytes.byteLength;
  for (let at = 0; at < bytes.byteLength; at++) hash = Math.imul(hash, 31) + (bytes[at] ?? 0);
  return hash & HASH_BITS;
}

/** Whether two runs of bytes are the same. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  for (let at = 0; at < a.byteLength; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** Whether bytes begin with others. */
export function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  if (bytes.byteLength < start.byteLength) return false;
  for (let at = 0; at < start.byteLength; at++) if (bytes[at] !== start[at]) return false;
  return true;
}

export class BytesMap<Value> {
  /** Keys of one hash. */
  readonly #buckets = new Map<number, Entry<Value>[]>();

  #entry(bytes: Uint8Array): Entry<Value> | undefined {
    const bucket = this.#buckets.get(hashOf(bytes));
    if (bucket === undefined) return undefined;
    for (const entry of bucket) if (equalBytes(entry.bytes, bytes)) return entry;
    return undefined;
  }

  get(bytes: Uint8Array): Value | undefined {
    return this.#entry(bytes)?.value;
  }

  has(bytes: Uint8Array): boolean {
    return this.#entry(bytes) !== undefined;
  }

  /** The bytes are kept, not copied. */
  set(bytes: Uint8Array, value: Value): void {
    const known = this.#entry(bytes);
    if (known !== undefined) {
      known.value = value;
      return;
    }
    const hash = hashOf(bytes);
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) this.#buckets.set(hash, [{ bytes, value }]);
    else bucket.push({ bytes, value });
  }
}
