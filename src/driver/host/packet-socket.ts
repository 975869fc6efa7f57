// Whole Ethernet frames in and out of one interface (AF_PACKET). For the few frames that the agent builds
// itself; traffic never comes this way.
import { check, errno, errnoName, libc } from "../libc.ts";
import { SOCK_CLOEXEC, SOCK_RAW } from "../sockets.ts";

const AF_PACKET = 17;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_QDISC_BYPASS = 20;
const POLLIN = 1;
const SOCKADDR_LL_LENGTH = 20;
/** Longer frames are cut; nothing that is read here is longer than a few hundred bytes. */
const RECEIVE_LENGTH = 2048;

/** sockaddr_ll: family(16) protocol(16, network order) interface(32) and fields that bind() ignores. */
function socketAddress(link: number, etherType: number): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_LL_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, etherType, false);
  view.setInt32(4, link, true);
  return bytes;
}

export class PacketSocket {
  readonly #fd: number;
  #open = true;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Belongs to the network namespace the thread is in now. Throws PAN_SYSCALL.
   * @param link the interface's index
   * @param etherType which frames to receive, without our own; undefined: the socket only sends
   */
  static open(link: number, etherType?: number): PacketSocket {
    const fd = check(libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "open a packet socket");
    try {
      if (etherType !== undefined) {
        const on = Uint8Array.of(1, 0, 0, 0);
        const result = libc.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, on, 4);
        check(result, "leave out our own frames");
      }
      const address = socketAddress(link, etherType ?? 0);
      check(libc.bind(fd, address, SOCKADDR_LL_LENGTH), `bind a packet socket to link ${link}`);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    return new PacketSocket(fd);
  }

  /** Sends past the queueing discipline, and so past the egress programs. Throws PAN_SYSCALL. */
  static pastQdisc(link: number): PacketSocket {
    const socket = PacketSocket.open(link);
    const on = Uint8Array.of(1, 0, 0, 0);
    const result = libc.setsockopt(socket.#fd, SOL_PACKET, PACKET_QDISC_BYPASS, on, 4);
    check(result, "send past the queueing discipline");
    return socket;
  }

  /** For FdWatch. */
  get fd(): number {
    return this.#fd;
  }

  /** Undefined: sent. Otherwise the errno's name, such as "ENETDOWN". */
  send(frame: Uint8Array): string | undefined {
    const sent = libc.send(this.#fd, frame, frame.byteLength, 0);
    return sent < 0 ? errnoName(errno()) : undefined;
  }

  /** The next frame; undefined when none comes in time or a signal arrives. Blocks the thread. */
  receive(timeoutMs: number): Uint8Array | undefined {
    const entry = new Uint8Array(8);
    const view = new DataView(entry.buffer);
    view.setInt32(0, this.#fd, true);
    view.setInt16(4, POLLIN, true);
    if (libc.poll(entry, 1, Math.max(0, Math.ceil(timeoutMs))) <= 0) return undefined;
    const buffer = new Uint8Array(RECEIVE_LENGTH);
    const length = check(libc.recv(this.#fd, buffer, buffer.byteLength, 0), "receive a frame");
    return buffer.subarray(0, length);
  }

  /** Waits for an RCU grace period (10 ms and more). */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    libc.close(this.#fd);
  }
}
