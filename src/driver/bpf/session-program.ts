// The session program (bpf/session.bpf.c) on an interface: which listeners it protects, what it is told about each connection, and what
// it tells. Its filters stay on the interface when this process dies, and go on guarding and shielding, until detach().
import { type IpAddress, ipBytes, ipFromBytes } from "#base/address.ts";
import { putMapped, unmapped } from "#base/mapped-address.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { FdWatch } from "../fd-watch.ts";
import { attachSession, detachSession, removeUnusedClsact } from "./attachment.ts";
import { bpfCheck, libbpf } from "./libbpf.ts";
import type { Netdev } from "./netdev.ts";
import { Predecessor, steeringId } from "./predecessor.ts";
import { SpeakLease } from "./lease.ts";
import { LoadedObject } from "./program-loader.ts";
import { RingBuffer } from "./ring-buffer.ts";
import * as abi from "./session.gen.ts";

const ENOENT = 2;
const EEXIST = 17;
const BPF_NOEXIST = 1;
const EVENTS_SIZE = 4 * 1024 * 1024;
/**
 * One turn of the event loop takes no more; the watch calls again while there are any. Few, so that of a crowd that is taken over the first
 * are with their replicas while this member is still busy with the others.
 */
const EVENTS_A_TURN = 64;

/** What the program does to a connection. */
export interface SessionControl {
  /** Acknowledge the peer's bytes only as far as told. */
  readonly clamp: boolean;
  /** Let no FIN and no RST out. */
  readonly guard: boolean;
  /** Keep the peer's segments from the stack, and tell them. */
  readonly shield: boolean;
  /** Let nothing out: another member speaks. */
  readonly mute: boolean;
  /** Sequence number of the peer that may be acknowledged. */
  readonly committed: number;
}

interface EventBase {
  readonly key: ConnectionKey;
  readonly atNs: bigint;
}

/** A SYN-ACK left: the connection has begun, before the application has accepted it. */
export interface OpenedEvent extends EventBase {
  readonly type: "opened";
  /** The first byte of each direction. */
  readonly sendNext: number;
  readonly receiveNext: number;
  /** What our timestamps show by now. */
  readonly timestamp: number;
  readonly window: number;
  /** What the peer announced: bytes of data and options in a segment. */
  readonly mss: number;
  readonly timestamps: boolean;
  readonly sack: boolean;
  readonly scaling: boolean;
  readonly sendScale: number;
  readonly receiveScale: number;
}

/** A segment of the peer on a shielded connection. It went no further. */
export interface HeardEvent extends EventBase {
  readonly type: "heard";
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly window: number;
  readonly payload: number;
  readonly timestamps: { readonly value: number; readonly echo: number } | undefined;
  readonly syn: boolean;
  readonly fin: boolean;
  readonly reset: boolean;
  /** The IP packet; undefined: it brought nothing, or was too long. Its TCP checksum may be left to be made. */
  readonly packet: Uint8Array | undefined;
}

export type SessionEvent = OpenedEvent | HeardEvent;

/** What left on a connection, as counted by the program. */
export interface SessionWire {
  readonly lastAcknowledgement: number;
  readonly lastWindow: number;
  readonly lastSequenceEnd: number;
  readonly lastTimestamp: number;
  readonly lastEcho: number;
  readonly clamped: number;
  readonly held: number;
  readonly guarded: number;
  readonly shielded: number;
  readonly silenced: number;
}

const readAddress = (bytes: Uint8Array): IpAddress => ipFromBytes(unmapped(bytes));

function keyBytes({ vip, port, peer, peerPort }: ConnectionKey): Uint8Array {
  const bytes = new Uint8Array(abi.SESSION_KEY.size);
  const view = new DataView(bytes.buffer);
  putMapped(bytes, abi.SESSION_KEY.local, ipBytes(vip));
  putMapped(bytes, abi.SESSION_KEY.peer, ipBytes(peer));
  view.setUint16(abi.SESSION_KEY.port, port);
  view.setUint16(abi.SESSION_KEY.peerPort, peerPort);
  return bytes;
}

