// Connections that have not proved who they are: how many may wait, and what became of those that failed. Anybody on the
// network can open one, so each costs a bounded time and only so many exist at once, few from one address.
import type { Socket } from "node:net";

export type HandshakeFailure =
  /** What came is not TLS, or not TLS 1.3. */
  | "not-tls"
  | "no-certificate"
  /** Our own check found nothing wrong, but OpenSSL did. */
  | "untrusted-certificate"
  | "handshake-timeout"
  | "handshake-broken";

/** Codes by which OpenSSL says that the peer does not speak the protocol we want. */
const NOT_TLS =
  /^ERR_SSL_(WRONG_VERSION_NUMBER|HTTP_REQUEST|UNSUPPORTED_PROTOCOL|UNEXPECTED_MESSAGE|(TLS_)?ALERT_PROTOCOL_VERSION|PACKET_LENGTH_TOO_LONG|.*RECORD.*|.*VERSION.*)/;

export function handshakeFailure(error: { readonly code?: string | undefined }): HandshakeFailure {
  const code = error.code ?? "";
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") return "handshake-timeout";
  return NOT_TLS.test(code) ? "not-tls" : "handshake-broken";
}

interface Endpoint {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** Counts sockets from their first packet until they have proved who they are, or are gone. */
export class HandshakeGate {
  readonly #limit: number;
  readonly #limitPerAddress: number;
  /** By "address port" of the peer. */
  readonly #waiting = new Map<string, Socket>();
  readonly #perAddress = new Map<string, number>();

  constructor(limit: number, limitPerAddress: number) {
    this.#limit = limit;
    this.#limitPerAddress = limitPerAddress;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** False when the socket must be closed: too many wait. */
  enter(socket: Socket): boolean {
    const { remoteAddress = "", remotePort = 0 } = socket;
    const fromAddress = this.#perAddress.get(remoteAddress) ?? 0;
    if (this.#waiting.size >= this.#limit || fromAddress >= this.#limitPerAddress) return false;
    this.#waiting.set(`${remoteAddress} ${remotePort}`, socket);
    this.#perAddress.set(remoteAddress, fromAddress + 1);
    // Copied: a closed socket does not know its peer's address any more.
    socket.once("close", () => this.leave({ remoteAddress, remotePort }));
    return true;
  }

  leave({ remoteAddress = "", remotePort = 0 }: Endpoint): void {
    if (!this.#waiting.delete(`${remoteAddress} ${remotePort}`)) return;
    const left = (this.#perAddress.get(remoteAddress) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(remoteAddress);
    else this.#perAddress.set(remoteAddress, left);
  }

  /** Closes whoever waits. */
  clear(): void {
    for (const socket of this.#waiting.values()) socket.destroy();
  }
}
