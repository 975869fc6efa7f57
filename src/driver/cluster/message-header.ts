// struct msghdr with its parts, laid out once and used for every sendmsg and recvmsg of a socket (64-bit Linux).
//   msghdr: name 0 (8), name length 8 (4), iov 16 (8), iov count 24 (8), control 32 (8), control length 40 (8), flags 48 (4)
import { addressOf } from "../libc.ts";
import { AF_INET } from "../sockets.ts";

const HEADER_SIZE = 56;
const CONTROL_HEADER = 16;
const SOCKET_ADDRESS_SIZE = 16;
const NAME_LENGTH = 8;
const IOV_COUNT = 24;
const CONTROL_LENGTH = 40;

const align8 = (length: number): number => (length + 7) & ~7;

export class MessageHeader {
  readonly header = new Uint8Array(HEADER_SIZE);
  readonly #view = new DataView(this.header.buffer);
  readonly #name = new Uint8Array(SOCKET_ADDRESS_SIZE);
  readonly #iov = new Uint8Array(16);
  readonly #bytes: Uint8Array;
  readonly #control: Uint8Array;

  constructor(size: number, controlSize: number) {
    this.#bytes = new Uint8Array(size);
    this.#control = new Uint8Array(controlSize);
    this.#view.setBigUint64(0, addressOf(this.#name), true);
    this.#view.setBigUint64(16, addressOf(this.#iov), true);
    this.#view.setBigUint64(IOV_COUNT, 1n, true);
    this.#view.setBigUint64(32, addressOf(this.#control), true);
    const iov = new DataView(this.#iov.buffer);
    iov.setBigUint64(0, addressOf(this.#bytes), true);
    this.reset();
  }

  /** Makes all room available again; to be called before each receive. */
  reset(): void {
    this.#view.setUint32(NAME_LENGTH, SOCKET_ADDRESS_SIZE, true);
    this.#view.setBigUint64(CONTROL_LENGTH, BigInt(this.#control.byteLength), true);
    this.#setLength(this.#bytes.byteLength);
  }

  #setLength(length: number): void {
    new DataView(this.#iov.buffer).setBigUint64(8, BigInt(length), true);
  }

  setBytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes);
    this.#setLength(bytes.byteLength);
  }

  bytes(length: number): Uint8Array {
    return this.#bytes.subarray(0, length);
  }

  setAddress(ipv4: Uint8Array, port: number): void {
    this.#name.set(MessageHeader.socketAddress(ipv4, port));
    this.#view.setUint32(NAME_LENGTH, SOCKET_ADDRESS_SIZE, true);
  }

  /** The four bytes of the peer's address. */
  address(): Uint8Array {
    return this.#name.subarray(4, 8);
  }

  /** The only control message of everything that is sent. */
  setControl(level: number, type: number, value: Uint8Array): void {
    const length = CONTROL_HEADER + value.byteLength;
    const view = new DataView(this.#control.buffer);
    view.setBigUint64(0, BigInt(length), true);
    view.setInt32(8, level, true);
    view.setInt32(12, type, true);
    this.#control.set(value, CONTROL_HEADER);
    this.#view.setBigUint64(CONTROL_LENGTH, BigInt(align8(length)), true);
  }

  /** The value of a control message that was received. */
  control(level: number, type: number): Uint8Array | undefined {
    const end = Number(this.#view.getBigUint64(CONTROL_LENGTH, true));
    const view = new DataView(this.#control.buffer);
    for (let at = 0; at + CONTROL_HEADER <= end;) {
      const length = Number(view.getBigUint64(at, true));
      if (length < CONTROL_HEADER || at + length > end) return undefined;
      if (view.getInt32(at + 8, true) === level && view.getInt32(at + 12, true) === type) {
        return this.#control.subarray(at + CONTROL_HEADER, at + length);
      }
      at += align8(length);
    }
    return undefined;
  }

  /** struct sockaddr_in. */
  static socketAddress(ipv4: Uint8Array, port: number): Uint8Array {
    const address = new Uint8Array(SOCKET_ADDRESS_SIZE);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, port);
    address.set(ipv4, 4);
    return address;
  }
}
