// One client of the relay, its session and its connection to the backend: what relay/exchange.ts decides meets their sockets.
import net from "node:net";
import { elapsedMs } from "#base/time.ts";
import { now } from "../clock.ts";
import type { Session } from "../session.ts";
import {
  Exchange,
  type ExchangeEffect,
  type ExchangeInput,
  type ExchangeRules,
  type Trouble,
} from "./exchange.ts";

export type Backend = { readonly host: string; readonly port: number } | { readonly path: string };

const BACKEND_KEEPALIVE_MS = 30_000;

export interface RelayRules extends ExchangeRules {
  readonly backend: Backend;
  readonly onTrouble: (trouble: Trouble, client: string, cause: Error | undefined) => void;
}

export class Conversation {
  readonly #session: Session;
  readonly #rules: RelayRules;
  readonly #exchange: Exchange;
  #backend: net.Socket | undefined;
  /** Why the backend was lost last. */
  #cause: Error | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Inputs that come while effects are performed wait, so that effects keep their order. */
  readonly #inputs: ExchangeInput[] = [];
  #stepping = false;
  #paused = false;
  #closed = false;

  constructor(session: Session, rules: RelayRules) {
    this.#session = session;
    this.#rules = rules;
    this.#exchange = new Exchange(rules);
    // a member before has answered the last, and the client's own end is all that is missing
    if (session.outputEnded) return;
    session.on("data", (bytes) => this.#step({ type: "client", bytes }));
    session.on("end", () => this.#step({ type: "client-ended" }));
    session.on("drain", () => this.#backend?.resume());
    session.on("close", () => this.#over());
    this.#step({ type: "begin", state: session.state });
  }

  #step(input: ExchangeInput): void {
    this.#inputs.push(input);
    if (this.#stepping) return;
    this.#stepping = true;
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      for (const effect of this.#exchange.step(now(), next)) this.#perform(effect);
    }
    this.#stepping = false;
    if (this.#closed) return;
    this.#session.stays = this.#exchange.mustStay;
    this.#holdBack(!this.#exchange.wantsRequests);
    this.#watch();
  }

  #holdBack(pause: boolean): void {
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#session.pause();
    else this.#session.resume();
  }

  #watch(): void {
    clearTimeout(this.#timer);
    const { deadline } = this.#exchange;
    if (deadline === undefined) return;
    const pause = Math.max(0, elapsedMs(now(), deadline));
    this.#timer = setTimeout(() => this.#step({ type: "tick" }), Math.ceil(pause));
  }

  #perform(effect: ExchangeEffect): void {
    switch (effect.type) {
      case "connect":
        this.#connect();
        break;
      case "give":
        this.#backend?.write(effect.bytes);
        break;
      case "end-backend":
        this.#backend?.end();
        break;
      case "drop-backend":
        this.#drop();
        break;
      case "commit":
        this.#commit(effect);
        break;
      case "end":
        this.#session.end();
        break;
      case "trouble": {
        const { peer, peerPort } = this.#session.key;
        this.#rules.onTrouble(effect.trouble, `${peer} port ${peerPort}`, this.#cause);
        break;
      }
    }
  }

  #commit({ output, state, unread, given }: ExchangeEffect & { type: "commit" }): void {
    const held = given === undefined ? undefined : () => this.#step({ type: "held", given });
    const options = { state, output, unread, ...(held === undefined ? {} : { held }) };
    if (!this.#session.commit(options)) this.#backend?.pause();
  }

  #connect(): void {
    this.#drop();
    const socket = net.connect({ ...this.#rules.backend, allowHalfOpen: true, noDelay: true });
    socket.setKeepAlive(true, BACKEND_KEEPALIVE_MS);
    this.#backend = socket;
    /** What an earlier socket says does not matter. */
    const step = (input: ExchangeInput): void => {
      if (this.#backend === socket && !this.#closed) this.#step(input);
    };
    socket.on("connect", () => step({ type: "backend-up" }));
    socket.on("data", (bytes: Buffer) => step({ type: "backend", bytes }));
    socket.on("end", () => {
      this.#cause = new Error("the backend has ended the connection");
      step({ type: "backend-ended" });
    });
    socket.on("error", (error) => (this.#cause = error));
    socket.on("close", () => step({ type: "backend-lost" }));
  }

  #drop(): void {
    const socket = this.#backend;
    this.#backend = undefined;
    socket?.destroy();
  }

  #over(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#drop();
  }
}
