// What makes the sessions of one process outlive it (A16): the owner of those that it serves, a replica of the others', and the one that
// takes over. Decisions are core/takeover's; here they meet sockets, the session program and the streams between members.
import { Socket } from "node:net";
import type { NodeId } from "#base/ids.ts";
import { isLater, later } from "#base/sequence.ts";
import { elapsedMs, type Instant } from "#base/time.ts";
import { Owner, type OwnerEffect } from "#core/takeover/owner.ts";
import { type HeldConnection, Replica, type ReplicaEffect } from "#core/takeover/replica.ts";
import type { Resumed } from "#core/takeover/resumption.ts";
import type { OpenedEvent, SessionEvent, SessionProgram } from "#driver/bpf/session-program.ts";
import { openedMessage } from "#driver/tcp/opened.ts";
import type { RawPackets } from "#driver/tcp/raw-packets.ts";
import { leaveRepair, restore } from "#driver/tcp/restore.ts";
import { bareSegment } from "#wire/takeover/bare-segment.ts";
import type { SessionFigures } from "#wire/applications/message.ts";
import type { ConnectionNumber, OwnerMessage } from "#wire/takeover/message.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { now } from "./clock.ts";
import { keyText } from "./key-text.ts";
import type { Links } from "./links.ts";
import { PeerWatch } from "./peer-watch.ts";
import { Following, Samples, timesOf } from "./figures.ts";
import { hostOf, progressNow, type Serving, serving, UNPROTECTED } from "./serving.ts";
import { FRESH, Session, type SessionStart } from "./session.ts";
import { Takeovers } from "./takeovers.ts";

export interface EngineParts {
  readonly program: SessionProgram;
  readonly raw: RawPackets;
  readonly links: Pick<Links, "tell" | "answer">;
  /** A session begins, or goes on here. Its handlers must be set before this returns. */
  readonly onSession: (session: Session) => void;
}

export interface EngineCounts {
  /** Sessions that this process serves. */
  readonly served: number;
  /** Sessions of others that it holds. */
  readonly held: number;
  readonly takenOver: number;
  /** Sessions that another member took over while this one could not be heard. */
  readonly abandoned: number;
  readonly lost: number;
  /** Sessions that went on without protection. */
  readonly exposed: number;
  /** SYN-ACKs that no connection came of. */
  readonly neverAccepted: number;
}

interface Accepted {
  readonly key: ConnectionKey;
  readonly socket: Socket;
  readonly at: Instant;
}

/** A record of a connection that nobody accepts is kept so long; a later SYN-ACK makes a new one. */
const NEVER_ACCEPTED_MS = 10_000;
/** The program tells of a SYN-ACK at once, or (its map was full) not at all. */
const NEVER_TOLD_MS = 500;
const SWEEP_MS = 250;

/** A connection that the stack here knows nothing of. */
const HELD = { clamp: false, guard: false, shield: true, mute: false, committed: 0 } as const;

