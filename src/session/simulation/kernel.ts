// What a member's machine does for its session server, made up: sockets, the session program at the interface, the lease. It goes on when
// the process on it stands still.
import { Duplex } from "node:stream";
import { advance, isLater } from "#base/sequence.ts";
import type { HeldConnection } from "#core/takeover/replica.ts";
import type { Resumed } from "#core/takeover/resumption.ts";
import type {
  HeardEvent,
  RightToSpeak,
  SessionControl,
  SessionEvent,
  SessionWire,
} from "#driver/bpf/session-program.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { keyText } from "../key-text.ts";
import type { Lingering, RestoredSocket, SessionSocket } from "../sockets.ts";
import { type Segment, Tcp } from "./tcp.ts";

/** As much as an application may write before it has to wait. */
const SEND_BUFFER = 600;

export interface KernelHost {
  readonly nowMs: () => number;
  /** A segment leaves the machine. */
  readonly leaves: (key: ConnectionKey, segment: Segment) => void;
  /** The session program tells its process. */
  readonly tell: (event: SessionEvent) => void;
  /** Its process reads: now, or when it runs again. */
  readonly turn: (run: () => void) => void;
  /** Whether this machine may take and send frames (ADR 8). */
  readonly hasLease: () => boolean;
}

interface Flow {
  readonly key: ConnectionKey;
  /** Undefined: a stand-in, which knows nothing. */
  readonly tcp: Tcp | undefined;
  readonly socket: SimulatedSocket | undefined;
  /** In repair nothing leaves and nothing is taken in. */
  repair: boolean;
}

/** A Node socket over a made-up connection. */
class SimulatedSocket extends Duplex {
  tcp: Tcp | undefined;
  readonly #nowMs: () => number;
  #waiting: (() => void) | undefined;
  /** As Node counts: with what waits in it. */
  bytesWritten = 0;

  constructor(nowMs: () => number) {
    super({ allowHalfOpen: true, writableHighWaterMark: SEND_BUFFER });
    this.#nowMs = nowMs;
  }

  override _read(): void {}

  setNoDelay(): void {}

  setKeepAlive(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.bytesWritten += chunk.byteLength;
    this.tcp?.write(this.#nowMs(), new Uint8Array(chunk));
    if ((this.tcp?.queued ?? 0) < SEND_BUFFER) done();
    else this.#waiting = done;
  }

  override _final(done: () => void): void {
    this.tcp?.end(this.#nowMs());
    done();
  }

  drained(): void {
    const waiting = this.#waiting;
    if (waiting === undefined || (this.tcp?.queued ?? 0) >= SEND_BUFFER) return;
    this.#waiting = undefined;
    waiting();
  }

  resetAndDestroy(): void {
    this.tcp?.reset();
    this.destroy();
  }
}

export class SimulatedKernel {
  readonly #host: KernelHost;
  readonly #flows = new Map<string, Flow>();
  readonly #controls = new Map<string, SessionControl>();
  readonly #wires = new Map<string, { held: number; ack: number; end: number }>();
  readonly #of = new WeakMap<SessionSocket, Flow>();

  constructor(host: KernelHost) {
    this.#host = host;
  }

  knows(key: ConnectionKey): boolean {
    return this.#flows.has(keyText(key));
  }

  tick(): void {
    for (const { tcp, repair } of this.#flows.values()) if (!repair) tcp?.tick(this.#host.nowMs());
  }

  /** A handshake has ended here. */
  accept(key: ConnectionKey, is: { sendNext: number; receiveNext: number }): SessionSocket {
    this.#controls.set(keyText(key), {
      ...{ clamp: true, guard: true, shield: false, mute: false, committed: is.receiveNext },
    });
    this.#wires.set(keyText(key), { held: 0, ack: is.receiveNext, end: is.sendNext });
    return this.#make(key, is, false).socket;
  }

  #make(
    key: ConnectionKey,
    is: { readonly sendNext: number; readonly receiveNext: number },
    repair: boolean,
  ): Flow & { readonly socket: SimulatedSocket } {
    const text = keyText(key);
    const socket = new SimulatedSocket(() => this.#host.nowMs());
    const tcp = new Tcp(is, {
      send: (segment) => this.#leaves(text, segment),
      bytes: (bytes) => this.#host.turn(() => !socket.destroyed && socket.push(bytes)),
      end: () => this.#host.turn(() => !socket.destroyed && socket.push(null)),
      drain: () => socket.drained(),
      reset: () => void socket.destroy(new Error("ECONNRESET")),
    });
    socket.tcp = tcp;
    const flow = { key, tcp, socket, repair };
    this.#flows.set(text, flow);
    this.#of.set(socket, flow);
    return flow;
  }

  #leaves(text: string, segment: Segment): void {
    const flow = this.#flows.get(text);
    if (flow === undefined || flow.repair) return;
    this.egress(flow.key, segment);
  }

