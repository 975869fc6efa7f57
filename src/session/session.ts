// One connection that outlives its member (A16), as an application sees it: what comes in, what goes out, and the state from which
// another member's application would go on. What must wait for whom is core/takeover/outbox.ts's; here it meets the socket.
import { EventEmitter } from "node:events";
import { Outbox, type OutboxEffect } from "#core/takeover/outbox.ts";
import { MAX_PIECE } from "#wire/takeover/frame.ts";
import type { Snapshot } from "#wire/takeover/message.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import type { Asker } from "./peer-watch.ts";
import { KERNEL_SOCKETS, type Lingering, type PeerSockets, type SessionSocket } from "./sockets.ts";

/** Longest state, in bytes. */
export const MAX_STATE_BYTES = MAX_PIECE;
/** With so much waiting, write() and commit() say that there should be a pause. */
const HIGH_WATER = 1024 * 1024;
/** After so long without a byte the peer is asked whether it is there; ten questions, one a second. */
const KEEPALIVE_MS = 60_000;
const NOTHING = new Uint8Array();

/** Where a session begins: 0 and nothing, or what a takeover found. */
export interface SessionStart {
  readonly resumed: boolean;
  readonly state: Uint8Array | undefined;
  /** Offsets that the state stands for. */
  readonly inputOffset: number;
  readonly outputOffset: number;
  /** Output that the peer has already: it is not sent again. */
  readonly delivered: number;
  /** Copied output that the peer lacks: it is sent first of all. */
  readonly resend: readonly Uint8Array[];
  /** Input behind the state: it is taken in again. */
  readonly input: readonly { readonly bytes: Uint8Array }[];
  readonly inputEnded: boolean;
  /** The output's end has been told already; and the peer has it. */
  readonly ended: boolean;
  /** Where; undefined: it has not. */
  readonly endsAt: number | undefined;
  readonly finAcknowledged: boolean;
  /** Snapshots that the log has seen. */
  readonly states: number;
}

export const FRESH: SessionStart = {
  ...{ resumed: false, state: undefined, inputOffset: 0, outputOffset: 0, delivered: 0 },
  ...{ resend: [], input: [], inputEnded: false, ended: false, finAcknowledged: false, states: 0 },
  endsAt: undefined,
};

/** What the engine does for a session. */
export interface SessionHost {
  readonly input: (bytes: Uint8Array) => void;
  readonly inputEnded: () => void;
  readonly output: (offset: number, bytes: Uint8Array) => void;
  readonly snapshot: (snapshot: Snapshot) => void;
  readonly outputEnded: (offset: number) => void;
  readonly progress: (outputOffset: number) => void;
  /** From now on a FIN or a reset may leave. */
  readonly unguard: () => void;
  /** Asks the session to look how far its peer is, until it has seen enough. */
  readonly watch: (asker: Asker) => void;
  readonly closed: () => void;
}

interface SessionEventMap {
  data: [Uint8Array];
  /** The peer will send no more. */
  end: [];
  drain: [];
  /** The connection is over; after an error, if true. */
  close: [boolean];
  error: [Error];
}

export interface SaveOptions {
  /** Bytes at the end of the input so far that the state has not taken in: whoever takes over gets them again. */
  readonly unread?: number;
}

export interface CommitOptions extends SaveOptions {
  readonly state: Uint8Array;
  readonly output?: Uint8Array;
  /** Called when every replica holds it, or nothing protects the session. Not when the session closes before. */
  readonly held?: () => void;
}

export class Session extends EventEmitter<SessionEventMap> {
  readonly key: ConnectionKey;
  /** Whether another member served it before. */
  readonly resumed: boolean;
  readonly #socket: SessionSocket;
  readonly #sockets: PeerSockets;
  readonly #host: SessionHost;
  readonly #start: SessionStart;
  readonly #outbox: Outbox;
  readonly #held = new Map<number, () => void>();
  #commits = 0;
  #state: Uint8Array | undefined;
  #inputOffset: number;
  /** Input that the last state has taken in. */
  #savedInput: number;
  #protected = true;
  /** Input that is taken in again, while there is any. */
  #replay: Uint8Array[];
  #flowing = false;
  #paused = false;
  #wantsDrain = false;
  #inputIsOver = false;
  #closed = false;
  /** After the output's end: the connection as the kernel sees it, until the peer has everything. */
  #lingering: Lingering | undefined;

