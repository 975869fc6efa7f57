// For programs behind the cluster that want to take part (A10): hears what happens on this node, and answers when a node wants to join.
// It connects again whenever the agent was away; the snapshot that comes first then says what was missed. No dependency but Node.js.
import { connect, type Socket } from "node:net";
import { encodeLine, LineDecoder } from "#wire/applications/codec.ts";
import {
  type Event,
  type JoinVote,
  MAX_LINE_TO_APPLICATION,
  PROTOCOL,
  type Rules,
  type SessionFigures,
  type Snapshot,
  type ToApplication,
  type Welcome,
} from "#wire/applications/message.ts";

export type {
  Event,
  JoinVote,
  NodeName,
  Rules,
  SessionFigures,
  Snapshot,
  Welcome,
} from "#wire/applications/message.ts";
export { parseSlots, type SlotRange } from "#wire/applications/slot-ranges.ts";

export const DEFAULT_APPLICATIONS_SOCKET = "/run/panoply/applications.sock";
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 2000;

/** What an application says to a vote. */
export type Opinion =
  | { readonly accept: true }
  | { readonly accept: false; readonly reason: string };

export interface ApplicationOptions {
  /** 1 to 63 letters, digits, ".", "_" and "-"; `pan apps` and refusals show it. */
  readonly name: string;
  readonly socketPath?: string;
  /** How things stand: first of all, and again after each connection that was lost. */
  readonly onSnapshot?: (snapshot: Snapshot, welcome: Welcome) => void;
  readonly onEvent?: (event: Event) => void;
  /** How packets become work sets: after each snapshot, and whenever it changes. */
  readonly onRules?: (rules: Rules) => void;
  /** With it the application votes on joins. One that throws, or is too slow, has not answered. */
  readonly onJoinVote?: (vote: JoinVote) => Opinion | Promise<Opinion>;
  /** The agent is away or has rejected us (tried again by itself), or a handler has thrown. */
  readonly onTrouble?: (error: Error) => void;
}

export interface Application {
  /** What a server counts of its sessions, for `pan status`; false: not now, or not to this agent. */
  report(figures: SessionFigures): boolean;
  /** Ends the connection; it is not made again. */
  close(): void;
}

/** Connects, and stays connected until it is closed. */
export function joinIn(options: ApplicationOptions): Application {
  const connection = new Connection(options);
  return {
    report: (figures) => connection.report(figures),
    close: () => connection.close(),
  };
}

class Connection {
  readonly #options: ApplicationOptions;
  #socket: Socket;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #closed = false;
  #welcome: Welcome | undefined;

  constructor(options: ApplicationOptions) {
    this.#options = options;
    this.#socket = this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }

  report(figures: SessionFigures): boolean {
    if (this.#welcome?.takesReports !== true || !this.#socket.writable) return false;
    // one that was not read yet is as good as the next
    if (this.#socket.writableLength > 0) return false;
    this.#socket.write(encodeLine({ type: "session-report", figures }));
    return true;
  }

  #connect(): Socket {
    const { name, onJoinVote, socketPath = DEFAULT_APPLICATIONS_SOCKET } = this.#options;
    const decoder = new LineDecoder(MAX_LINE_TO_APPLICATION);
    const socket = connect(socketPath);
    socket.on("connect", () => {
      const votes = onJoinVote !== undefined;
      socket.write(encodeLine({ type: "hello", protocol: PROTOCOL, name, votes }));
    });
    socket.on("data", (chunk: Buffer) => {
      for (const line of decoder.push(chunk)) {
        if (line.ok) this.#take(socket, line.bytes);
        else socket.destroy(new Error("The agent sent a line that is too long"));
      }
    });
    socket.on("error", (error) => this.#trouble(error));
    socket.on("close", () => this.#again());
    return socket;
  }

  #again(): void {
    this.#welcome = undefined;
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#socket = this.#connect();
    }, this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
  }

  #trouble(cause: unknown): void {
    this.#options.onTrouble?.(cause instanceof Error ? cause : new Error(String(cause)));
  }

  #take(socket: Socket, line: Uint8Array): void {
    try {
      const message = JSON.parse(Buffer.from(line).toString("utf8")) as ToApplication;
      this.#dispatch(socket, message);
    } catch (error) {
      this.#trouble(error);
    }
  }

  /** What a later agent may say beyond this is ignored. */
  #dispatch(socket: Socket, message: ToApplication): void {
    const { onSnapshot, onEvent } = this.#options;
    switch (message.type) {
      case "welcome":
        this.#retryMs = FIRST_RETRY_MS;
        this.#welcome = message;
        return;
      case "snapshot":
        if (this.#welcome !== undefined) onSnapshot?.(message, this.#welcome);
        return;
      case "rules":
        return this.#options.onRules?.(message);
      case "rejected":
        return this.#trouble(new Error(`${message.reason}: ${message.message}`));
      case "join-vote":
        void this.#vote(socket, message);
        return;
      case "role-changed":
      case "member-joined":
      case "member-left":
      case "work-sets-gained":
      case "work-sets-lost":
      case "work-sets-passed-on":
        return onEvent?.(message);
    }
  }

  async #vote(socket: Socket, message: JoinVote): Promise<void> {
    try {
      const opinion = await this.#options.onJoinVote?.(message);
      if (opinion === undefined) return;
      const { vote } = message;
      const answer = opinion.accept
        ? ({ type: "answer", vote, accept: true } as const)
        : ({ type: "answer", vote, accept: false, reason: opinion.reason } as const);
      if (socket.writable) socket.write(encodeLine(answer));
    } catch (error) {
      this.#trouble(error);
    }
  }
}
