// What makes the sessions of one process outlive it (A16): the owner of those that it serves. Decisions are core/takeover's; here they meet
// sockets, the session program and the streams between members. What it holds and takes over of others is holding.ts's.
import type { NodeId } from "#base/ids.ts";
import { advance, isLater } from "#base/sequence.ts";
import { type Instant, instant } from "#base/time.ts";
import { asOf } from "#core/takeover/clock.ts";
import type { OwnerEffect } from "#core/takeover/owner.ts";
import type { HeldConnection } from "#core/takeover/replica.ts";
import type { Resumed } from "#core/takeover/resumption.ts";
import type { OpenedEvent, SessionEvent } from "#driver/bpf/session-program.ts";
import { openedMessage } from "#driver/tcp/opened.ts";
import { bareSegment } from "#wire/takeover/bare-segment.ts";
import type {
  ConnectionNumber,
  FromMember,
  Opened,
  OwnerMessage,
  ReplicaMessage,
  ToMember,
} from "#wire/takeover/message.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import type { EngineCounts, EngineParts } from "./engine-parts.ts";
import { Handshakes } from "./handshakes.ts";
import { Holding } from "./holding.ts";
import { keyText } from "./key-text.ts";
import { LeasedOwner } from "./leased-owner.ts";
import { PeerWatch } from "./peer-watch.ts";
import { Figures, type OwnFigures } from "./figures.ts";
import {
  acknowledgementOf,
  controlOf,
  hostOf,
  progressNow,
  type Serving,
  serving,
  startOf,
  UNPROTECTED,
} from "./serving.ts";
import { FRESH, Session, type SessionStart } from "./session.ts";
import { SILENT } from "./shields.ts";
import type { RestoredSocket, SessionSocket } from "./sockets.ts";

const SWEEP_MS = 250;