function readKey(record: Uint8Array): ConnectionKey {
  const view = new DataView(record.buffer, record.byteOffset);
  const { local, peer, port, peerPort } = abi.SESSION_KEY;
  return {
    vip: readAddress(record.subarray(local, local + 16)),
    port: view.getUint16(port),
    peer: readAddress(record.subarray(peer, peer + 16)),
    peerPort: view.getUint16(peerPort),
  };
}

function readOpened(view: DataView, base: EventBase): OpenedEvent {
  const options = view.getUint8(abi.SESSION_EVENT.options);
  return {
    ...base,
    type: "opened",
    sendNext: view.getUint32(abi.SESSION_EVENT.sequence, true),
    receiveNext: view.getUint32(abi.SESSION_EVENT.acknowledgement, true),
    timestamp: view.getUint32(abi.SESSION_EVENT.timestamp, true),
    window: view.getUint16(abi.SESSION_EVENT.window, true),
    mss: view.getUint16(abi.SESSION_EVENT.mss, true),
    timestamps: (options & abi.TIMESTAMPS) !== 0,
    sack: (options & abi.SACK) !== 0,
    scaling: (options & abi.SCALING) !== 0,
    sendScale: view.getUint8(abi.SESSION_EVENT.sendScale),
    receiveScale: view.getUint8(abi.SESSION_EVENT.receiveScale),
  };
}

function readHeard(record: Uint8Array, view: DataView, base: EventBase): HeardEvent {
  const segment = view.getUint8(abi.SESSION_EVENT.segment);
  const hasTimestamps = (view.getUint8(abi.SESSION_EVENT.options) & abi.TIMESTAMPS) !== 0;
  const value = view.getUint32(abi.SESSION_EVENT.timestamp, true);
  const echo = view.getUint32(abi.SESSION_EVENT.echo, true);
  const kept = view.getUint32(abi.SESSION_EVENT.kept, true);
  const { size } = abi.SESSION_EVENT;
  return {
    ...base,
    type: "heard",
    sequence: view.getUint32(abi.SESSION_EVENT.sequence, true),
    acknowledgement: view.getUint32(abi.SESSION_EVENT.acknowledgement, true),
    window: view.getUint16(abi.SESSION_EVENT.window, true),
    payload: view.getUint32(abi.SESSION_EVENT.payload, true),
    timestamps: hasTimestamps ? { value, echo } : undefined,
    syn: (segment & abi.SYN) !== 0,
    fin: (segment & abi.FIN) !== 0,
    reset: (segment & abi.RST) !== 0,
    packet: kept === 0 ? undefined : record.subarray(size, size + kept),
  };
}

/** One record of the ring buffer; undefined: not one of ours. */
export function sessionEvent(record: Uint8Array): SessionEvent | undefined {
  if (record.byteLength < abi.SESSION_EVENT.size) return undefined;
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const base = { key: readKey(record), atNs: view.getBigUint64(abi.SESSION_EVENT.atNs, true) };
  const type = view.getUint32(abi.SESSION_EVENT.type, true);
  if (type === abi.EVENT_OPENED) return readOpened(view, base);
  return type === abi.EVENT_HEARD ? readHeard(record, view, base) : undefined;
}

function controlBytes(control: SessionControl): Uint8Array {
  const bytes = new Uint8Array(abi.SESSION_CONTROL.size);
  const view = new DataView(bytes.buffer);
  const flags =
    (control.clamp ? abi.CLAMP : 0) |
    (control.guard ? abi.GUARD : 0) |
    (control.shield ? abi.SHIELD : 0) |
    (control.mute ? abi.MUTE : 0);
  view.setUint32(abi.SESSION_CONTROL.flags, flags, true);
  view.setUint32(abi.SESSION_CONTROL.committed, control.committed, true);
  return bytes;
}

/** Whether sessions may speak here (docs/adr/0029). */
export interface RightToSpeak {
  /** They may, at this moment. */
  readonly speaks: boolean;
  /** Another number: others may have taken over what was served here. */
  readonly tenure: number;
  /** It was not granted since: what others say they have, they have. */
  readonly isAway: boolean;
}