  /** The stages of bpf/session.bpf.c: lease, speak, guard, clamp. */
  egress(key: ConnectionKey, segment: Segment): void {
    const control = this.#controls.get(keyText(key));
    const wire = this.#wires.get(keyText(key));
    if (!this.#speaks()) return;
    if (control === undefined || wire === undefined) return this.#host.leaves(key, segment);
    if (control.mute) return;
    if (control.guard && (segment.fin || segment.reset)) return;
    const { committed } = control;
    let { acknowledgement } = segment;
    if (control.clamp && isLater(acknowledgement, committed)) {
      if (segment.bytes.byteLength === 0 && !segment.fin && committed === wire.ack) {
        wire.held += 1;
        return;
      }
      acknowledgement = committed;
    }
    wire.ack = acknowledgement;
    wire.end = advance(segment.sequence, segment.bytes.byteLength);
    this.#host.leaves(key, { ...segment, acknowledgement });
  }

  /** A segment of the peer comes to this machine. False: its stack knows no such connection, and nothing keeps it from saying so. */
  ingress(key: ConnectionKey, segment: Segment): boolean {
    const text = keyText(key);
    if (this.#controls.get(text)?.shield === true) {
      this.#host.tell(heard(key, segment, this.#host.nowMs()));
      return true;
    }
    const flow = this.#flows.get(text);
    if (flow === undefined) return false;
    if (!flow.repair) flow.tcp?.receive(this.#host.nowMs(), segment);
    this.#sweep(text, flow);
    return true;
  }

  /** A closed socket is gone when the peer has everything. */
  #sweep(text: string, { socket, tcp }: Flow): void {
    if (socket?.destroyed === true && tcp?.isDelivered === true) this.#flows.delete(text);
  }

  /** Until when nobody knows whether others have taken its sessions over, as `granted` says. */
  tenure = 0;
  #granted = 0;

  #speaks(): boolean {
    return this.#host.hasLease() && this.tenure === this.#granted;
  }

  readonly program = {
    right: (): RightToSpeak => ({
      speaks: this.#speaks(),
      tenure: this.tenure,
      isAway: this.tenure !== this.#granted,
    }),
    grant: (tenure: number): void => void (this.#granted = tenure),
    control: (key: ConnectionKey, control: SessionControl): void =>
      void this.#controls.set(keyText(key), control),
    hold: (key: ConnectionKey, control: SessionControl): void => {
      const text = keyText(key);
      if (!this.#wires.has(text)) this.#wires.set(text, { held: 0, ack: 0, end: 0 });
      this.#controls.set(text, control);
    },
    release: (key: ConnectionKey): void => {
      this.#controls.delete(keyText(key));
      this.#wires.delete(keyText(key));
    },
    wire: (key: ConnectionKey): SessionWire | undefined => {
      const wire = this.#wires.get(keyText(key));
      if (wire === undefined) return undefined;
      return {
        ...{ lastAcknowledgement: wire.ack, lastWindow: 1000, lastSequenceEnd: wire.end },
        ...{ lastTimestamp: 0, lastEcho: 0, held: wire.held },
        ...{ clamped: 0, guarded: 0, shielded: 0, silenced: 0 },
      };
    },
  };

  readonly sockets = {
    standIn: ({ log }: HeldConnection): (() => void) => {
      const { key } = log.opened.initial;
      const flow: Flow = { key, tcp: undefined, socket: undefined, repair: true };
      this.#flows.set(keyText(key), flow);
      return () => this.#remove(flow);
    },
    restore: ({ initial: { key }, essential }: Resumed): RestoredSocket => {
      const flow = this.#make(key, essential, true);
      const begin = (): void => {
        flow.repair = false;
        flow.tcp?.ask();
      };
      return { socket: flow.socket, begin };
    },
    closeSilently: (socket: SessionSocket): void => {
      const flow = this.#of.get(socket);
      flow?.tcp?.vanish();
      if (flow !== undefined) this.#remove(flow);
      socket.destroy();
    },
    unacknowledged: (socket: SessionSocket): number | undefined =>
      socket.destroyed ? undefined : this.#of.get(socket)?.tcp?.queued,
    linger: (socket: SessionSocket): Lingering => {
      const flow = this.#of.get(socket);
      return {
        unacknowledged: () => flow?.tcp?.undelivered,
        freeze: () => flow?.tcp?.vanish(),
        close: () => {},
      };
    },
  };

  #remove(flow: Flow): void {
    const text = keyText(flow.key);
    if (this.#flows.get(text) === flow) this.#flows.delete(text);
  }
}

const heard = (key: ConnectionKey, segment: Segment, nowMs: number): HeardEvent => ({
  ...{ type: "heard", key, atNs: BigInt(Math.floor(nowMs * 1e6)), packet: undefined },
  ...{ sequence: segment.sequence, acknowledgement: segment.acknowledgement, window: 1000 },
  ...{ payload: segment.bytes.byteLength, timestamps: undefined },
  ...{ syn: false, fin: segment.fin, reset: segment.reset },
});

/** A bare segment of the engine (wire/takeover/bare-segment.ts), IPv4 without timestamps. */
export function readBareSegment(packet: Uint8Array): Segment {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  return {
    sequence: view.getUint32(24),
    acknowledgement: view.getUint32(28),
    bytes: packet.subarray(40),
    fin: false,
    reset: false,
  };
}
