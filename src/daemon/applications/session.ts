// One connected application (A10). It says hello first, then hears how things stand, then everything that happens. Nothing it sends or
// fails to read holds up the agent: lines, queue and the time for hello are bounded, and who exceeds them is disconnected.
import type { Socket } from "node:net";
import { encodeLine, fromApplication, LineDecoder } from "#wire/applications/codec.ts";
import {
  type Answer,
  MAX_LINE_TO_AGENT,
  MAX_LINE_TO_APPLICATION,
  PROTOCOL,
  type SessionFigures,
  type Rejection,
  type ToApplication,
} from "#wire/applications/message.ts";
import type { Voter } from "./poll.ts";

export const HELLO_WITHIN_MS = 5000;
/** What may wait for an application to read it: the largest snapshot, and as much again. */
export const MAX_QUEUED_BYTES = 2 * MAX_LINE_TO_APPLICATION;

export type SessionEnd = "closed" | "slow" | `rejected-${Rejection}`;

export interface SessionHost {
  /** It has said hello: welcome and snapshot are to be sent, and from now on events. */
  readonly opened: (session: Session) => void;
  readonly answered: (session: Session, answer: Answer) => void;
  /** Once, whatever the reason. */
  readonly ended: (session: Session, why: SessionEnd) => void;
}

export class Session implements Voter {
  readonly #socket: Socket;
  readonly #host: SessionHost;
  readonly #maxQueuedBytes: number;
  readonly #decoder = new LineDecoder(MAX_LINE_TO_AGENT);
  readonly #helloTimer: NodeJS.Timeout;
  readonly since = performance.now();
  #name = "";
  #votes = false;
  #isOpen = false;
  #ended = false;
  /** Of votes. */
  asked = 0;
  answeredCount = 0;
  events = 0;
  /** What it has said of its sessions last, if it serves any (A16). */
  report: { readonly figures: SessionFigures; readonly at: number } | undefined;

  constructor(socket: Socket, host: SessionHost, maxQueuedBytes = MAX_QUEUED_BYTES) {
    this.#socket = socket;
    this.#host = host;
    this.#maxQueuedBytes = maxQueuedBytes;
    this.#helloTimer = setTimeout(() => {
      this.reject("no-hello", `say hello within ${HELLO_WITHIN_MS / 1000} s`);
    }, HELLO_WITHIN_MS);
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("error", () => this.#end("closed")); // "close" follows; the reason does not matter
    socket.on("close", () => this.#end("closed"));
  }

  get name(): string {
    return this.#name;
  }

  get votes(): boolean {
    return this.#isOpen && this.#votes;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  #received(chunk: Buffer): void {
    for (const line of this.#decoder.push(chunk)) {
      if (this.#ended) return;
      if (!line.ok) {
        return this.reject("too-long", `a line has at most ${MAX_LINE_TO_AGENT} bytes`);
      }
      this.#take(line.bytes);
    }
  }

  #take(line: Uint8Array): void {
    const understood = fromApplication(line);
    if (!understood.ok) return this.reject("malformed", understood.problem);
    const { message } = understood;
    if (message.type !== "hello" && !this.#isOpen) {
      return this.reject("malformed", "the first line is hello");
    }
    if (message.type === "answer") return this.#host.answered(this, message);
    if (message.type === "session-report") {
      this.report = { figures: message.figures, at: performance.now() };
      return;
    }
    if (this.#isOpen) return this.reject("malformed", "hello is said once");
    if (message.protocol !== PROTOCOL) {
      return this.reject("protocol", `this agent speaks version ${PROTOCOL} of the protocol`);
    }
    clearTimeout(this.#helloTimer);
    this.#name = message.name;
    this.#votes = message.votes;
    this.#isOpen = true;
    this.#host.opened(this);
  }

  /** An application that does not read is not waited for. */
  send(message: ToApplication): void {
    this.sendLine(encodeLine(message));
  }

  /** The same line goes to many. */
  sendLine(line: Uint8Array): void {
    if (this.#ended) return;
    if (this.#socket.writableLength + line.byteLength > this.#maxQueuedBytes) {
      return this.#end("slow");
    }
    this.#socket.write(line);
  }

  reject(reason: Rejection, message: string): void {
    if (this.#ended) return;
    this.#socket.end(encodeLine({ type: "rejected", reason, message }));
    this.#end(`rejected-${reason}`);
  }

  close(): void {
    this.#end("closed");
  }

  #end(why: SessionEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#isOpen = false;
    clearTimeout(this.#helloTimer);
    // the last words still go out, as far as the kernel takes them at once
    if (why.startsWith("rejected-")) setImmediate(() => this.#socket.destroy());
    else this.#socket.destroy();
    this.#host.ended(this, why);
  }
}