interface Placed {
  readonly onEvents: (events: SessionEvent[]) => void;
  /** The interface had no clsact qdisc before. */
  readonly madeClsact: boolean;
}

/** The packet program whose leases count. */
interface Steering {
  readonly programId: number;
  /** Of its state map. */
  readonly stateId: number | undefined;
}

interface Loaded {
  readonly object: LoadedObject;
  /** Undefined: there is none. */
  readonly steering: Steering | undefined;
}

/** Shares the packet program's state map, where there is one. @param before goes on with the maps of this one */
function loadLeased(device: Netdev, before?: LoadedObject): Loaded {
  const steering = Predecessor.find(device.ifindex);
  let stateId: number | undefined;
  try {
    const constants = new Uint8Array(abi.SESSION_CONFIG.size);
    const leased = steering === undefined ? 0 : 1;
    new DataView(constants.buffer).setUint32(abi.SESSION_CONFIG.leased, leased, true);
    const object = LoadedObject.load("session.o", {
      constants,
      existing: (name, shape) => {
        if (name !== ".data.state") return name === ".rodata" ? undefined : before?.mapFd(name);
        const fd = steering?.mapFd(name, shape);
        stateId = fd === undefined ? undefined : steering?.idOf(fd);
        return fd;
      },
    });
    return { object, steering: steering && { programId: steering.id, stateId } };
  } finally {
    steering?.close();
  }
}

const filtersOf = (object: LoadedObject) => ({
  ingress: object.programFd("session_ingress"),
  egress: object.programFd("session_egress"),
});

export class SessionProgram {
  readonly #device: Netdev;
  /** The one on the interface, and those before it, whose maps it has. */
  readonly #objects: LoadedObject[];
  #steering: Steering | undefined;
  readonly #madeClsact: boolean;
  readonly #controls: number;
  readonly #wires: number;
  readonly #listeners: number;
  readonly #grants: number;
  #lease: SpeakLease | undefined;
  #granted = 0;
  readonly #ring: RingBuffer;
  readonly #watch: FdWatch;

