// Asks the other members, on the cluster interface, whether a frame to a MAC reaches them: what a switch does with the cluster MAC shows
// only at the other end of it. EtherType 88b5 is for experiments within one network (IEEE 802). Every agent answers, to members only, where
// the tables say that they are, and not often, so that nobody can make it send.
//
//   "PANPROBE"(8)  question 1, answer 2 (1)  nonce(4)  node id of who sends it(2)
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type MacAddress, macBytes } from "#base/address.ts";
import { encodeEthernet, ETHERNET_LENGTH } from "#wire/ethernet.ts";
import { FdWatch } from "../fd-watch.ts";
import { errnoCode, libc } from "../libc.ts";
import { PacketSocket } from "./packet-socket.ts";

const ETHERTYPE_EXPERIMENT = 0x88b5;
const MAGIC = Buffer.from("PANPROBE", "latin1");
const LENGTH = 15;
const SHORTEST_PAYLOAD = 46;
const QUESTION = 1;
const ANSWER = 2;
const QUESTIONS = 3;
const ANSWERS_A_SECOND = 50;
const FRAMES_A_TURN = 64;

export interface ProbeOptions {
  readonly interface: string;
  readonly self: number;
  /** By which members know this node. */
  readonly mac: MacAddress;
  /** Of a member. */
  readonly macOf: (node: number) => MacAddress | undefined;
}

interface Probe {
  readonly kind: number;
  readonly nonce: number;
  readonly node: number;
}

function encode({ kind, nonce, node }: Probe): Uint8Array {
  const bytes = Buffer.alloc(SHORTEST_PAYLOAD);
  bytes.set(MAGIC);
  bytes.writeUInt8(kind, 8);
  bytes.writeUInt32BE(nonce, 9);
  bytes.writeUInt16BE(node, 13);
  return bytes;
}

/** Undefined: something else. */
export function decodeProbe(frame: Uint8Array): Probe | undefined {
  const bytes = Buffer.from(frame.subarray(ETHERNET_LENGTH));
  if (bytes.byteLength < LENGTH || !bytes.subarray(0, 8).equals(MAGIC)) return undefined;
  return {
    kind: bytes.readUInt8(8),
    nonce: bytes.readUInt32BE(9),
    node: bytes.readUInt16BE(13),
  };
}

export class SwitchProbe {
  readonly #options: ProbeOptions;
  readonly #socket: PacketSocket;
  readonly #watch: FdWatch;
  /** Answers to questions that wait, by nonce. */
  readonly #waiting = new Map<number, Set<number>>();
  #second = 0;
  #answered = 0;

  /** In the network namespace the thread is in now. Throws PAN_SYSCALL. */
  constructor(options: ProbeOptions) {
    this.#options = options;
    const link = libc.ifNameToIndex(options.interface);
    this.#socket = PacketSocket.open(link, ETHERTYPE_EXPERIMENT);
    this.#watch = new FdWatch(this.#socket.fd, () => this.#read()).unref();
  }

  /** Ids of the nodes that a frame to `mac` has reached, of those that answered in time. */
  async ask(mac: MacAddress, waitMs: number): Promise<ReadonlySet<number>> {
    const nonce = randomBytes(4).readUInt32BE(0);
    const answers = new Set<number>();
    this.#waiting.set(nonce, answers);
    try {
      for (let count = 0; count < QUESTIONS; count++) {
        this.#send(mac, QUESTION, nonce);
        await pause(waitMs / QUESTIONS);
      }
    } finally {
      this.#waiting.delete(nonce);
    }
    return answers;
  }

  close(): void {
    this.#watch.close();
    this.#socket.close();
  }

  #send(to: MacAddress, kind: number, nonce: number): void {
    const { self, mac } = this.#options;
    const payload = encode({ kind, nonce, node: self });
    const [destination, source] = [macBytes(to), macBytes(mac)];
    this.#socket.send(
      encodeEthernet({ destination, source, etherType: ETHERTYPE_EXPERIMENT }, payload),
    );
  }

  #read(): void {
    for (let count = 0; count < FRAMES_A_TURN; count++) {
      const frame = this.#next();
      if (frame === undefined) return;
      const probe = decodeProbe(frame);
      if (probe !== undefined) this.#take(probe);
    }
  }

  /** That the interface has gone down is told once, as an error; what follows from it is others' to say. */
  #next(): Uint8Array | undefined {
    try {
      return this.#socket.receive(0);
    } catch (error) {
      if (errnoCode(error) === "ENETDOWN") return undefined;
      throw error;
    }
  }

  #take({ kind, nonce, node }: Probe): void {
    if (kind === ANSWER) this.#waiting.get(nonce)?.add(node);
    if (kind !== QUESTION || node === this.#options.self) return;
    const member = this.#options.macOf(node);
    if (member === undefined) return;
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) this.#answered = 0;
    this.#second = second;
    if (this.#answered++ < ANSWERS_A_SECOND) this.#send(member, ANSWER, nonce);
  }
}