export class Engine {
  readonly #parts: EngineParts;
  readonly #owner: LeasedOwner;
  readonly #holding: Holding;
  readonly #serving = new Map<ConnectionNumber, Serving>();
  readonly #numbers = new Map<string, ConnectionNumber>();
  readonly #handshakes: Handshakes;
  /** Handed over, and not yet heard of from the new owner. */
  readonly #handed = new Map<string, Opened>();
  readonly #stopSweeping: () => void;
  readonly #peers: PeerWatch;
  readonly #figures = new Figures();
  #last = 0;
  #counts = { takenOver: 0, handedOver: 0, abandoned: 0, exposed: 0, neverAccepted: 0, dropped: 0 };

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#peers = new PeerWatch(parts.clock);
    this.#owner = new LeasedOwner(parts, (effects) => this.#perform(effects));
    this.#stopSweeping = parts.clock.every(SWEEP_MS, () => this.#handshakes.sweep());
    this.#handshakes = new Handshakes(parts.clock, {
      accepted: (event, socket) => this.#begin(event, socket),
      neverAccepted: (key) => this.#neverAccepted(key),
      neverTold: (key, socket) => this.#neverTold(key, socket),
    });
    this.#holding = new Holding(parts, this.#figures, {
      isOwn: (key) => this.#numbers.has(keyText(key)) || this.#handed.has(keyText(key)),
      isServed: (key) => this.#numbers.has(keyText(key)),
      givesWay: (key, generation) => this.#givesWay(key, generation),
      replaced: (key, generation) => this.#replaced(key, generation),
      resume: (held, resumed) => this.#resume(held, resumed),
    });
  }

  get counts(): EngineCounts {
    return { served: this.#serving.size, ...this.#ofHolding(), ...this.#counts };
  }

  /** For the operator. */
  figures(): OwnFigures {
    const { held, noted, fetched, takenOver, lost, abandoned, lackReplicas } = this.counts;
    const wanted = this.#parts.replicas ?? "all";
    const spread = wanted === "all" ? {} : { wanted, underReplicated: lackReplicas };
    const counts = { held, noted, fetched, takenOver, lost, abandoned, ...spread };
    return this.#figures.of([...this.#serving.values()], counts, this.#now());
  }

  #ofHolding(): Pick<EngineCounts, "held" | "noted" | "fetched" | "lost" | "lackReplicas"> {
    const { connections: held, noted, fetched, lost } = this.#holding;
    return { held, noted, fetched, lost, lackReplicas: this.#owner.lackReplicas };
  }

  /** How often a connection that this process serves has changed its member; undefined: it does not serve it. */
  generationOf(key: ConnectionKey): number | undefined {
    return this.#servedAs(keyText(key))?.opened.generation;
  }

  #servedAs(text: string): Serving | undefined {
    const number = this.#numbers.get(text);
    return number === undefined ? undefined : this.#serving.get(number);
  }

  #now(): Instant {
    return this.#parts.clock.now();
  }

  /** What the session program tells. */
  told(events: readonly SessionEvent[]): void {
    for (const event of events) {
      if (event.type === "opened") this.#opened(event);
      else if (event.syn) this.#anew(event.key);
      else this.#holding.segment(event);
    }
  }

  /**
   * The peer wants a new connection of the same name as one that others told of: it must not wait until that is forgotten. The SYN comes
   * again. Only when the handshake is complete, which nobody can forge, does the old one end.
   */
  #anew(key: ConnectionKey): void {
    if (!this.#holding.isUnderway(key)) this.#parts.program.release(key);
  }

  #opened(event: OpenedEvent): void {
    if (!this.#holding.has(event.key)) this.#serve(event, 0);
    this.#handshakes.begun(event);
  }

  #serve(event: OpenedEvent, generation: number): Serving {
    const number = this.#number();
    const served = serving({ ...openedMessage(number, event), generation }, event.receiveNext);
    this.#serving.set(number, served);
    this.#numbers.set(keyText(event.key), number);
    this.#happened(served.opened);
    return served;
  }

  #neverAccepted(key: ConnectionKey): void {
    this.#counts.neverAccepted += 1;
    const served = this.#servedAs(keyText(key));
    if (served !== undefined) this.#closed(served.opened.connection);
    else if (this.#holding.has(key)) this.#parts.program.hold(key, SILENT);
  }

  #neverTold(key: ConnectionKey, socket: SessionSocket): void {
    this.#counts.exposed += 1;
    this.#parts.program.release(key);
    const session = new Session(key, socket, UNPROTECTED, FRESH, this.#parts.sockets);
    session.exposed();
    this.#figures.untoldIs(session);
    this.#parts.onSession(session);
    session.begin();
  }

  #number(): ConnectionNumber {
    this.#last = (this.#last + 1) >>> 0;
    return this.#last;
  }

  /** A connection that the application's listener has accepted. */
  accepted(key: ConnectionKey, socket: SessionSocket): void {
    socket.pause();
    this.#handshakes.accepted(key, socket);
  }

  #begin(event: OpenedEvent, socket: SessionSocket): void {
    const namesake = this.#holding.generationOf(event.key) ?? -1;
    const served = this.#servedAs(keyText(event.key)) ?? this.#serve(event, namesake + 1);
    this.#start(served, socket, FRESH);
  }

  /** Its handlers are set before anything comes. */
  #start(served: Serving, socket: SessionSocket, start: SessionStart): void {
    const { connection, initial } = served.opened;
    const host = hostOf(served, {
      now: () => this.#now(),
      happened: (message) => this.#happened(message),
      unguard: () => this.#unguard(connection),
      watch: (asker) => this.#peers.add(asker),
      closed: () => this.#closed(connection),
    });
    const session = new Session(initial.key, socket, host, start, this.#parts.sockets);
    served.session = session;
    if (!served.protected) session.exposed();
    session.committed(served.states, served.outputEnded);
    this.#parts.onSession(session);
    session.begin();
  }

  #happened(message: OwnerMessage): void {
    this.#owner.step({ type: "happened", message });
  }

  /** The application has said that the connection ends: a FIN may leave. */
  #unguard(connection: ConnectionNumber): void {
    const serving = this.#serving.get(connection);
    if (serving === undefined) return;
    serving.guarded = false;
    this.#control(serving);
  }

  #control(served: Serving): void {
    this.#parts.program.control(served.opened.initial.key, controlOf(served));
  }

  #closed(connection: ConnectionNumber): void {
    const serving = this.#forget(connection);
    if (serving === undefined) return;
    this.#happened({ type: "closed", connection });
    if (serving.inputEnded) this.#acknowledgeAll(serving);
    this.#parts.program.release(serving.opened.initial.key);
  }

  /** It is over, and its socket is gone: what was kept back of the peer's end until replicas knew of it would never be said. */
  #acknowledgeAll(served: Serving): void {
    const { key } = served.opened.initial;
    const all = advance(served.opened.essential.receiveNext, served.received + 1);
    const segment = acknowledgementOf(key, all, this.#parts.program.wire(key));
    if (segment === undefined) return;
    this.#parts.program.control(key, { ...controlOf(served), clamp: false });
    this.#parts.raw.send(key.peer, bareSegment(segment));
  }

  /** This process has nothing to do with the connection any more. */
  #forget(connection: ConnectionNumber): Serving | undefined {
    const serving = this.#serving.get(connection);
    if (serving === undefined) return undefined;
    this.#serving.delete(connection);
    this.#numbers.delete(keyText(serving.opened.initial.key));
    this.#handshakes.forget(serving.opened.initial.key);
    return serving;
  }

  #perform(effects: readonly OwnerEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "send":
          this.#figures.following.sent(effect.to, () => this.#now());
          this.#tell(effect.to, effect.message);
          break;
        case "commit":
          this.#commit(effect.connection, effect.receiveNext);
          this.#held(effect);
          break;
        case "exposed":
          this.#expose(effect.connection, effect.reason);
          break;
        case "silence":
          this.#silence(effect.connection);
          break;
        case "take-back":
          this.#takeBack({ log: effect.log, clockAt: this.#now() });
          break;
      }
    }
  }

  /** A copy may be told long after what it tells of happened. */
  #tell(to: NodeId, message: OwnerMessage): void {
    const readAt = "clock" in message ? instant(message.clock.readAtMs) : this.#now();
    this.#parts.links.tell(to, asOf(this.#now(), readAt, message));
  }

  #held({ connection, states, outputEnded }: OwnerEffect & { type: "commit" }): void {
    const served = this.#serving.get(connection);
    if (served === undefined) return;
    served.states = states;
    served.outputEnded = outputEnded;
    served.session?.committed(states, outputEnded);
  }

  /** A restored socket begins when everything that it says is with the replicas. */
  #goOn(served: Serving): void {
    const { begin, committed } = served;
    if (begin === undefined || (served.protected && isLater(begin.at, committed))) return;
    served.begin = undefined;
    begin.go();
  }

  /** Handed over: from now on another member speaks. */
  #silence(connection: ConnectionNumber): void {
    const served = this.#forget(connection);
    if (served === undefined) return;
    const { key } = served.opened.initial;
    this.#counts.handedOver += 1;
    this.#handed.set(keyText(key), served.opened);
    this.#parts.program.hold(key, SILENT);
    served.session?.vanish();
  }

  #takeBack(held: HeldConnection): void {
    this.#counts.handedOver -= 1;
    this.#handed.delete(keyText(held.log.opened.initial.key));
    this.#holding.takeBack(held);
  }

  #commit(connection: ConnectionNumber, receiveNext: number): void {
    const serving = this.#serving.get(connection);
    if (serving === undefined || !isLater(receiveNext, serving.committed)) return;
    serving.committed = receiveNext;
    if (serving.begin !== undefined) return this.#goOn(serving);
    this.#control(serving);
    const { key } = serving.opened.initial;
    const segment = acknowledgementOf(key, receiveNext, this.#parts.program.wire(key));
    if (segment !== undefined) this.#parts.raw.send(key.peer, bareSegment(segment));
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
    if (serving.begin !== undefined) return this.#goOn(serving);
    this.#control(serving);
    serving.session?.exposed();
  }

  /** A stream to a replica is there, or is no more. It is waited for until it is released. */
  replicaChanged(replica: NodeId, isThere: boolean): void {
    // whoever joins is told what was, with today's clock
    const at = this.#now();
    if (isThere) this.#holding.memberThere(replica);
    else this.#holding.memberLeft(replica);
    if (!isThere) return this.#figures.following.gone(replica);
    for (const served of this.#serving.values()) {
      served.alone = false;
      this.#happened(progressNow(served, at));
    }
    return this.#owner.step({ type: "replica-joined", replica });
  }

  /** Without a stream, and not counted on any more (docs/adr/0034). */
  replicaReleased(replica: NodeId): void {
    this.#owner.step({ type: "replica-left", replica });
  }

  /** It did not answer for so long that connections go on without it. */
  replicaDropped(): void {
    this.#counts.dropped += 1;
  }

  /** It speaks for nothing any more (ADR 8): what it was given and has not told of comes back. */
  memberGone(member: NodeId): void {
    this.#owner.step({ type: "member-gone", member });
  }

  /** Planned: what of this process's sessions `to` says is another member's, that member gets. */
  handOver(to: (key: ConnectionKey) => NodeId | undefined): void {
    for (const [connection, { session, begin, opened }] of [...this.#serving]) {
      // What has not begun, is ending, or is not to be moved now, stays where it is.
      if (session === undefined || begin !== undefined) continue;
      if (session.isEnding || session.stays) continue;
      const owner = to(opened.initial.key);
      if (owner === undefined) continue;
      this.#owner.step({ type: "hand-over", connection, to: owner });
    }
  }

  answered(from: NodeId, message: FromMember): void {
    if (message.type === "passed" || message.type === "lacking") {
      this.#holding.answered(from, message);
    } else this.#answered(from, message);
  }

  #answered(replica: NodeId, message: ReplicaMessage): void {
    if (message.type === "acknowledged") {
      this.#figures.following.acknowledged(replica, message.messages, this.#now());
    }
    this.#owner.step({ type: "answered", replica, message });
  }

  /** What owners tell, and whoever takes over asks. */
  heard(from: NodeId, messages: readonly ToMember[]): void {
    this.#holding.heard(from, messages);
  }

  ownerBegan(owner: NodeId): void {
    this.#holding.ownerBegan(owner);
  }

  #givesWay(key: ConnectionKey, generation: number): boolean {
    const served = this.#servedAs(keyText(key));
    return served === undefined || this.#isReplaced(served.opened.generation, generation);
  }

  /** Another member serves it. */
  #replaced(key: ConnectionKey, generation: number): void {
    const text = keyText(key);
    const served = this.#servedAs(text);
    if (served !== undefined) this.#abandon(served);
    const handed = this.#handed.get(text);
    if (handed === undefined || generation <= handed.generation) return;
    this.#handed.delete(text);
    this.#owner.step({ type: "taken", connection: handed.connection });
  }

  /** Two may have taken it over at once; of these it is the other's if this node has been away since (ADR 29). */
  #isReplaced(own: number, others: number): boolean {
    return others > own || (others === own && this.#parts.program.right().isAway);
  }

  /** Another member has it: this one's socket goes without a word. */
  #abandon({ opened: { connection, initial }, session, begin }: Serving): void {
    this.#counts.abandoned += 1;
    this.#forget(connection);
    session?.vanish();
    begin?.dismiss();
    // the record from which it was to begin
    if (begin !== undefined) this.#holding.unshield(initial.key);
    this.#happened({ type: "closed", connection });
  }

  /** The owner serves them no more, and this node is to. */
  takeOver(owner: NodeId, isMine: (key: ConnectionKey) => boolean): void {
    this.#holding.takeOver(owner, isMine);
  }

  /** Work sets were lost: what is on its way here because of them is another's. */
  stopTaking(isMine: (key: ConnectionKey) => boolean): void {
    this.#holding.stopTaking(isMine);
  }

  /** At the numbers that the peer has said. */
  #resume({ log }: HeldConnection, resumed: Resumed): void {
    const restored = this.#restore(resumed);
    if (restored === undefined) return;
    const { socket, begin } = restored;
    socket.pause();
    const connection = this.#number();
    const at = this.#now();
    const clock = { value: resumed.timestamp ?? 0, readAtMs: at };
    const opened = { ...log.opened, connection, clock, generation: log.opened.generation + 1 };
    const served = serving(opened, opened.essential.receiveNext);
    const { key } = resumed.initial;
    served.begin = {
      at: resumed.essential.receiveNext,
      dismiss: () => this.#parts.sockets.closeSilently(socket),
      go: () => {
        this.#control(served);
        begin();
        this.#holding.unshield(key);
        this.#counts.takenOver += 1;
        this.#figures.resumed(key, this.#now());
        this.#start(served, socket, startOf(resumed));
        const waiting = this.#holding.takeWaiting(key);
        for (const packet of waiting) this.#parts.raw.send(key.vip, packet);
      },
    };
    this.#serving.set(connection, served);
    this.#numbers.set(keyText(key), connection);
    this.#happened(opened);
    for (const message of log.messages()) {
      if (message.type !== "opened") this.#happened({ ...message, connection });
    }
    served.received = log.input.end;
    served.inputEnded = resumed.inputEnded;
    served.delivered = resumed.outputOffset;
    this.#happened(progressNow(served, at));
    this.#goOn(served);
  }

  /** Undefined: the kernel would not have it (no memory, no descriptor); one connection is lost, and nothing else. */
  #restore(resumed: Resumed): RestoredSocket | undefined {
    try {
      return this.#parts.sockets.restore(resumed);
    } catch (error) {
      this.#holding.lose(resumed.initial.key);
      this.#parts.trouble(error as Error);
      return undefined;
    }
  }

  /** Sessions end: their clients and replicas are told. */
  close(): void {
    this.#stopSweeping();
    for (const [connection, { session, begin }] of [...this.#serving]) {
      this.#closed(connection);
      session?.close();
      begin?.dismiss();
    }
    this.#holding.close();
    this.#peers.close();
    this.#owner.close();
  }
}
