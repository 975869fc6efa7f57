// Where applications connect (A10): a Unix socket beside that of the API, for the same users.
import { createServer, type Server, type Socket } from "node:net";
import { claimSocket } from "#api/socket-file.ts";
import { encodeLine } from "#wire/applications/codec.ts";
import type { Answer, Event, JoinVote, Rules, ToApplication } from "#wire/applications/message.ts";
import { Session, type SessionEnd } from "./session.ts";
import type { Tally } from "./tally.ts";

/** Applications that are connected at once. */
export const MAX_APPLICATIONS = 32;

export interface ServerHost {
  readonly tally: Tally;
  /** What an application hears first: welcome and snapshot. */
  readonly greeting: () => readonly ToApplication[];
  readonly answered: (session: Session, answer: Answer) => void;
  /** Applications have come or gone. */
  readonly changed: () => void;
  /** A connection could not be accepted; it listens on. */
  readonly failed: (error: Error) => void;
  /** It will not answer any more. */
  readonly gone: (session: Session, why: SessionEnd) => void;
  readonly maxQueuedBytes?: number;
}

export class ApplicationServer {
  readonly #host: ServerHost;
  readonly #sessions = new Set<Session>();
  readonly #server: Server;

  constructor(host: ServerHost) {
    this.#host = host;
    this.#server = createServer((socket) => this.#connected(socket));
  }

  /** Errors: PAN_AGENT_RUNNING, PAN_SYSCALL. */
  listen(socketPath: string): Promise<void> {
    return claimSocket(
      socketPath,
      (path) =>
        new Promise<void>((resolve, reject) => {
          this.#server.once("error", reject);
          this.#server.listen(path, () => {
            this.#server.removeListener("error", reject);
            this.#server.on("error", this.#host.failed);
            resolve();
          });
        }),
    );
  }

  /** Those that have said hello. */
  get sessions(): Session[] {
    return [...this.#sessions].filter(({ isOpen }) => isOpen);
  }

  get voters(): Session[] {
    return this.sessions.filter(({ votes }) => votes);
  }

  #connected(socket: Socket): void {
    const { tally, maxQueuedBytes } = this.#host;
    const session = new Session(
      socket,
      {
        opened: (opened) => this.#opened(opened),
        answered: (from, answer) => this.#host.answered(from, answer),
        ended: (ended, why) => {
          tally.add(why);
          if (!this.#sessions.delete(ended)) return;
          this.#host.gone(ended, why);
          this.#host.changed();
        },
      },
      maxQueuedBytes,
    );
    if (this.#sessions.size < MAX_APPLICATIONS) this.#sessions.add(session);
    else session.reject("full", `${MAX_APPLICATIONS} applications are connected already`);
  }

  #opened(session: Session): void {
    this.#host.tally.add("connected");
    for (const message of this.#host.greeting()) session.send(message);
    this.#host.changed();
  }

  tell(event: Event): void {
    const line = encodeLine(event);
    for (const session of this.sessions) {
      session.events += 1;
      session.sendLine(line);
    }
  }

  /** Not an event: it has no number, and says only how things are. */
  inform(rules: Rules): void {
    for (const session of this.sessions) session.send(rules);
  }

  ask(voters: readonly Session[], vote: JoinVote): void {
    for (const session of voters) {
      session.asked += 1;
      session.send(vote);
    }
  }

  /** Ends every connection and removes the socket. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const session of [...this.#sessions]) session.close();
    await closed;
  }
}
