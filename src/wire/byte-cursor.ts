// Reading and writing of long little-endian records field by field. A reader that runs out of bytes says so once, at the end
// (`short`), and gives zeros in between: decoders stay free of a length check for each field.

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #short = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Whether more was asked for than there was. All values read since are zeros. */
  get short(): boolean {
    return this.#short;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#at;
  }

  #advance(count: number): number | undefined {
    if (this.#short || count > this.remaining) {
      this.#short = true;
      return undefined;
    }
    const start = this.#at;
    this.#at += count;
    return start;
  }

  u8(): number {
    const at = this.#advance(1);
    return at === undefined ? 0 : this.#view.getUint8(at);
  }

  u16(): number {
    const at = this.#advance(2);
    return at === undefined ? 0 : this.#view.getUint16(at, true);
  }

  u32(): number {
    const at = this.#advance(4);
    return at === undefined ? 0 : this.#view.getUint32(at, true);
  }

  /** A view of the next bytes; empty when there are not that many. */
  take(count: number): Uint8Array {
    const at = this.#advance(count);
    return at === undefined ? new Uint8Array() : this.#bytes.subarray(at, at + count);
  }

  /** The next bytes, one character each; empty when there are not that many. For short ones: a view costs more than they do. */
  characters(count: number): string {
    const at = this.#advance(count);
    let text = "";
    if (at === undefined) return text;
    for (let next = at; next < at + count; next++) {
      text += String.fromCharCode(this.#bytes[next] ?? 0);
    }
    return text;
  }
}

export class ByteWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /** Makes room for `count` bytes and gives their position. */
  #reserve(count: number): number {
    const at = this.#at;
    this.#at += count;
    if (this.#at > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(this.#at, 2 * this.#bytes.byteLength));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  put(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.byteLength);
    this.#bytes.set(bytes, at);
  }

  /** One byte for each character, none of which is beyond 255. */
  characters(text: string): void {
    const start = this.#reserve(text.length);
    for (let at = 0; at < text.length; at++) this.#bytes[start + at] = text.charCodeAt(at);
  }

  /** Room for `count` bytes, to be filled by the caller before the next call. */
  claim(count: number): Uint8Array {
    const at = this.#reserve(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** How much was written so far. */
  get length(): number {
    return this.#at;
  }

  /** Over what was written there before. */
  replaceU16(at: number, value: number): void {
    this.#view.setUint16(at, value, true);
  }

  /** Begins anew, in the same memory. */
  restart(): void {
    this.#at = 0;
  }

  /** What was written so far. A view, valid until the next write. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}