  constructor(
    key: ConnectionKey,
    socket: SessionSocket,
    host: SessionHost,
    start: SessionStart,
    sockets: PeerSockets = KERNEL_SOCKETS,
  ) {
    super();
    this.#sockets = sockets;
    this.key = key;
    this.resumed = start.resumed;
    this.#socket = socket;
    this.#host = host;
    this.#start = start;
    this.#state = start.state;
    this.#inputOffset = start.inputOffset;
    this.#savedInput = start.inputOffset;
    this.#replay = start.input.map(({ bytes }) => bytes);
    const { delivered, ended, states } = start;
    this.#outbox = new Outbox({ made: start.outputOffset, delivered, ended, states });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_MS);
    this.#listen(socket);
    for (const bytes of start.resend) socket.write(bytes);
    this.#watch();
  }

  #listen(socket: SessionSocket): void {
    socket.on("data", (bytes: Buffer) => {
      this.#host.input(bytes);
      this.#deliver(bytes);
    });
    socket.on("end", () => {
      this.#host.inputEnded();
      this.#inputEnds();
    });
    socket.on("drain", () => this.#drain());
    socket.on("error", (error) => {
      // whoever does not ask hears of it by "close"
      if (this.listenerCount("error") > 0) this.emit("error", error);
    });
    socket.on("close", (hadError: boolean) => this.#close(hadError));
  }

  /** The engine's: handlers are set, input may flow. */
  begin(): void {
    if (this.outputEnded) this.end();
    this.#flowing = true;
    this.#flow();
  }

  #flow(): void {
    while (!this.#paused && this.#flowing) {
      const bytes = this.#replay.shift();
      if (bytes === undefined) {
        if (!this.#start.inputEnded) this.#socket.resume();
        else if (!this.#inputIsOver) this.#inputEnds();
        return;
      }
      this.#deliver(bytes);
    }
  }

  #deliver(bytes: Uint8Array): void {
    this.#inputOffset += bytes.byteLength;
    this.emit("data", bytes);
  }

  #inputEnds(): void {
    this.#inputIsOver = true;
    this.emit("end");
    if (this.#start.finAcknowledged && this.#outbox.ended) this.vanish();
  }

  /** Set by the application while a planned move would do harm: the move is tried again a few times, later. A death does not ask. */
  stays = false;

  /** Nothing more will be written, or nothing more can come. */
  get isEnding(): boolean {
    return this.#closed || this.#outbox.ended;
  }

  /** Whether another member could go on with it. */
  get protected(): boolean {
    return this.#protected;
  }

  /** What another member would begin with; undefined: nothing was ever said. */
  get state(): Uint8Array | undefined {
    return this.#state;
  }

  /** Everything that came before is in it: to be set when what came has been taken in and answered. */
  set state(state: Uint8Array) {
    this.save(state);
  }

  /** The same, where the last bytes of the input are not in it yet. The output so far must follow from the state before. */
  save(state: Uint8Array, options: SaveOptions = {}): void {
    const inputOffset = this.#taken(state, options);
    this.#state = state;
    this.#perform(this.#outbox.state(state, inputOffset));
  }

  /**
   * For output that cannot be made again: it goes to the replicas with the state behind it, and leaves when they hold both.
   * False: wait for "drain" before more.
   */
  commit({ state, output = NOTHING, held, ...options }: CommitOptions): boolean {
    const inputOffset = this.#taken(state, options);
    this.#state = state;
    this.#commits += 1;
    const id = this.#commits;
    if (held !== undefined) this.#held.set(id, held);
    this.#perform(this.#outbox.commit({ output, state, inputOffset, id }));
    return this.#hasRoom();
  }

  #taken({ byteLength }: Uint8Array, { unread = 0 }: SaveOptions): number {
    if (byteLength > MAX_STATE_BYTES) {
      throw new RangeError(
        `A state has at most ${MAX_STATE_BYTES} bytes, not ${byteLength}. Leave input that is not taken in yet out of it (unread).`,
      );
    }
    const taken = this.#inputOffset - unread;
    if (unread < 0 || taken < this.#savedInput) {
      throw new RangeError(
        `${unread} bytes have not come since the last state; unread counts input that is not in this one.`,
      );
    }
    this.#savedInput = taken;
    return taken;
  }

  /** Bytes that this application has made, from the connection's first. */
  get outputOffset(): number {
    return this.#outbox.made;
  }

  /** Nothing is to be written any more: end() was called, here or by the application of a member before, which had made all of it. */
  get outputEnded(): boolean {
    const { endsAt } = this.#start;
    return this.#outbox.ended || (endsAt !== undefined && this.#outbox.made >= endsAt);
  }

  /** Bytes from here on are really sent: what the peer has need not be made again (see skip()). */
  get missing(): number {
    return this.#outbox.missing;
  }

