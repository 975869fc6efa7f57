// One client of the file server: requests come in, answers go out one after another, and what is being answered is the session's state.
import { open, stat } from "node:fs/promises";
import path from "node:path";
import { decodeUtf8 } from "#wire/utf8.ts";
import type { Session } from "../session.ts";
import { type Answer, answerTo, refusal } from "./answer.ts";
import { parseRequest } from "./request.ts";
import { sendPart } from "./sending.ts";

/** What another member needs to go on: the answer under way, and what came behind its request. */
interface State {
  readonly answer: Answer;
  /** Base64. */
  readonly rest: string;
}

export interface FileServerOptions {
  /** The same files on every member. */
  readonly folder: string;
  readonly onTrouble: (error: Error) => void;
}

export class Conversation {
  readonly #session: Session;
  readonly #options: FileServerOptions;
  #waiting = Buffer.alloc(0);
  #busy = false;
  #inputEnded = false;

  constructor(session: Session, options: FileServerOptions) {
    this.#session = session;
    this.#options = options;
    const state = stateOf(session.state);
    if (state !== undefined) this.#waiting = Buffer.from(state.rest, "base64");
    session.on("data", (bytes) => {
      this.#waiting = Buffer.concat([this.#waiting, bytes]);
      this.#next();
    });
    session.on("end", () => {
      this.#inputEnded = true;
      this.#next();
    });
    session.on("error", () => {}); // the client is gone; "close" follows
    if (state !== undefined) this.#give(state.answer);
  }

  #next(): void {
    if (this.#busy) return;
    const parsed = parseRequest(this.#waiting);
    if (parsed.type === "incomplete") {
      if (this.#inputEnded) this.#session.end();
      return;
    }
    if (parsed.type === "refused") return this.#begin(refusal(parsed.status, false), 0);
    this.#busy = true;
    const { request, length } = parsed;
    this.#find(request.path)
      .then(({ file, size }) => this.#begin(answerTo(request, file, size), length))
      .catch((error: unknown) => this.#fail(error));
  }

  /** A folder stands for its index.html. */
  async #find(requested: string): Promise<{ file: string; size: number | undefined }> {
    const file = requested.endsWith("/") ? `${requested}index.html` : requested;
    const found = await stat(path.join(this.#options.folder, file)).catch(() => undefined);
    return { file, size: found?.isFile() === true ? found.size : undefined };
  }

  /** Written down first: from then on the answer is the same, whoever gives it. */
  #begin(answer: Answer, length: number): void {
    this.#waiting = this.#waiting.subarray(length);
    const state: State = { answer, rest: this.#waiting.toString("base64") };
    this.#session.state = Buffer.from(JSON.stringify(state));
    this.#give(answer);
  }

  #give(answer: Answer): void {
    this.#busy = true;
    this.#send(answer).then(
      () => this.#given(answer),
      (error: unknown) => this.#fail(error),
    );
  }

  #given({ keepAlive }: Answer): void {
    this.#busy = false;
    if (keepAlive) this.#next();
    else this.#session.end();
  }

  async #send({ head, body }: Answer): Promise<void> {
    this.#session.write(Buffer.from(head, "latin1"));
    if (body === undefined) return;
    const file = await open(path.join(this.#options.folder, body.path), "r");
    try {
      await sendPart(this.#session, file, body);
    } finally {
      await file.close();
    }
  }

  /** The client gets a reset rather than a part of a file that looks whole. */
  #fail(error: unknown): void {
    this.#options.onTrouble(error instanceof Error ? error : new Error(String(error)));
    this.#session.destroy();
  }
}

function stateOf(bytes: Uint8Array | undefined): State | undefined {
  return bytes === undefined ? undefined : (JSON.parse(decodeUtf8(bytes) ?? "") as State);
}
