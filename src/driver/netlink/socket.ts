// One netlink socket for requests: sends one, reads its acknowledgement or its dump, throws what the
// kernel refuses. Synchronous: the kernel has answered by the time send() returns (20–70 µs a request).
import { PanError } from "#base/error-codes.ts";
import { check, errno, errnoCode, ErrnoError, libc } from "../libc.ts";
import { AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET } from "../sockets.ts";
import {
  decodeAcknowledgement,
  decodeMessages,
  encodeRequest,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  uint32,
  type Message,
  type Request,
} from "./message.ts";

const NETLINK_ROUTE = 0;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
/** The kernel fills dumps in pieces of at most 32 KiB. */
const BUFFER_LENGTH = 65_536;
/** A dump that keeps changing under our hands is taken as it is after so many tries. */
const DUMP_TRIES = 5;
/** Answers come at once; this only keeps a broken kernel from holding the agent for ever. */
const ANSWER_TIMEOUT_SECONDS = 2n;

type Unnumbered = Omit<Request, "sequence">;

export class NetlinkSocket {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER_LENGTH);
  #sequence = 0;
  #open = true;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Belongs to the network namespace the thread is in now, for good. Throws PAN_SYSCALL. */
  static open(protocol = NETLINK_ROUTE): NetlinkSocket {
    const fd = check(
      libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol),
      "open a netlink socket",
    );
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
      check(libc.setsockopt(fd, SOL_NETLINK, option, uint32(1), 4), "set a netlink option");
    }
    const timeout = new BigInt64Array([ANSWER_TIMEOUT_SECONDS, 0n]);
    const bytes = new Uint8Array(timeout.buffer);
    check(libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, bytes, 16), "set a netlink timeout");
    return new NetlinkSocket(fd);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    libc.close(this.#fd);
  }

  /**
   * Asks for a change and waits for the acknowledgement.
   * @param action to continue "Cannot …". Throws PAN_NETLINK with the kernel's explanation.
   */
  change(request: Unnumbered, action: string): void {
    const sequence = this.#send({ ...request, flags: request.flags | NLM_F_ACK }, action);
    for (;;) {
      for (const message of this.#receive(sequence, action)) {
        if (message.type !== NLMSG_ERROR) continue;
        throwRefusal(message, action);
        return;
      }
    }
  }

  /** Asks for a list; every message is a copy that the caller may keep. Throws PAN_NETLINK. */
  dump(request: Unnumbered, action: string): Message[] {
    for (let tries = 1; ; tries++) {
      const messages = this.#dumpOnce(request, action);
      const consistent = messages.every(({ flags }) => (flags & NLM_F_DUMP_INTR) === 0);
      if (consistent || tries === DUMP_TRIES) return messages;
    }
  }

  /** Asks for one thing; the message is a copy that the caller may keep. Throws PAN_NETLINK, also where there is no such thing. */
  get(request: Unnumbered, action: string): Message {
    const sequence = this.#send(request, action);
    for (;;) {
      const [message] = this.#receive(sequence, action);
      if (message === undefined) continue;
      if (message.type === NLMSG_ERROR) throwRefusal(message, action);
      return { ...message, payload: message.payload.slice() };
    }
  }

  #dumpOnce(request: Unnumbered, action: string): Message[] {
    const sequence = this.#send({ ...request, flags: request.flags | NLM_F_DUMP }, action);
    const found: Message[] = [];
    for (;;) {
      for (const message of this.#receive(sequence, action)) {
        if (message.type === NLMSG_DONE) return found;
        if (message.type === NLMSG_ERROR) throwRefusal(message, action);
        else found.push({ ...message, payload: message.payload.slice() });
      }
    }
  }

  #send(request: Unnumbered, action: string): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const flags = request.flags | NLM_F_REQUEST;
    const bytes = encodeRequest({ ...request, flags, sequence: this.#sequence });
    check(libc.send(this.#fd, bytes, bytes.byteLength, 0), `${action} (netlink send)`);
    return this.#sequence;
  }

  /** The messages of the next datagram that answer this request. */
  #receive(sequence: number, action: string): Message[] {
    let length = libc.recv(this.#fd, this.#buffer, BUFFER_LENGTH, 0);
    while (length < 0 && new ErrnoError(errno()).code === "EINTR") {
      length = libc.recv(this.#fd, this.#buffer, BUFFER_LENGTH, 0);
    }
    check(length, `${action} (netlink answer)`);
    // Left over from a request whose answer was not read to its end.
    return decodeMessages(this.#buffer.subarray(0, length)).filter(
      (message) => message.sequence === sequence,
    );
  }
}

function throwRefusal(message: Message, action: string): void {
  const { errno: number, text } = decodeAcknowledgement(message);
  if (number === 0) return;
  const cause = new ErrnoError(number);
  const why = text === undefined ? cause.code : `${text} (${cause.code})`;
  throw new PanError("PAN_NETLINK", `Cannot ${action}: ${why}`, { cause });
}

/** True where a change was refused only because it was made already, or undone already. */
export const refusedWith = (error: unknown, ...codes: readonly string[]): boolean =>
  codes.includes(errnoCode(error) ?? "");
