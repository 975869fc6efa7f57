// Streams between the session servers of a cluster (A16), over mutual TLS with the nodes' own certificates: one to each other member on
// which this node tells of its connections, one from each on which it hears of theirs. Only members of the cluster, as this node's agent
// names them, may connect or are connected to.
import { type Socket } from "node:net";
import {
  connect as connectTls,
  createServer,
  type PeerCertificate,
  type Server,
  type TLSSocket,
} from "node:tls";
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { Currency } from "#core/takeover/currency.ts";
import { PRESENT_EVERY_MS } from "#core/takeover/reliance.ts";
import { PeerTrust, tlsMaterial } from "#driver/control/peer-trust.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import { encodeReplication, replicationDecoder } from "#wire/takeover/frame.ts";
import type {
  FromMember,
  Present,
  Relied,
  ReplicationMessage,
  ToMember,
} from "#wire/takeover/message.ts";
import { now, REAL_CLOCK } from "./clock.ts";
import { CountedReplicas } from "./counted-replicas.ts";

const RETRY_MS = 200;
/** After so long without an answer a connection is tried anew: a process that hangs has a kernel that takes connections. */
const CONNECT_MS = 3000;
/** What a kernel says when nobody listens, and when the other machine has ended a connection. */
const NOBODY_LISTENS = "ECONNREFUSED";
const ENDED_THERE: readonly unknown[] = ["ECONNRESET", "EPIPE"];
/** A replica that does not read is given up: it connects again and hears everything anew. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

export interface MemberAddress {
  readonly id: NodeId;
  readonly address: IpAddress;
}

export interface LinkEvents {
  /** A stream to a replica is there, or is no more. */
  readonly replica: (id: NodeId, isThere: boolean) => void;
  /** Its stream has ended, and from now on it does not take its records for those that count. */
  readonly released: (id: NodeId) => void;
  /** It has not answered for so long; its stream has been ended. */
  readonly dropped: (id: NodeId, limitMs: number) => void;
  readonly answered: (from: NodeId, message: FromMember) => void;
  /** A stream from an owner begins: what it told on another one is void. */
  readonly ownerBegan: (owner: NodeId) => void;
  /** What one read brought. */
  readonly told: (from: NodeId, messages: readonly ToMember[]) => void;
  readonly trouble: (error: Error) => void;
}

export interface LinkOptions {
  readonly identity: NodeIdentity;
  readonly port: number;
  readonly events: LinkEvents;
}

const ANSWERS: readonly string[] = ["acknowledged", "refused", "passed", "lacking"];
const isAnswer = (message: ReplicationMessage): message is FromMember =>
  ANSWERS.includes(message.type);
const isToMember = (message: ReplicationMessage): message is ToMember =>
  !isAnswer(message) && message.type !== "present" && message.type !== "relied";

