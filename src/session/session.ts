// One connection that outlives its member (A16), as an application sees it: what comes in, what goes out, and the state from which
// another member's application would go on. Output is a function of state and input: after a takeover the application makes it again from
// the last snapshot on, and what the client has already is dropped here.
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { ConnectionKey } from "#wire/takeover/record.ts";

/** Where a session begins: 0 and nothing, or what a takeover found. */
export interface SessionStart {
  readonly state: Uint8Array | undefined;
  /** Offsets that the state stands for. */
  readonly inputOffset: number;
  readonly outputOffset: number;
  /** Output that the peer has already: it is not sent again. */
  readonly delivered: number;
}

export const FRESH: SessionStart = {
  state: undefined,
  inputOffset: 0,
  outputOffset: 0,
  delivered: 0,
};

/** What the engine does for a session. */
export interface SessionHost {
  readonly input: (bytes: Uint8Array) => void;
  readonly inputEnded: () => void;
  readonly snapshot: (state: Uint8Array, inputOffset: number, outputOffset: number) => void;
  readonly outputEnded: (outputOffset: number) => void;
  readonly closed: () => void;
}

interface SessionEventMap {
  data: [Uint8Array];
  /** The peer will send no more. */
  end: [];
  drain: [];
  close: [];
  error: [Error];
}

export class Session extends EventEmitter<SessionEventMap> {
  readonly key: ConnectionKey;
  /** Whether another member served it before. */
  readonly resumed: boolean;
  readonly #socket: Socket;
  readonly #host: SessionHost;
  readonly #delivered: number;
  #state: Uint8Array | undefined;
  #inputOffset: number;
  #outputOffset: number;
  #ended = false;

  constructor(key: ConnectionKey, socket: Socket, host: SessionHost, start: SessionStart) {
    super();
    this.key = key;
    this.resumed = start !== FRESH;
    this.#socket = socket;
    this.#host = host;
    this.#state = start.state;
    this.#inputOffset = start.inputOffset;
    this.#outputOffset = start.outputOffset;
    this.#delivered = start.delivered;
    socket.on("data", (bytes: Buffer) => {
      host.input(bytes);
      this.deliver(bytes);
    });
    socket.on("end", () => {
      host.inputEnded();
      this.emit("end");
    });
    socket.on("drain", () => this.emit("drain"));
    socket.on("error", (error) => this.emit("error", error));
    socket.on("close", () => {
      host.closed();
      this.emit("close");
    });
  }

  /** The engine's: input that is in the log already, and is taken in again. */
  deliver(bytes: Uint8Array): void {
    this.#inputOffset += bytes.byteLength;
    this.emit("data", bytes);
  }

  /** What another member would begin with; undefined: nothing was ever said. */
  get state(): Uint8Array | undefined {
    return this.#state;
  }

  /** Everything that came before is in it: to be set when what came has been taken in and answered. */
  set state(state: Uint8Array) {
    this.#state = state;
    this.#host.snapshot(state, this.#inputOffset, this.#outputOffset);
  }

  /** Bytes that this application has made, from the connection's first. */
  get outputOffset(): number {
    return this.#outputOffset;
  }

  /** Bytes from here on are really sent: what the peer has need not be made again (see skip()). */
  get missing(): number {
    return Math.max(0, this.#delivered - this.#outputOffset);
  }

  /** Counts output as made without making it: for sources that can begin anywhere, up to `missing` bytes. */
  skip(bytes: number): void {
    if (bytes > this.missing) throw new RangeError(`${bytes} bytes are more than the peer has`);
    this.#outputOffset += bytes;
  }

  /** False: wait for "drain" before more. */
  write(bytes: Uint8Array): boolean {
    if (this.#ended) throw new RangeError("The session's output has ended");
    const known = Math.min(this.missing, bytes.byteLength);
    this.#outputOffset += bytes.byteLength;
    if (known === bytes.byteLength) return true;
    return this.#socket.write(known === 0 ? bytes : bytes.subarray(known));
  }

  /** Nothing more will be written. Replicas know before the client does. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#host.outputEnded(this.#outputOffset);
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends the connection with a reset, here and for every replica. */
  destroy(): void {
    this.#host.outputEnded(this.#outputOffset);
    this.#socket.resetAndDestroy();
  }
}
