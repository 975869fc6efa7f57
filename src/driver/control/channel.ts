// One established control connection, the same at both ends: frames in and out of a TLS socket, pings, and what happens to
// a peer that is silent or does not read. Silence is counted in ticks, not read off a clock: after a pause of
// this process (a debugger, a suspended machine) the peer's answers are still waiting in the kernel's buffer.
import type { TLSSocket } from "node:tls";
import type { NodeId } from "#base/ids.ts";
import { controlDecoder, encodeControl, type ControlFailure } from "#wire/control/frame.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import { SendQueue } from "./send-queue.ts";

/** Why a connection ended. What follows "malformed" is a breach of protocol; nobody of ours causes it. */
export type CloseReason =
  | "closed-here"
  | "closed-by-peer"
  | "socket-error"
  /** A newer connection of the same node took its place. */
  | "superseded"
  /** Nothing came for several pings. */
  | "idle"
  /** It takes what we send too slowly, or not at all. */
  | "slow-reader"
  /** Its certificate was revoked or has expired since, or it is no node of the cluster any more. */
  | "no-longer-trusted"
  /** Its hello names another node than its certificate. */
  | "wrong-node"
  | ControlFailure;

/** sent: handed to the socket. queued: waits for the peer to read. replaced: as queued, and older tables were dropped for it. */
export type SendOutcome = "sent" | "queued" | "replaced" | "too-long" | "closed";

export interface ChannelLimits {
  /** Between ticks, at each of which a ping is sent. */
  readonly pingEveryMs: number;
  /** Ticks in a row without a byte from the peer, after which it is idle. */
  readonly silentTicks: number;
  /** Ticks in a row with data waiting and none taken, after which it is a slow reader. */
  readonly stalledTicks: number;
  /** Bytes that may wait for a peer. Beyond: slow reader. Must hold the longest frame. */
  readonly queuedBytes: number;
  /** Frames that may wait for a peer, likewise. */
  readonly queuedFrames: number;
}

export const CHANNEL_LIMITS: ChannelLimits = {
  pingEveryMs: 2000,
  silentTicks: 4,
  stalledTicks: 4,
  queuedBytes: 24 * 1024 * 1024,
  queuedFrames: 4096,
};

export interface ChannelEvents {
  readonly onFirstFrame?: () => void;
  readonly onMessage: (message: ControlMessage) => void;
  /** Once, as the last event. */
  readonly onClose: (reason: CloseReason) => void;
}

/** Time for the last bytes of an orderly close to leave. */
const LINGER_MS = 1000;

export class Channel {
  readonly #socket: TLSSocket;
  readonly #peer: NodeId;
  readonly #limits: ChannelLimits;
  readonly #events: ChannelEvents;
  readonly #decoder = controlDecoder();
  readonly #queue = new SendQueue();
  #blocked = false;
  #closed = false;
  #heard = false;
  #silentTicks = 0;
  #stalledTicks = 0;
  #nonce = 0;

  /** Takes over a socket whose peer has proved to be node `peer`. */
  constructor(socket: TLSSocket, peer: NodeId, limits: ChannelLimits, events: ChannelEvents) {
    this.#socket = socket;
    this.#peer = peer;
    this.#limits = limits;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("drain", () => this.#flush());
    socket.on("end", () => this.cut("closed-by-peer"));
    socket.on("error", () => this.cut("socket-error"));
    socket.on("close", () => this.cut("closed-by-peer"));
  }

  get closed(): boolean {
    return this.#closed;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  send(message: ControlMessage): SendOutcome {
    const frame = encodeControl(message);
    return frame === undefined ? "too-long" : this.sendFrame(message.type, frame);
  }

  /** For one frame that goes to many peers and is encoded once. */
  sendFrame(type: ControlMessage["type"], frame: Uint8Array): SendOutcome {
    if (this.#closed) return "closed";
    if (!this.#blocked) {
      this.#blocked = !this.#socket.write(frame);
      return "sent";
    }
    const replaced = this.#queue.push(type, frame);
    const { queuedBytes, queuedFrames } = this.#limits;
    if (this.#queue.bytes > queuedBytes || this.#queue.length > queuedFrames) {
      this.cut("slow-reader");
      return "closed";
    }
    return replaced ? "replaced" : "queued";
  }

  #flush(): void {
    this.#blocked = false;
    this.#stalledTicks = 0;
    while (!this.#blocked && !this.#closed) {
      const frame = this.#queue.shift();
      if (frame === undefined) return;
      this.#blocked = !this.#socket.write(frame);
    }
  }

  #receive(chunk: Buffer): void {
    this.#silentTicks = 0;
    for (const received of this.#decoder.push(chunk)) {
      if (this.#closed) return;
      if (!received.ok) return this.cut(received.reason);
      if (!this.#heard) this.#events.onFirstFrame?.();
      this.#heard = true;
      this.#take(received.message);
    }
  }

  #take(message: ControlMessage): void {
    if (message.type === "ping") this.send({ type: "pong", nonce: message.nonce });
    else if (message.type === "hello" && message.node !== this.#peer) this.cut("wrong-node");
    else if (message.type !== "pong") this.#events.onMessage(message);
  }

  /** To be called every `pingEveryMs` by the owner. */
  tick(): void {
    if (this.#closed) return;
    if (this.#blocked && ++this.#stalledTicks > this.#limits.stalledTicks) {
      return this.cut("slow-reader");
    }
    if (++this.#silentTicks > this.#limits.silentTicks) return this.cut("idle");
    if (!this.#blocked) this.ping();
  }

  ping(): void {
    this.#nonce = (this.#nonce + 1) >>> 0;
    this.send({ type: "ping", nonce: this.#nonce });
  }

  /** Ends the connection after what was sent has left. */
  close(): void {
    if (this.#closed) return;
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(linger));
    this.#socket.end();
    this.#finish("closed-here");
  }

  /** Ends the connection at once. */
  cut(reason: CloseReason): void {
    if (this.#closed) return;
    this.#socket.destroy();
    this.#finish(reason);
  }

  #finish(reason: CloseReason): void {
    this.#closed = true;
    this.#queue.clear();
    this.#events.onClose(reason);
  }
}
