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
import { PeerTrust, tlsMaterial } from "#driver/control/peer-trust.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import { encodeReplication, replicationDecoder } from "#wire/takeover/frame.ts";
import type { FromMember, ReplicationMessage, ToMember } from "#wire/takeover/message.ts";

const RETRY_MS = 200;
/** A replica that does not read is given up: it connects again and hears everything anew. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

export interface MemberAddress {
  readonly id: NodeId;
  readonly address: IpAddress;
}

export interface LinkEvents {
  /** A stream to a replica is there, or is no more. */
  readonly replica: (id: NodeId, isThere: boolean) => void;
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

export class Links {
  readonly #options: LinkOptions;
  readonly #trust: PeerTrust;
  readonly #server: Server;
  readonly #outgoing = new Map<NodeId, TLSSocket>();
  readonly #incoming = new Map<NodeId, TLSSocket>();
  /** Streams to replicas that may be written to. */
  readonly #ready = new Map<NodeId, TLSSocket>();
  #members: ReadonlyMap<NodeId, IpAddress> = new Map();
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#trust = new PeerTrust(options.identity, () => new Set());
    this.#server = createServer(
      { ...tlsMaterial(options.identity), requestCert: true, rejectUnauthorized: true },
      (socket) => this.#accepted(socket),
    );
    this.#server.on("tlsClientError", () => {}); // whoever is no node is not listened to
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

  /** Streams to and from each other member are there. */
  get isWhole(): boolean {
    return [...this.#members.keys()].every((id) => this.#ready.has(id) && this.#incoming.has(id));
  }

  /** Who else is in the cluster. */
  setMembers(members: readonly MemberAddress[]): void {
    const { id: self } = this.#options.identity;
    this.#members = new Map(
      members.filter(({ id }) => id !== self).map(({ id, address }) => [id, address]),
    );
    for (const streams of [this.#outgoing, this.#incoming]) {
      for (const [id, socket] of streams) if (!this.#members.has(id)) socket.destroy();
    }
    this.#connectAll();
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
    socket.on("secureConnect", () => {
      this.#ready.set(id, socket);
      events.replica(id, true);
    });
    socket.on("data", (chunk: Buffer) => {
      for (const received of decoder.push(chunk)) {
        if (received.ok && isAnswer(received.message)) events.answered(id, received.message);
        else socket.destroy();
      }
    });
    // "close" follows; a member that is not there (yet) is nothing to report
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#outgoing.delete(id);
      if (this.#ready.delete(id)) events.replica(id, false);
      if (this.#closed || !this.#members.has(id)) return;
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#connectAll(), RETRY_MS);
    });
  }

  #accepted(socket: TLSSocket): void {
    const id = this.#nodeOf(socket.getPeerCertificate());
    socket.on("error", () => {}); // "close" follows
    if (id === undefined || !this.#members.has(id)) return void socket.destroy();
    this.#incoming.get(id)?.destroy();
    this.#incoming.set(id, socket);
    socket.setNoDelay(true);
    socket.on("close", () => {
      if (this.#incoming.get(id) === socket) this.#incoming.delete(id);
    });
    this.#options.events.ownerBegan(id);
    const decoder = replicationDecoder();
    socket.on("data", (chunk: Buffer) => this.#heard(id, socket, decoder.push(chunk)));
  }

  #heard(
    id: NodeId,
    socket: Socket,
    received: ReturnType<ReturnType<typeof replicationDecoder>["push"]>,
  ): void {
    const messages = received.flatMap((each) =>
      each.ok && !isAnswer(each.message) ? [each.message] : [],
    );
    if (messages.length > 0) this.#options.events.told(id, messages);
    if (messages.length < received.length) socket.destroy();
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
    // what replicas were told last still goes out
    for (const socket of this.#outgoing.values()) socket.destroySoon();
    for (const socket of this.#incoming.values()) socket.destroy();
    this.#server.close();
  }
}