  /** Counts output as made without making it: for sources that can begin anywhere, up to `missing` bytes. */
  skip(bytes: number): void {
    this.#outbox.skip(bytes);
  }

  /** Output that follows from the last state and the input behind it. False: wait for "drain" before more. */
  write(bytes: Uint8Array): boolean {
    this.#perform(this.#outbox.write(bytes));
    return this.#hasRoom();
  }

  /** Bytes written that the kernel does not have yet, the last ones: where they lie must not be written to. */
  get unsent(): number {
    return this.#outbox.queued + this.#socket.writableLength;
  }

  #hasRoom(): boolean {
    const hasRoom = !this.#socket.writableNeedDrain && this.#outbox.waiting < HIGH_WATER;
    this.#wantsDrain ||= !hasRoom;
    return hasRoom;
  }

  #drain(): void {
    if (!this.#wantsDrain || !this.#hasRoom()) return;
    this.#wantsDrain = false;
    this.emit("drain");
  }

  /** Nothing more will be written. Replicas know before the client does. */
  end(): void {
    this.#perform(this.#outbox.end());
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#flow();
  }

  /** Ends the connection with a reset, here and for every replica. */
  destroy(): void {
    this.#host.unguard();
    this.#stopLingering();
    this.#socket.resetAndDestroy();
  }

  /** The engine's: every replica holds so much. */
  committed(states: number, outputEnded: boolean): void {
    if (!this.#closed) this.#perform(this.#outbox.held(states, outputEnded));
  }

  /** The engine's: nobody could take it over any more. */
  exposed(): void {
    this.#protected = false;
    if (!this.#closed) this.#perform(this.#outbox.expose());
  }

  /** The engine's: the server ends, and with it the connection. */
  close(): void {
    this.#stopLingering();
    this.#socket.destroy();
  }

  /** The engine's: this machine has nothing to do with the connection any more, and says nothing. */
  vanish(): void {
    this.#lingering?.freeze();
    this.#stopLingering();
    this.#sockets.closeSilently(this.#socket);
  }

  #perform(effects: readonly OutboxEffect[]): void {
    for (const effect of effects) this.#performOne(effect);
    this.#watch();
    this.#drain();
  }

  #performOne(effect: OutboxEffect): void {
    switch (effect.type) {
      case "send":
        this.#socket.write(effect.bytes);
        break;
      case "send-end":
        this.#finish();
        break;
      case "tell-output":
        this.#host.output(effect.offset, effect.bytes);
        break;
      case "tell-state":
        this.#host.snapshot(effect.snapshot);
        break;
      case "tell-end":
        this.#host.outputEnded(effect.offset);
        break;
      case "tell-progress":
        this.#host.progress(effect.outputOffset);
        break;
      case "held":
        this.#held.get(effect.id)?.();
        this.#held.delete(effect.id);
        break;
    }
  }

  #finish(): void {
    this.#host.unguard();
    if (this.#start.finAcknowledged) {
      if (this.#inputIsOver) this.vanish();
      return;
    }
    this.#lingering = this.#sockets.linger(this.#socket);
    this.#socket.end();
    // its kernel never saw the FIN that an earlier owner's did
    if (this.#start.inputEnded) this.#socket.once("finish", () => this.#socket.destroy());
  }

  #watch(): void {
    if (!this.#closed && this.#outbox.asksPeer) this.#host.watch(this);
  }

  /** The engine's, after watch(). */
  poll(): boolean {
    if (this.#closed) return this.#linger();
    const left = this.#sockets.unacknowledged(this.#socket);
    if (left === undefined) return false; // "close" follows
    const given = this.#socket.bytesWritten - this.#socket.writableLength;
    this.#perform(this.#outbox.acknowledged(this.#start.delivered + given - left));
    return this.#outbox.asksPeer;
  }

  #close(hadError: boolean): void {
    this.#closed = true;
    this.#held.clear();
    this.#replay = [];
    this.#flowing = false;
    if (hadError) this.#stopLingering();
    if (this.#linger()) this.#host.watch(this);
    this.emit("close", hadError);
  }

  /** What the kernel has not brought to the peer yet would be lost with this machine: until then the replicas keep it. */
  #linger(): boolean {
    const lingering = this.#lingering;
    if (lingering !== undefined && (lingering.unacknowledged() ?? 0) > 0) return true;
    this.#stopLingering();
    this.#host.closed();
    return false;
  }

  #stopLingering(): void {
    this.#lingering?.close();
    this.#lingering = undefined;
  }
}