export class Links {
  readonly #options: LinkOptions;
  readonly #trust: PeerTrust;
  readonly #server: Server;
  readonly #outgoing = new Map<NodeId, TLSSocket>();
  readonly #incoming = new Map<NodeId, TLSSocket>();
  /** Streams to replicas that may be written to. */
  readonly #ready = new Map<NodeId, TLSSocket>();
  readonly #counted: CountedReplicas;
  readonly #currency = new Currency();
  /** Members on which nobody listened, since it was last asked who serves what. */
  readonly #absent = new Set<NodeId>();
  readonly #asker: NodeJS.Timeout;
  #members: ReadonlyMap<NodeId, IpAddress> = new Map();
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#counted = new CountedReplicas(REAL_CLOCK, options.events.released);
    this.#trust = new PeerTrust(options.identity, () => new Set());
    this.#server = createServer(
      { ...tlsMaterial(options.identity), requestCert: true, rejectUnauthorized: true },
      (socket) => this.#accepted(socket),
    );
    this.#server.on("tlsClientError", () => {}); // whoever is no node is not listened to
    this.#asker = setInterval(() => this.#look(), PRESENT_EVERY_MS).unref();
  }

  async listen(): Promise<void> {
    const { identity, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, identity.address, () => {
        this.#server.off("error", reject);
        this.#server.on("error", this.#options.events.trouble);
        resolve();
      });
    });
  }

  /** Other members, those that hear of this node's connections, and what waits for them. */
  get counts(): {
    readonly others: number;
    readonly replicas: number;
    readonly waitingBytes: number;
  } {
    const ready = [...this.#ready.values()];
    return {
      others: this.#members.size,
      replicas: ready.length,
      waitingBytes: ready.reduce((sum, { writableLength }) => sum + writableLength, 0),
    };
  }

  /** For how long a replica that does not answer is counted on. */
  set limitMs(limitMs: number) {
    this.#counted.limitMs = limitMs;
  }

  /** From now on hasHeard() asks for what members say later. */
  hearAgain(): void {
    this.#currency.hearAgain();
    this.#absent.clear();
  }

  /** Members that run a session server, as far as anybody knows, and that have not told since what they serve; or have not been told. */
  get unheard(): NodeId[] {
    return [...this.#members.keys()].filter((id) => {
      const hasTold = this.#ready.has(id) && this.#currency.hasSaid(id);
      return !hasTold && (this.#incoming.has(id) || !this.#absent.has(id));
    });
  }

  /** Whether what this node holds of an owner's connections is what that one has gone on with, or had when it was given up. */
  isCurrent(owner: NodeId): boolean {
    return this.#currency.isCurrent(now(), owner);
  }

  /** Who else is in the cluster. */
  setMembers(members: readonly MemberAddress[]): void {
    const { id: self } = this.#options.identity;
    const before = this.#members;
    this.#members = new Map(
      members.filter(({ id }) => id !== self).map(({ id, address }) => [id, address]),
    );
    for (const id of before.keys()) if (!this.#members.has(id)) this.#left(id);
    for (const id of this.#members.keys()) if (!before.has(id)) this.#currency.returned(id);
    for (const streams of [this.#outgoing, this.#incoming]) {
      for (const [id, socket] of streams) if (!this.#members.has(id)) socket.destroy();
    }
    this.#connectAll();
  }

  #left(id: NodeId): void {
    this.#currency.departed(now(), id);
    this.#absent.delete(id);
    this.#counted.departed(id);
  }

  /** Says to owners that this node is there, and looks which replicas have not said so. */
  #look(): void {
    const { asked, owners } = this.#currency.ask(now());
    for (const id of owners) this.#write(this.#incoming.get(id), { type: "present", asked });
    for (const id of this.#counted.look()) {
      if (!this.#ready.has(id)) continue; // its stream has ended, and it is about to be released
      this.#options.events.dropped(id, this.#counted.limitMs);
      this.#outgoing.get(id)?.destroy();
    }
  }

  /** A stream to a replica has ended. @param byIt it has ended it itself */
  #streamEnded(id: NodeId, byIt: boolean): void {
    this.#options.events.replica(id, false);
    this.#counted.streamEnded(id, byIt || !this.#members.has(id));
  }

  #connectAll(): void {
    clearTimeout(this.#retry);
    if (this.#closed) return;
    for (const [id, address] of this.#members) {
      if (!this.#outgoing.has(id)) this.#connect(id, address);
    }
    const isWhole = [...this.#members.keys()].every((id) => this.#outgoing.has(id));
    if (!isWhole) this.#retry = setTimeout(() => this.#connectAll(), RETRY_MS);
  }

  #nodeOf(certificate: PeerCertificate): NodeId | undefined {
    const verdict = this.#trust.judge(certificate.raw);
    return verdict.ok ? verdict.node.id : undefined;
  }

  #connect(id: NodeId, host: IpAddress): void {
    const { identity, port, events } = this.#options;
    const socket = connectTls({
      ...tlsMaterial(identity),
      rejectUnauthorized: true,
      host,
      port,
      // The node's own address, so that no VIP becomes the source; missing in the type.
      ...{ localAddress: identity.address },
      checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
        this.#nodeOf(certificate) === id ? undefined : new Error(`${host} is not node ${id}`),
    });
    this.#outgoing.set(id, socket);
    socket.setNoDelay(true);
    const decoder = replicationDecoder();
    let endedThere = false;
    const patience = setTimeout(() => socket.destroy(), CONNECT_MS);
    socket.on("secureConnect", () => {
      clearTimeout(patience);
      this.#ready.set(id, socket);
      this.#counted.streamBegan(id);
      events.replica(id, true);
    });
    socket.on("data", (chunk: Buffer) => {
      for (const received of decoder.push(chunk)) {
        if (received.ok && isAnswer(received.message)) events.answered(id, received.message);
        else if (received.ok && received.message.type === "present") {
          this.#present(id, received.message);
        } else socket.destroy();
      }
    });
    socket.on("end", () => (endedThere = true));
    // "close" follows; a member that is not there (yet) is nothing to report
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      endedThere ||= ENDED_THERE.includes(code);
      if (code === NOBODY_LISTENS) this.#absent.add(id);
    });
    socket.on("close", () => {
      clearTimeout(patience);
      this.#outgoing.delete(id);
      if (this.#ready.delete(id)) this.#streamEnded(id, endedThere);
      if (this.#closed || !this.#members.has(id)) return;
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#connectAll(), RETRY_MS);
    });
  }

  /** On the stream that it was told everything on, so it has heard that before. */
  #present(id: NodeId, { asked }: Present): void {
    const forMs = this.#counted.present(id);
    this.#write(this.#ready.get(id), { type: "relied", asked, forMs });
  }

  #accepted(socket: TLSSocket): void {
    const id = this.#nodeOf(socket.getPeerCertificate());
    socket.on("error", () => {}); // "close" follows
    if (id === undefined || !this.#members.has(id)) return void socket.destroy();
    this.#incoming.get(id)?.destroy();
    this.#incoming.set(id, socket);
    socket.setNoDelay(true);
    socket.on("close", () => {
      if (this.#incoming.get(id) !== socket) return;
      this.#incoming.delete(id);
      this.#currency.ended(id, false);
    });
    this.#absent.delete(id);
    this.#currency.began(id);
    this.#options.events.ownerBegan(id);
    const decoder = replicationDecoder();
    socket.on("data", (chunk: Buffer) => this.#heard(id, socket, decoder.push(chunk)));
  }

  #heard(
    id: NodeId,
    socket: Socket,
    received: ReturnType<ReturnType<typeof replicationDecoder>["push"]>,
  ): void {
    let told: ToMember[] = [];
    const flush = (): void => {
      if (told.length > 0) this.#options.events.told(id, told);
      told = [];
    };
    let fits = true;
    for (const each of received) {
      if (each.ok && isToMember(each.message)) told.push(each.message);
      else if (each.ok && each.message.type === "relied") {
        flush();
        this.#relied(id, each.message);
      } else fits = false;
    }
    flush();
    if (fits) return;
    this.#currency.ended(id, true);
    socket.destroy();
  }

  #relied(id: NodeId, { asked, forMs }: Relied): void {
    this.#currency.relied(id, asked, forMs);
  }

  /** To a replica. */
  tell(to: NodeId, message: ToMember): void {
    this.#write(this.#ready.get(to), message);
  }

  /** To an owner. */
  answer(to: NodeId, message: FromMember): void {
    this.#write(this.#incoming.get(to), message);
  }

  #write(socket: TLSSocket | undefined, message: ReplicationMessage): void {
    if (socket === undefined || socket.destroyed) return;
    const frame = encodeReplication(message);
    if (frame === undefined) throw new RangeError(`A ${message.type} is too long to be sent`);
    if (socket.writableLength + frame.byteLength > MAX_QUEUED_BYTES) return void socket.destroy();
    // What is said at once leaves at once, in one record: a line is several messages, and a takeover thousands.
    if (socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    socket.write(frame);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#asker);
    this.#counted.close();
    // what replicas were told last still goes out
    for (const socket of this.#outgoing.values()) socket.destroySoon();
    for (const socket of this.#incoming.values()) socket.destroy();
    this.#server.close();
  }
}
