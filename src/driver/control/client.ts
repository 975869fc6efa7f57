// A member's end of the control channel (A2, A4, B9): one connection to the master, over mutual TLS 1.3. The server must be
// the node that was meant: another member of the same cluster is not the master. Nothing is tried again here; that
// is for the caller, who knows whether that master is still the one to follow.
import { connect as connectTls, type PeerCertificate, type TLSSocket } from "node:tls";
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { JsonValue } from "#wire/control/json.ts";
import type { ControlMessage } from "#wire/control/message.ts";
import {
  Channel,
  CHANNEL_LIMITS,
  type ChannelLimits,
  type CloseReason,
  type SendOutcome,
} from "./channel.ts";
import { ControlError, type ControlErrorReason } from "./control-error.ts";
import { PeerTrust, tlsMaterial, type ControlIdentity, type Revoked } from "./peer-trust.ts";
import { PendingRequests, type ControlResponse } from "./pending-requests.ts";

export interface ControlClientOptions {
  readonly address: IpAddress;
  readonly port: number;
  readonly expectedNode: NodeId;
  readonly identity: ControlIdentity;
  readonly revoked: Revoked;
  /** The node's dedicated address, so that no VIP becomes the source. */
  readonly localAddress?: IpAddress;
  /** Everything but pings and answers to requests. May come before `connect` has resolved. */
  readonly onMessage: (client: ControlClient, message: ControlMessage) => void;
  /** Once, and only if `connect` resolved. */
  readonly onClose: (client: ControlClient, reason: CloseReason) => void;
  /** Until the master has let us in. */
  readonly connectMs?: number;
  readonly signal?: AbortSignal;
  readonly limits?: Partial<ChannelLimits>;
}

const CONNECT_MS = 5000;

/** Codes of failures before anybody answered. */
const UNREACHABLE =
  /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ETIMEDOUT|EADDRNOTAVAIL|ENETDOWN)$/;

export class ControlClient {
  readonly #options: ControlClientOptions;
  readonly #limits: ChannelLimits;
  readonly #pending = new PendingRequests();
  #channel: Channel | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #handedOver = false;

  /** Resolves when the master has let this node in. Rejects with a ControlError. */
  static async connect(options: ControlClientOptions): Promise<ControlClient> {
    const client = new ControlClient(options);
    await client.#connect();
    if (client.closed) {
      throw new ControlError("refused", `Let in and at once dismissed by ${client.#where}`);
    }
    // No event can come between here and the caller: from now on it is told of the end.
    client.#handedOver = true;
    return client;
  }

  private constructor(options: ControlClientOptions) {
    this.#options = options;
    this.#limits = { ...CHANNEL_LIMITS, ...options.limits };
  }

  /** The node at the other end. */
  get peer(): NodeId {
    return this.#options.expectedNode;
  }

  get closed(): boolean {
    return this.#channel?.closed ?? true;
  }

  get #where(): string {
    const { address, port, expectedNode } = this.#options;
    return `node ${expectedNode} at ${address} port ${port}`;
  }

  #connect(): Promise<void> {
    const { signal, connectMs = CONNECT_MS } = this.#options;
    const deadline = AbortSignal.timeout(connectMs);
    const stop = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
    return new Promise((resolve, reject) => {
      const abort = (): void =>
        deadline.aborted
          ? fail("timeout", `Waited too long to be let in by ${this.#where}`)
          : fail("aborted", `Stopped connecting to ${this.#where}`);
      const socket = this.#dial();
      const fail = (reason: ControlErrorReason, message: string, cause?: unknown): void => {
        stop.removeEventListener("abort", abort);
        socket.destroy();
        reject(new ControlError(reason, message, { cause }));
      };
      // Stays: an error after admission is the channel's to report, but somebody must listen from the start.
      socket.on("error", (cause) => fail(...this.#dialFailure(cause, socket)));
      socket.once("secureConnect", () =>
        this.#open(socket, {
          onFirstFrame: () => {
            stop.removeEventListener("abort", abort);
            resolve();
          },
          onRefused: () => fail("refused", `Not let in by ${this.#where}; see its log`),
        }),
      );
      stop.addEventListener("abort", abort);
      if (stop.aborted) abort();
    });
  }

  #dial(): TLSSocket {
    const { address, port, expectedNode, identity, revoked, localAddress } = this.#options;
    const trust = new PeerTrust(identity, revoked);
    return connectTls({
      ...tlsMaterial(identity),
      rejectUnauthorized: true,
      host: address,
      port,
      ...(localAddress === undefined ? {} : { localAddress }),
      checkServerIdentity: (_host: string, certificate: PeerCertificate) => {
        const verdict = trust.judge(certificate.raw);
        if (!verdict.ok) {
          const what = `The certificate shown for ${this.#where} is refused: ${verdict.reason}`;
          return new ControlError("untrusted-server", what);
        }
        if (verdict.node.id === expectedNode) return undefined;
        const what = `Node ${verdict.node.id} answers for ${this.#where}`;
        return new ControlError("wrong-node", what);
      },
    });
  }

  #dialFailure(
    cause: NodeJS.ErrnoException,
    socket: TLSSocket,
  ): [ControlErrorReason, string, unknown] {
    if (cause instanceof ControlError) return [cause.reason, cause.message, cause];
    const what = `${this.#where}: ${cause.message}`;
    if (UNREACHABLE.test(cause.code ?? "")) return ["unreachable", `Cannot reach ${what}`, cause];
    // Null while nothing was found wrong, whatever the declaration says.
    const unverified = (socket.authorizationError as unknown) ?? undefined;
    if (unverified !== undefined) return ["untrusted-server", `Cannot trust ${what}`, cause];
    return ["refused", `Not let in by ${what}`, cause];
  }

  #open(
    socket: TLSSocket,
    admission: { readonly onFirstFrame: () => void; readonly onRefused: () => void },
  ): void {
    const channel = new Channel(socket, this.#options.expectedNode, this.#limits, {
      onFirstFrame: () => {
        this.#ticker = setInterval(() => channel.tick(), this.#limits.pingEveryMs);
        admission.onFirstFrame();
      },
      onMessage: (message) => this.#take(message),
      onClose: (reason) => {
        clearInterval(this.#ticker);
        this.#pending.failAll("closed", `The connection to ${this.#where} ended: ${reason}`);
        if (this.#handedOver) this.#options.onClose(this, reason);
        else admission.onRefused();
      },
    });
    this.#channel = channel;
  }

  #take(message: ControlMessage): void {
    if (message.type === "response") this.#pending.settle(message.id, message);
    else this.#options.onMessage(this, message);
  }

  send(message: ControlMessage): SendOutcome {
    return this.#channel?.send(message) ?? "closed";
  }

  /** Has the master make a change. Rejects with a ControlError; then the change may or may not have been made. */
  async request(method: string, body: JsonValue, timeoutMs: number): Promise<ControlResponse> {
    const pending = this.#pending.open(timeoutMs);
    if (pending === undefined) {
      throw new ControlError("busy", `Too many requests wait for ${this.#where}`);
    }
    const outcome = this.send({ type: "request", id: pending.id, method, body });
    if (outcome === "too-long" || outcome === "closed") {
      this.#pending.fail(pending.id, outcome, `Cannot send the request to ${this.#where}`);
    }
    return pending.response;
  }

  /** Ends the connection after what was sent has left. */
  close(): void {
    this.#channel?.close();
  }
}
