// What must be known of one connection to produce its streams again (A16): the last snapshot, the input that came after it and the
// output that cannot be made again. Owner and replica keep the same log by the same rules: each message either fits or contradicts.
import type {
  ConnectionNumber,
  CopyMessage,
  Opened,
  Progress,
  Snapshot,
  StateSnapshot,
  StreamBytes,
  StreamEnd,
} from "#wire/takeover/message.ts";

interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** One direction, from where the snapshot or the peer is. */
class StreamLog {
  readonly #gaps: boolean;
  #pieces: Piece[] = [];
  #end = 0;
  #ended = false;
  #bytes = 0;

  /** @param gaps whether bytes may be left out: those that are made again */
  constructor(gaps: boolean) {
    this.#gaps = gaps;
  }

  /** Offset of the next byte. */
  get end(): number {
    return this.#end;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  #fits(offset: number): boolean {
    return !this.#ended && (this.#gaps ? offset >= this.#end : offset === this.#end);
  }

  append({ offset, bytes }: Piece): boolean {
    if (!this.#fits(offset)) return false;
    this.#pieces.push({ offset, bytes });
    this.#end = offset + bytes.byteLength;
    this.#bytes += bytes.byteLength;
    return true;
  }

  finish(offset: number): boolean {
    if (!this.#fits(offset)) return false;
    this.#end = offset;
    this.#ended = true;
    return true;
  }

  /** Bytes from this offset on are forgotten. */
  cut(offset: number): void {
    const kept = this.#pieces.filter((piece) => piece.offset < offset);
    this.#pieces = kept.map((piece) => ({
      offset: piece.offset,
      bytes: piece.bytes.subarray(0, offset - piece.offset),
    }));
    this.#bytes = this.#pieces.reduce((sum, piece) => sum + piece.bytes.byteLength, 0);
    if (!this.#ended) this.#end = Math.min(this.#end, offset);
  }

  /** Nothing before this offset is needed any more; a log that knows nothing yet begins there. */
  trim(offset: number): void {
    const kept = this.#pieces.filter((piece) => piece.offset + piece.bytes.byteLength > offset);
    const [first] = kept;
    if (first !== undefined && first.offset < offset) {
      kept[0] = { offset, bytes: first.bytes.subarray(offset - first.offset) };
    }
    this.#pieces = kept;
    this.#bytes = kept.reduce((sum, piece) => sum + piece.bytes.byteLength, 0);
    if (!this.#ended) this.#end = Math.max(this.#end, offset);
  }
}

/** What says something new about a connection that is open. */
export type LogMessage = Progress | StreamBytes | StreamEnd | StateSnapshot;

export class ConnectionLog {
  readonly opened: Opened;
  #progress: Progress | undefined;
  #snapshot: Snapshot | undefined;
  #states = 0;
  readonly #input = new StreamLog(false);
  readonly #output = new StreamLog(true);

  constructor(opened: Opened) {
    this.opened = opened;
  }

  get input(): Pick<StreamLog, "end" | "ended" | "pieces"> {
    return this.#input;
  }

  get output(): Pick<StreamLog, "end" | "ended" | "pieces"> {
    return this.#output;
  }

  /** How many snapshots it has seen. */
  get states(): number {
    return this.#states;
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** The latest that is known of where the connection is. */
  get progress(): Progress | undefined {
    return this.#progress;
  }

  /** What it costs to keep. */
  get bytes(): number {
    return this.#input.bytes + this.#output.bytes + (this.#snapshot?.bytes.byteLength ?? 0);
  }

  /** False: this message cannot follow the ones before. Then nothing has changed. */
  apply(message: LogMessage): boolean {
    switch (message.type) {
      case "progress":
        return this.#applyProgress(message);
      case "input":
        return this.#input.append(message);
      case "output":
        return this.#output.append(message);
      case "input-ended":
        return this.#input.finish(message.offset);
      case "output-ended":
        return this.#output.finish(message.offset);
      case "snapshot":
        return this.#applySnapshot(message.snapshot);
    }
  }

  #applyProgress(progress: Progress): boolean {
    const before = this.#progress;
    const isBack =
      before !== undefined &&
      (progress.outputOffset < before.outputOffset || progress.inputOffset < before.inputOffset);
    if (isBack) return false;
    this.#progress = progress;
    this.#output.trim(progress.outputOffset);
    return true;
  }

  /** A state cannot be older than the one before, nor have taken in what has not come: unless it is the first that is told at all. */
  #applySnapshot(snapshot: Snapshot): boolean {
    const { inputOffset, outputOffset } = snapshot;
    const before = this.#snapshot;
    const isFirst = before === undefined && this.#input.end === 0;
    if (inputOffset > this.#input.end && !isFirst) return false;
    if (before !== undefined) {
      if (inputOffset < before.inputOffset || outputOffset < before.outputOffset) return false;
    }
    this.#snapshot = snapshot;
    this.#states += 1;
    this.#input.trim(inputOffset);
    return true;
  }

  /** Output behind the last state has never left: whoever goes on makes its own. */
  rewind(): void {
    this.#output.cut(this.#snapshot?.outputOffset ?? 0);
  }

  /** The same, and that this is all. */
  *copy(): Generator<CopyMessage> {
    yield* this.messages();
    yield { type: "whole", connection: this.opened.connection };
  }

  /** The messages that bring a replica that knows nothing to the same log. */
  *messages(): Generator<Opened | LogMessage> {
    const connection: ConnectionNumber = this.opened.connection;
    yield this.opened;
    if (this.#snapshot !== undefined)
      yield { type: "snapshot", connection, snapshot: this.#snapshot };
    if (this.#progress !== undefined) yield this.#progress;
    for (const piece of this.#input.pieces) yield { type: "input", connection, ...piece };
    for (const piece of this.#output.pieces) yield { type: "output", connection, ...piece };
    if (this.#input.ended) yield { type: "input-ended", connection, offset: this.#input.end };
    if (this.#output.ended) yield { type: "output-ended", connection, offset: this.#output.end };
  }
}