  private constructor(
    device: Netdev,
    { object, steering }: Loaded,
    { onEvents, madeClsact }: Placed,
  ) {
    this.#device = device;
    this.#objects = [object];
    this.#steering = steering;
    this.#madeClsact = madeClsact;
    this.#controls = object.mapFd("session_controls");
    this.#wires = object.mapFd("session_wires");
    this.#listeners = object.mapFd("session_listeners");
    this.#grants = object.mapFd("session_tenure");
    if (steering !== undefined) this.#lease = new SpeakLease(object.mapFd(".data.state"));
    this.grant(this.right().tenure);
    const events = object.mapFd("session_events");
    this.#ring = new RingBuffer(events, EVENTS_SIZE);
    this.#watch = new FdWatch(events, () => {
      const seen = this.#ring.read(EVENTS_A_TURN).flatMap((record) => sessionEvent(record) ?? []);
      if (seen.length > 0) onEvents(seen);
    });
  }

  /**
   * Puts the program on an interface of this network namespace, in place of one that an earlier process left. Where the packet program is,
   * sessions speak only under its lease.
   */
  static attach(device: Netdev, onEvents: (events: SessionEvent[]) => void): SessionProgram {
    const loaded = loadLeased(device);
    try {
      const madeClsact = attachSession(device, filtersOf(loaded.object));
      return new SessionProgram(device, loaded, { onEvents, madeClsact });
    } catch (error) {
      loaded.object.close();
      throw error;
    }
  }

  /**
   * An agent that found no maps to go on with has made new ones: from now on its leases count. Until sessions are granted them they are
   * silent. To be called every now and then; costs little where nothing has changed.
   */
  follow(): void {
    const programId = steeringId(this.#device);
    if (programId === undefined || programId === this.#steering?.programId) return;
    const [before] = this.#objects;
    const { object, steering } = loadLeased(this.#device, before);
    if (steering === undefined || steering.stateId === this.#steering?.stateId) {
      this.#steering = steering ?? this.#steering;
      return object.close();
    }
    this.#lease?.close();
    this.#lease = new SpeakLease(object.mapFd(".data.state"));
    this.#steering = steering;
    this.#objects.push(object);
    this.grant((this.right().tenure - 1) >>> 0);
    attachSession(this.#device, filtersOf(object));
  }

  /** Connections to this address and port are sessions from their SYN-ACK on. */
  protect(vip: IpAddress, port: number): void {
    const key = new Uint8Array(abi.SESSION_LISTENER.size);
    putMapped(key, abi.SESSION_LISTENER.local, ipBytes(vip));
    new DataView(key.buffer).setUint16(abi.SESSION_LISTENER.port, port);
    const flags = new Uint8Array(Uint32Array.of(abi.CLAMP | abi.GUARD).buffer);
    bpfCheck(libbpf().updateElem(this.#listeners, key, flags, 0), "protect a listener");
  }

  /** A session that did not begin on this machine, and that its program does not know yet. */
  hold(key: ConnectionKey, control: SessionControl): void {
    // First what is counted: without it the program lets everything pass.
    const none = new Uint8Array(abi.SESSION_WIRE.size);
    const made = libbpf().updateElem(this.#wires, keyBytes(key), none, BPF_NOEXIST);
    if (made !== -EEXIST) bpfCheck(made, "count a session");
    this.control(key, control);
  }

  /** Of a session that is held here or began here. */
  control(key: ConnectionKey, control: SessionControl): void {
    const result = libbpf().updateElem(this.#controls, keyBytes(key), controlBytes(control), 0);
    bpfCheck(result, "control a session");
  }

  /** The connection is like any other from now on. */
  release(key: ConnectionKey): void {
    const bytes = keyBytes(key);
    for (const map of [this.#controls, this.#wires]) {
      const result = libbpf().deleteElem(map, bytes);
      if (result !== -ENOENT) bpfCheck(result, "release a session");
    }
  }

  /** Undefined: the program knows no such session. */
  wire(key: ConnectionKey): SessionWire | undefined {
    const value = new Uint8Array(abi.SESSION_WIRE.size);
    if (libbpf().lookupElem(this.#wires, keyBytes(key), value) < 0) return undefined;
    const view = new DataView(value.buffer);
    const count = (at: number): number => Number(view.getBigUint64(at, true));
    return {
      lastAcknowledgement: view.getUint32(abi.SESSION_WIRE.lastAck, true),
      lastWindow: view.getUint32(abi.SESSION_WIRE.lastWindow, true),
      lastSequenceEnd: view.getUint32(abi.SESSION_WIRE.lastSequenceEnd, true),
      lastTimestamp: view.getUint32(abi.SESSION_WIRE.lastTimestamp, true),
      lastEcho: view.getUint32(abi.SESSION_WIRE.lastEcho, true),
      clamped: count(abi.SESSION_WIRE.clamped),
      held: count(abi.SESSION_WIRE.held),
      guarded: count(abi.SESSION_WIRE.guarded),
      shielded: count(abi.SESSION_WIRE.shielded),
      silenced: count(abi.SESSION_WIRE.silenced),
    };
  }

  /** Without a packet program nobody else could speak. */
  right(): RightToSpeak {
    if (this.#lease === undefined) return { speaks: true, tenure: 0, isAway: false };
    const { tenure, untilNs } = this.#lease;
    const isAway = tenure !== this.#granted;
    return { speaks: !isAway && process.hrtime.bigint() < untilNs, tenure, isAway };
  }

  /** Sessions may speak in this tenure: what others have taken over is known. */
  grant(tenure: number): void {
    const value = new Uint8Array(Uint32Array.of(tenure).buffer);
    bpfCheck(libbpf().updateElem(this.#grants, new Uint8Array(4), value, 0), "let sessions speak");
    this.#granted = tenure;
  }

  /** Lets go of the program; the interface keeps it. */
  close(): void {
    this.#watch.close();
    this.#lease?.close();
    this.#ring.close();
    for (const object of this.#objects) object.close();
  }

  /** Takes it off the interface, too. */
  detach(): void {
    this.close();
    detachSession(this.#device.ifindex);
    if (this.#madeClsact) removeUnusedClsact(this.#device.ifindex);
  }
}
