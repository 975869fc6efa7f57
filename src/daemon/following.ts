// A member's side of the control channel: stays connected to the master that membership names, and tries again
// while that is still the master to follow (A2, A4, B9).
import type { IpAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import type { NodeId } from "#base/ids.ts";
import { ControlClient } from "#driver/control/client.ts";
import { ControlError } from "#driver/control/control-error.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import type { JsonValue } from "#wire/control/json.ts";
import type { ControlMessage, Hello } from "#wire/control/message.ts";

export interface MasterAddress {
  readonly id: NodeId;
  readonly address: IpAddress;
}

export interface FollowingOptions {
  readonly identity: NodeIdentity;
  readonly port: number;
  readonly hello: () => Hello;
  readonly revoked: () => ReadonlySet<string>;
  readonly onMessage: (message: ControlMessage) => void;
  /** A connection could not be made, or ended; it is tried again. */
  readonly onTrouble: (master: NodeId, cause: unknown) => void;
}

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 2000;
const REQUEST_MS = 5000;

export class Following {
  readonly #options: FollowingOptions;
  #master: MasterAddress | undefined;
  #attempt: AbortController | undefined;
  #client: ControlClient | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;

  constructor(options: FollowingOptions) {
    this.#options = options;
  }

  /** Follows this master from now on; the connection is kept when it is the one already followed. */
  follow(master: MasterAddress): void {
    if (this.#master?.id === master.id) return;
    this.stop();
    this.#master = master;
    void this.#connect(master);
  }

  stop(): void {
    this.#master = undefined;
    clearTimeout(this.#retry);
    this.#retryMs = FIRST_RETRY_MS;
    this.#attempt?.abort();
    this.#client?.close();
    this.#client = undefined;
  }

  send(message: ControlMessage): void {
    this.#client?.send(message);
  }

  /** Asks the master to make an operator's change. PAN_NOT_MASTER when there is none to ask, or it did not answer. */
  async request(method: string, body: JsonValue): Promise<{ status: number; body: JsonValue }> {
    if (this.#client === undefined) {
      throw new PanError(
        "PAN_NOT_MASTER",
        "This node is not the master and has no connection to one; try again when `pan status` shows a master",
      );
    }
    try {
      return await this.#client.request(method, body, REQUEST_MS);
    } catch (cause) {
      if (!(cause instanceof ControlError)) throw cause;
      throw new PanError(
        "PAN_NOT_MASTER",
        `The master did not answer (${cause.message}). The change may have been made or not: look with \`pan config show\`, then repeat it`,
        { cause },
      );
    }
  }

  async #connect(master: MasterAddress): Promise<void> {
    const { identity, port, revoked } = this.#options;
    const attempt = new AbortController();
    this.#attempt = attempt;
    try {
      const client = await ControlClient.connect({
        address: master.address,
        port,
        expectedNode: master.id,
        identity,
        revoked,
        localAddress: identity.address,
        signal: attempt.signal,
        onMessage: (_client, message) => {
          if (this.#master === master) this.#options.onMessage(message);
        },
        onClose: (_client, reason) => this.#lost(master, reason),
      });
      if (this.#master !== master) {
        client.close();
        return;
      }
      this.#client = client;
      this.#retryMs = FIRST_RETRY_MS;
      client.send(this.#options.hello());
    } catch (error) {
      this.#lost(master, error);
    }
  }

  #lost(master: MasterAddress, cause: unknown): void {
    if (this.#master !== master) return;
    this.#client = undefined;
    this.#options.onTrouble(master.id, cause);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#connect(master), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
  }
}
