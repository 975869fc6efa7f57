// Brings a part of a file to a client: the next piece is read while the kernel takes the one before. Pieces lie in two buffers, used
// again and again: new memory for each made the garbage collector cost more than all the rest of a download.
import type { FileHandle } from "node:fs/promises";
import type { Session } from "../session.ts";
import type { FilePart } from "./answer.ts";

const CHUNK = 256 * 1024;

/** Where an open file's bytes go. What the client has already (A16) is neither read nor sent. */
export async function sendPart(session: Session, file: FileHandle, part: FilePart): Promise<void> {
  const { path, size, first, length } = part;
  const { size: here } = await file.stat();
  if (here !== size) throw new Error(`${path} has ${here} bytes here, not ${size} as elsewhere`);
  const known = Math.min(session.missing, length);
  session.skip(known);
  const reader = new Reader(session, file, path);
  for (let at = known; at < length;) {
    const bytes = await reader.next(first + at, length - at);
    at += bytes.byteLength;
    const hasRoom = session.write(bytes);
    if (at < length) reader.begin(first + at, length - at);
    if (!hasRoom) await drained(session);
  }
}

class Reader {
  readonly #session: Session;
  readonly #file: FileHandle;
  readonly #path: string;
  /** The one that was given out last is the second. */
  #buffers: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  /** Bytes of the second one. */
  #given = 0;
  #read: Promise<number> | undefined;

  constructor(session: Session, file: FileHandle, path: string) {
    this.#session = session;
    this.#file = file;
    this.#path = path;
  }

  /** Reads at most so many bytes from there into the buffer that was not given out last. */
  begin(position: number, most: number): void {
    const length = Math.min(CHUNK, most);
    const [free] = this.#buffers;
    // its bytes came before those of the other one, and may still be on their way
    const isFree = this.#session.unsent <= this.#given && free.byteLength >= length;
    if (!isFree) this.#buffers[0] = Buffer.allocUnsafe(length);
    const read = this.#file.read(this.#buffers[0], 0, length, position);
    this.#read = read.then(({ bytesRead }) => bytesRead);
    this.#read.catch(() => {}); // whoever asks for the bytes hears of it; the client may be gone before
  }

  /** Bytes from there, until the next but one is asked for. */
  async next(position: number, most: number): Promise<Uint8Array> {
    if (this.#read === undefined) this.begin(position, most);
    this.#given = (await this.#read) ?? 0;
    this.#read = undefined;
    if (this.#given === 0) throw new Error(`${this.#path} became shorter while it was sent`);
    this.#buffers.reverse();
    return this.#buffers[1].subarray(0, this.#given);
  }
}

function drained(session: Session): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      session.off("close", gone);
      resolve();
    };
    const gone = (): void => {
      session.off("drain", done);
      reject(new Error("The client is gone"));
    };
    session.once("drain", done);
    session.once("close", gone);
  });
}