export class Engine {
  readonly #parts: EngineParts;
  readonly #owner = new Owner();
  readonly #replica = new Replica();
  readonly #takeovers: Takeovers;
  readonly #serving = new Map<ConnectionNumber, Serving>();
  /** SYN-ACKs whose connection nobody has accepted yet, and accepted sockets whose SYN-ACK was not told yet. */
  readonly #begun = new Map<string, { readonly event: OpenedEvent; readonly at: Instant }>();
  readonly #accepted = new Map<string, Accepted>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #peers = new PeerWatch();
  readonly #following = new Following();
  readonly #pauses = new Samples();
  /** When the takeovers that are under way began. */
  readonly #takenAt = new Map<string, Instant>();
  /** Sessions of whose beginning nothing was told. */
  #untold = 0;
  #last = 0;
  /** How many records of others a shield stands for. */
  readonly #shields = new Map<string, number>();
  #counts = { takenOver: 0, abandoned: 0, lost: 0, exposed: 0, neverAccepted: 0 };

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
    this.#takeovers = new Takeovers({
      probe: (segment) => {
        const { timestamp, ...probe } = segment;
        const timestamps = timestamp === undefined ? undefined : { value: timestamp, echo: 0 };
        parts.raw.send(probe.key, bareSegment({ ...probe, window: 0, timestamps }));
      },
      restore: (held, resumed) => this.#resume(held, resumed),
      lost: (held) => {
        this.#counts.lost += 1;
        this.#takenAt.delete(keyText(held.log.opened.initial.key));
        this.#unshield(held.log.opened.initial.key);
      },
    });
  }

  get counts(): EngineCounts {
    return { served: this.#serving.size, held: this.#replica.connections, ...this.#counts };
  }

  /** For the operator. */
  figures(): Omit<SessionFigures, "others" | "replicas" | "waitingBytes"> {
    const { takenOver, lost, abandoned } = this.#counts;
    const all = [...this.#serving.values()];
    const count = (is: (served: Serving) => boolean): number => all.filter(is).length;
    return {
      served: all.length + this.#untold,
      withoutReplica: count((served) => served.alone && served.protected),
      beyondLimit: count((served) => !served.protected),
      untold: this.#untold,
      held: this.#replica.connections,
      lagMs: this.#following.lagMs(now()),
      ...{ takenOver, lost, abandoned },
      ...timesOf(this.#following.latencies, this.#pauses),
    };
  }

  /** What the session program tells. */
  told(events: readonly SessionEvent[]): void {
    for (const event of events) {
      if (event.type === "heard") this.#takeovers.heard(event);
      else this.#opened(event);
    }
  }

  #opened(event: OpenedEvent): void {
    const text = keyText(event.key);
    const number = this.#number();
    const message = openedMessage(number, event);
    this.#serving.set(number, serving(message, event.receiveNext));
    this.#happened(message);
    this.#begun.set(text, { event, at: now() });
    this.#numbers.set(text, number);
    const accepted = this.#accepted.get(text);
    if (accepted !== undefined) this.#begin(text, accepted.socket);
  }

  /** Connections that were never made (a flood of SYNs), and sockets of whose SYN-ACK nothing was told (a full map). */
  #sweep(): void {
    const at = now();
    for (const [text, begun] of [...this.#begun]) {
      if (elapsedMs(begun.at, at) < NEVER_ACCEPTED_MS) continue;
      this.#begun.delete(text);
      this.#counts.neverAccepted += 1;
      const number = this.#numbers.get(text);
      if (number !== undefined) this.#closed(number);
    }
    for (const [text, accepted] of [...this.#accepted]) {
      if (elapsedMs(accepted.at, at) < NEVER_TOLD_MS) continue;
      this.#accepted.delete(text);
      this.#counts.exposed += 1;
      this.#parts.program.release(accepted.key);
      const session = new Session(accepted.key, accepted.socket, UNPROTECTED, FRESH);
      session.exposed();
      this.#untold += 1;
      session.on("close", () => (this.#untold -= 1));
      this.#parts.onSession(session);
      session.begin();
    }
  }

  readonly #numbers = new Map<string, ConnectionNumber>();

  #number(): ConnectionNumber {
    this.#last = (this.#last + 1) >>> 0;
    return this.#last;
  }

  /** A connection that the application's listener has accepted. */
  accepted(key: ConnectionKey, socket: Socket): void {
    socket.pause();
    const text = keyText(key);
    if (this.#begun.has(text)) this.#begin(text, socket);
    else this.#accepted.set(text, { key, socket, at: now() });
  }

  #begin(text: string, socket: Socket): void {
    const event = this.#begun.get(text)?.event;
    const number = this.#numbers.get(text);
    this.#begun.delete(text);
    this.#accepted.delete(text);
    if (event === undefined || number === undefined) return;
    const served = this.#serving.get(number);
    if (served !== undefined) this.#start(served, socket, FRESH);
  }

  /** Its handlers are set before anything comes. */
  #start(served: Serving, socket: Socket, start: SessionStart): void {
    const { connection, initial } = served.opened;
    const host = hostOf(served, {
      happened: (message) => this.#happened(message),
      unguard: () => this.#unguard(connection),
      watch: (asker) => this.#peers.add(asker),
      closed: () => this.#closed(connection),
    });
    const session = new Session(initial.key, socket, host, start);
    served.session = session;
    if (!served.protected) session.exposed();
    session.committed(served.states, served.outputEnded);
    this.#parts.onSession(session);
    session.begin();
  }

  #happened(message: OwnerMessage): void {
    this.#perform(this.#owner.step({ type: "happened", message }));
  }

  /** The application has said that the connection ends: a FIN may leave. */
  #unguard(connection: ConnectionNumber): void {
    const serving = this.#serving.get(connection);
    if (serving === undefined) return;
    serving.guarded = false;
    this.#control(serving);
  }

  #control({ opened, committed, guarded, protected: clamp }: Serving): void {
    this.#parts.program.control(opened.initial.key, {
      clamp,
      guard: guarded && clamp,
      shield: false,
      mute: false,
      committed,
    });
  }

  #closed(connection: ConnectionNumber): void {
    const serving = this.#serving.get(connection);
    if (serving === undefined) return;
    this.#serving.delete(connection);
    const { key } = serving.opened.initial;
    this.#numbers.delete(keyText(key));
    this.#happened({ type: "closed", connection });
    this.#parts.program.release(key);
  }

  #perform(effects: readonly OwnerEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "send":
          this.#following.sent(effect.to, now);
          this.#parts.links.tell(effect.to, effect.message);
          break;
        case "commit":
          this.#commit(effect.connection, effect.receiveNext);
          this.#held(effect);
          break;
        case "exposed":
          this.#expose(effect.connection, effect.reason);
          break;
      }
    }
  }

  #held({ connection, states, outputEnded }: OwnerEffect & { type: "commit" }): void {
    const served = this.#serving.get(connection);
    if (served === undefined) return;
    served.states = states;
    served.outputEnded = outputEnded;
    served.session?.committed(states, outputEnded);
  }

  #commit(connection: ConnectionNumber, receiveNext: number): void {
    const serving = this.#serving.get(connection);
    if (serving === undefined || !isLater(receiveNext, serving.committed)) return;
    serving.committed = receiveNext;
    this.#control(serving);
    const { key } = serving.opened.initial;
    const wire = this.#parts.program.wire(key);
    // Nothing that left says so yet: then a bare acknowledgement does.
    if (wire === undefined || wire.held === 0 || !isLater(receiveNext, wire.lastAcknowledgement))
      return;
    const hasTimestamps = wire.lastTimestamp !== 0;
    const timestamps = hasTimestamps
      ? { value: wire.lastTimestamp, echo: wire.lastEcho }
      : undefined;
    const segment = {
      ...{ key, sequence: wire.lastSequenceEnd, acknowledgement: receiveNext },
      ...{ window: wire.lastWindow, timestamps },
    };
    this.#parts.raw.send(key, bareSegment(segment));
  }

  /** Alone, the connection is still guarded against nothing: a process that dies may say so. */
  #expose(connection: ConnectionNumber, reason: "no-replica" | "limit"): void {
    this.#counts.exposed += 1;
    const serving = this.#serving.get(connection);
    if (serving === undefined) return;
    if (reason === "no-replica") {
      serving.alone = true;
      return;
    }
    serving.protected = false;
    this.#control(serving);
    serving.session?.exposed();
  }

  /** A stream to a replica is there, or is no more. */
  replicaChanged(replica: NodeId, isThere: boolean): void {
    // whoever joins is told what was, with today's clock
    const at = now();
    if (!isThere) this.#following.gone(replica);
    for (const served of isThere ? this.#serving.values() : []) {
      served.alone = false;
      this.#happened(progressNow(served, at));
    }
    this.#perform(this.#owner.step({ type: isThere ? "replica-joined" : "replica-left", replica }));
  }

  answered(replica: NodeId, message: Parameters<Links["answer"]>[1]): void {
    if (message.type === "acknowledged") {
      this.#following.acknowledged(replica, message.messages, now());
    }
    this.#perform(this.#owner.step({ type: "answered", replica, message }));
  }

  /** What owners tell. */
  heard(owner: NodeId, messages: readonly OwnerMessage[]): void {
    this.#performReplica(this.#replica.step(now(), { type: "told", owner, messages }));
  }

  ownerBegan(owner: NodeId): void {
    this.#performReplica(this.#replica.step(now(), { type: "owner-gone", owner }));
  }

  #performReplica(effects: readonly ReplicaEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "answer":
          this.#parts.links.answer(effect.to, effect.message);
          break;
        case "shield":
          this.#shield(effect.key, effect.generation);
          break;
        case "unshield":
          this.#unshield(effect.key);
          break;
        case "resume":
          // From now on this node asks the peer.
          this.#parts.program.control(effect.connection.log.opened.initial.key, HELD);
          this.#takenAt.set(keyText(effect.connection.log.opened.initial.key), now());
          this.#takeovers.begin(effect.connection);
          break;
      }
    }
  }

  /** Somebody else says that he serves it. Who took it over later is right. */
  #shield(key: ConnectionKey, generation: number): void {
    const text = keyText(key);
    this.#shields.set(text, (this.#shields.get(text) ?? 0) + 1);
    const number = this.#numbers.get(text);
    const serving = number === undefined ? undefined : this.#serving.get(number);
    if (number !== undefined && serving !== undefined) {
      if (generation <= serving.opened.generation) return;
      this.#abandon(number, serving);
    }
    this.#parts.program.hold(key, { ...HELD, mute: true });
  }

  /** The same connection may be held twice for a while: from an owner that is gone, and from the one that took it over. */
  #unshield(key: ConnectionKey): void {
    const text = keyText(key);
    const left = (this.#shields.get(text) ?? 1) - 1;
    if (left > 0) return void this.#shields.set(text, left);
    this.#shields.delete(text);
    if (this.#numbers.has(text) || this.#takeovers.has(key)) return;
    this.#parts.program.release(key);
  }

  /** Another member has it: this one's socket goes without a word. */
  #abandon(number: ConnectionNumber, { opened, session }: Serving): void {
    this.#counts.abandoned += 1;
    this.#serving.delete(number);
    this.#numbers.delete(keyText(opened.initial.key));
    session?.vanish();
    this.#happened({ type: "closed", connection: number });
  }

  /** The owner serves them no more, and this node is to. */
  takeOver(owner: NodeId, isMine: (key: ConnectionKey) => boolean): void {
    for (const [connection, { log }] of [...this.#replica.held(owner)]) {
      if (!isMine(log.opened.initial.key)) continue;
      this.#performReplica(this.#replica.step(now(), { type: "take", owner, connection }));
    }
  }

  /** At the numbers that the peer has said. */
  #resume({ log }: HeldConnection, resumed: Resumed): void {
    const { key } = resumed.initial;
    const fd = restore(resumed);
    const connection = this.#number();
    const committed = later(resumed.essential.receiveNext, log.opened.essential.receiveNext);
    const at = now();
    const clock = { value: resumed.timestamp ?? 0, readAtMs: at };
    const generation = log.opened.generation + 1;
    const served = serving({ ...log.opened, connection, generation, clock }, committed);
    this.#serving.set(connection, served);
    this.#numbers.set(keyText(key), connection);
    this.#happened(served.opened);
    for (const message of log.messages()) {
      if (message.type !== "opened") this.#happened({ ...message, connection });
    }
    served.received = log.input.end;
    served.delivered = resumed.outputOffset;
    this.#happened(progressNow(served, at));
    this.#control(served);
    leaveRepair(fd);
    this.#unshield(key);
    this.#counts.takenOver += 1;
    this.#pauses.add(elapsedMs(this.#takenAt.get(keyText(key)) ?? at, now()));
    this.#takenAt.delete(keyText(key));
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    socket.pause();
    this.#start(served, socket, startOf(resumed));
  }

  /** Sessions end: their clients and replicas are told. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const [connection, { session }] of [...this.#serving]) {
      this.#closed(connection);
      session?.close();
    }
    this.#takeovers.close();
    this.#peers.close();
  }
}

function startOf(resumed: Resumed): SessionStart {
  const { snapshot, outputOffset, resend, input, inputEnded, finAcknowledged } = resumed;
  return {
    resumed: true,
    state: snapshot?.bytes,
    inputOffset: snapshot?.inputOffset ?? 0,
    outputOffset: snapshot?.outputOffset ?? 0,
    delivered: outputOffset,
    ...{ resend, input, inputEnded, finAcknowledged },
    ended: resumed.outputEnd !== undefined,
    endsAt: resumed.outputEnd,
    states: snapshot === undefined ? 0 : 1,
  };
}
