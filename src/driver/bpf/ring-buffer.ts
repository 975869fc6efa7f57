// Reads a BPF ring buffer through shared memory: no call into the kernel for a record. The first page is the reader's position, the
// second one the writer's, both 64 bits; behind them the records lie twice in a row, so that none is ever split at the end.
//
//   record: length(32) page(32) bytes, padded to eight; the two highest bits of the length are "busy" and "discarded"
import { Mapping } from "../libc.ts";

const PAGE = 4096;
const HEADER_LENGTH = 8;
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;

export class RingBuffer {
  readonly #size: number;
  readonly #reader: Mapping;
  readonly #writer: Mapping;
  readonly #consumed: BigInt64Array;
  readonly #produced: BigInt64Array;
  readonly #lengths: Int32Array;
  readonly #bytes: Uint8Array;

  /** @param size of the map in bytes (max_entries), a power of two */
  constructor(fd: number, size: number) {
    this.#size = size;
    this.#reader = new Mapping(fd, PAGE);
    this.#writer = new Mapping(fd, PAGE + 2 * size, { writable: false, offset: PAGE });
    const [mine, theirs] = [this.#reader.bytes, this.#writer.bytes];
    this.#consumed = new BigInt64Array(mine.buffer, mine.byteOffset, 1);
    this.#produced = new BigInt64Array(theirs.buffer, theirs.byteOffset, 1);
    this.#lengths = new Int32Array(theirs.buffer, theirs.byteOffset + PAGE, (2 * size) / 4);
    this.#bytes = theirs.subarray(PAGE);
  }

  /** The records that are complete, oldest first, at most so many. Each is a copy; its place is free again. */
  read(limit: number): Uint8Array[] {
    const records: Uint8Array[] = [];
    this.#consume((start, length) => {
      const from = start + HEADER_LENGTH;
      records.push(this.#bytes.slice(from, from + length));
      return records.length < limit;
    });
    return records;
  }

  /** Frees what has been written up to now, unread. What is written meanwhile stays: a busy writer does not keep the reader here. */
  skip(): void {
    this.#consume(() => true);
  }

  /** @param take answers whether to go on to the next record */
  #consume(take: (start: number, length: number) => boolean): void {
    let at = Atomics.load(this.#consumed, 0);
    const end = Atomics.load(this.#produced, 0);
    for (let goOn = true; at < end && goOn;) {
      const start = Number(at & BigInt(this.#size - 1));
      const header = Atomics.load(this.#lengths, start / 4) >>> 0;
      if ((header & BUSY) !== 0) break;
      const length = header & ~(BUSY | DISCARDED);
      if ((header & DISCARDED) === 0) goOn = take(start, length);
      at += BigInt((length + HEADER_LENGTH + 7) & ~7);
      Atomics.store(this.#consumed, 0, at);
    }
  }

  close(): void {
    this.#reader.unmap();
    this.#writer.unmap();
  }
}
