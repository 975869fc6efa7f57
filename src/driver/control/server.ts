// The master's end of the control channel (A2, A4, B9): accepts members over mutual TLS 1.3, keeps one connection per node, and
// hands their messages on. Who may connect is decided by certificate and by the cluster's list of nodes;
// whoever is refused is counted, with the reason. What is said over the connections is decided elsewhere.
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
} from "node:tls";
import type { IpAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import type { NodeId } from "#base/ids.ts";
import { encodeControl } from "#wire/control/frame.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import type { CertificateRefusal, CertifiedNode } from "../identity/identity.ts";
import {
  Channel,
  CHANNEL_LIMITS,
  type ChannelLimits,
  type CloseReason,
  type SendOutcome,
} from "./channel.ts";
import { handshakeFailure, HandshakeGate, type HandshakeFailure } from "./handshake.ts";
import { PeerTrust, tlsMaterial, type ControlIdentity, type Revoked } from "./peer-trust.ts";

/** A good certificate is not enough: the configuration must name the node, and it must come from its own address. */
export type AdmissionRefusal = "not-admitted" | "wrong-address";
export type ControlRefusal =
  | HandshakeFailure
  | CertificateRefusal
  | AdmissionRefusal
  | "over-limit";

export interface ServerLimits extends ChannelLimits {
  readonly connections: number;
  /** Connections that have not proved who they are, altogether and from one address. */
  readonly handshakes: number;
  readonly handshakesPerAddress: number;
  readonly handshakeMs: number;
}

export const SERVER_LIMITS: ServerLimits = {
  ...CHANNEL_LIMITS,
  connections: 4096,
  handshakes: 256,
  handshakesPerAddress: 16,
  handshakeMs: 5000,
};

/** A member that is connected now. */
export interface ControlPeer {
  readonly node: CertifiedNode;
  readonly remoteAddress: string;
  send(message: ControlMessage): SendOutcome;
  /** For a frame that goes to many peers and is encoded once. */
  sendFrame(type: ControlMessage["type"], frame: Uint8Array): SendOutcome;
  /** Ends the connection after what was sent has left. */
  close(): void;
}

export interface ControlServerOptions {
  readonly address: IpAddress;
  /** 0: any free port; see `port` of the server. */
  readonly port: number;
  readonly identity: ControlIdentity;
  readonly revoked: Revoked;
  /** Asked at each connection, and at each tick of an open one. Undefined: admitted. */
  readonly refusal: (node: CertifiedNode, remoteAddress: string) => AdmissionRefusal | undefined;
  readonly onOpen: (peer: ControlPeer) => void;
  readonly onMessage: (peer: ControlPeer, message: ControlMessage) => void;
  /** Once for each peer that was opened, before its successor is opened. */
  readonly onClose: (peer: ControlPeer, reason: CloseReason) => void;
  /** Nobody was let in. Can come as often as strangers try: limit what you log. */
  readonly onRefused?: (reason: ControlRefusal, remoteAddress: string) => void;
  readonly limits?: Partial<ServerLimits>;
}

export type ControlCount = "accepted" | `refused-${ControlRefusal}` | `closed-${CloseReason}`;

interface Connection {
  readonly peer: ControlPeer;
  readonly channel: Channel;
  /** End of the certificate's validity, in milliseconds since 1970. */
  readonly validUntil: number;
}

export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #limits: ServerLimits;
  readonly #trust: PeerTrust;
  readonly #gate: HandshakeGate;
  /** Accepts; what the gate lets in goes on to #tls. */
  readonly #server: Server;
  readonly #tls: TlsServer;
  readonly #connections = new Map<NodeId, Connection>();
  readonly #counters = new Map<ControlCount, number>();
  readonly #ticker: NodeJS.Timeout;

  /** Resolves when members can connect. Throws PAN_SYSCALL when the address or port cannot be had. */
  static async listen(options: ControlServerOptions): Promise<ControlServer> {
    const server = new ControlServer(options);
    const { address, port } = options;
    server.#server.listen({ host: address, port, backlog: 511 });
    try {
      await once(server.#server, "listening");
    } catch (cause) {
      clearInterval(server.#ticker);
      const what = `Cannot listen on ${address} port ${port} for members: ${String(cause)}`;
      throw new PanError("PAN_SYSCALL", what, { cause });
    }
    return server;
  }

  private constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#limits = { ...SERVER_LIMITS, ...options.limits };
    this.#trust = new PeerTrust(options.identity, options.revoked);
    this.#gate = new HandshakeGate(this.#limits.handshakes, this.#limits.handshakesPerAddress);
    this.#server = createServer((socket) => this.#enter(socket));
    this.#tls = createTlsServer({
      ...tlsMaterial(options.identity),
      requestCert: true,
      // Not in the handshake but in #admit, where the reason and the address of a refusal are still known.
      rejectUnauthorized: false,
      handshakeTimeout: this.#limits.handshakeMs,
    });
    this.#tls.on("tlsClientError", (error: NodeJS.ErrnoException, socket) =>
      this.#refuse(handshakeFailure(error), socket),
    );
    this.#tls.on("secureConnection", (socket) => this.#admit(socket));
    this.#ticker = setInterval(() => this.#tick(), this.#limits.pingEveryMs);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  get counters(): ReadonlyMap<ControlCount, number> {
    return this.#counters;
  }

  get peers(): ControlPeer[] {
    return [...this.#connections.values()].map(({ peer }) => peer);
  }

  peer(node: NodeId): ControlPeer | undefined {
    return this.#connections.get(node)?.peer;
  }

  /** Sends to every member; the message is encoded once. False when it is longer than its type may be. */
  broadcast(message: ControlMessage): boolean {
    const frame = encodeControl(message);
    if (frame === undefined) return false;
    // A slow reader is cut off and removed meanwhile; a Map allows that.
    for (const { channel } of this.#connections.values()) channel.sendFrame(message.type, frame);
    return true;
  }

  #count(name: ControlCount): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + 1);
  }

  #enter(socket: Socket): void {
    const full = this.#connections.size >= this.#limits.connections;
    socket.on("error", () => socket.destroy()); // until TLS has taken over
    if (full || !this.#gate.enter(socket)) this.#refuse("over-limit", socket);
    else this.#tls.emit("connection", socket);
  }

  #refuse(reason: ControlRefusal, socket: Socket | TLSSocket): void {
    this.#count(`refused-${reason}`);
    this.#options.onRefused?.(reason, socket.remoteAddress ?? "unknown");
    socket.destroy();
  }

  #admit(socket: TLSSocket): void {
    this.#gate.leave(socket);
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return this.#refuse("no-certificate", socket);
    const verdict = this.#trust.judge(certificate.raw);
    if (!verdict.ok) return this.#refuse(verdict.reason, socket);
    // OpenSSL's own judgement of the chain: both must agree that the peer is one of us.
    if (!socket.authorized) return this.#refuse("untrusted-certificate", socket);
    const refusal = this.#options.refusal(verdict.node, socket.remoteAddress ?? "unknown");
    if (refusal !== undefined) return this.#refuse(refusal, socket);
    this.#connections.get(verdict.node.id)?.channel.cut("superseded");
    this.#open(socket, verdict.node, certificate.validToDate.getTime());
  }

  #open(socket: TLSSocket, node: CertifiedNode, validUntil: number): void {
    const channel = new Channel(socket, node.id, this.#limits, {
      onMessage: (message) => this.#options.onMessage(peer, message),
      onClose: (reason) => this.#forget(peer, reason),
    });
    const peer: ControlPeer = {
      node,
      remoteAddress: socket.remoteAddress ?? "unknown",
      send: (message) => channel.send(message),
      sendFrame: (type, frame) => channel.sendFrame(type, frame),
      close: () => channel.close(),
    };
    this.#connections.set(node.id, { peer, channel, validUntil });
    this.#count("accepted");
    // Under TLS 1.3 a client's handshake ends before its certificate was judged; this frame tells it that it was let in.
    channel.ping();
    this.#options.onOpen(peer);
  }

  #forget(peer: ControlPeer, reason: CloseReason): void {
    if (this.#connections.get(peer.node.id)?.peer === peer) this.#connections.delete(peer.node.id);
    this.#count(`closed-${reason}`);
    this.#options.onClose(peer, reason);
  }

  #tick(): void {
    for (const connection of this.#connections.values()) {
      if (this.#isTrusted(connection)) connection.channel.tick();
      else connection.channel.cut("no-longer-trusted");
    }
  }

  #isTrusted({ peer, validUntil }: Connection): boolean {
    if (validUntil <= Date.now() || this.#options.revoked().has(peer.node.serial)) return false;
    return this.#options.refusal(peer.node, peer.remoteAddress) === undefined;
  }

  /** Ends every connection; resolves when the port is free again. */
  async close(): Promise<void> {
    clearInterval(this.#ticker);
    const freed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { channel } of this.#connections.values()) channel.close();
    this.#gate.clear();
    await freed;
  }
}
