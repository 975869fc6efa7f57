// The frames that the packet program hands to the agent because they have to wait (A15): read from its ring buffer on the main
// thread, whenever it has some.
import { FdWatch } from "../fd-watch.ts";
import { HELD_HEADER, REASON_NAMES } from "./abi.gen.ts";
import { RingBuffer } from "./ring-buffer.ts";

/** One turn of the event loop takes no more; the watch calls again while there are any. */
const FRAMES_A_TURN = 512;
/** As many as fit into the ring, as long as it does not grow faster than it is read. */
const MOST_TURNS = 16;

export interface HeldRecord {
  readonly reason: string;
  /** As the packet program numbers groups; see Datapath.heldGroup. */
  readonly group: number;
  /** Of one that did not fit into a tunnel ("drop-too-big"): the length of the longest packet that does. */
  readonly slot: number;
  /** Of such a one only the beginning. */
  readonly frame: Uint8Array;
}

export function heldRecord(record: Uint8Array): HeldRecord | undefined {
  if (record.byteLength < HELD_HEADER.size) return undefined;
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const length = view.getUint32(HELD_HEADER.length, true);
  const reason = REASON_NAMES[view.getUint8(HELD_HEADER.reason)];
  const frame = record.subarray(HELD_HEADER.size, HELD_HEADER.size + length);
  if (reason === undefined || frame.byteLength !== length) return undefined;
  return {
    reason,
    group: view.getUint32(HELD_HEADER.group, true),
    slot: view.getUint32(HELD_HEADER.slot, true),
    frame,
  };
}

export class HeldFrames {
  readonly #ring: RingBuffer;
  readonly #watch: FdWatch;

  private constructor(ring: RingBuffer, fd: number, onFrames: (frames: HeldRecord[]) => void) {
    this.#ring = ring;
    this.#watch = new FdWatch(fd, () => {
      const frames = this.#read();
      if (frames.length > 0) onFrames(frames);
    }).unref();
  }

  #read(): HeldRecord[] {
    return this.#ring.read(FRAMES_A_TURN).flatMap((record) => heldRecord(record) ?? []);
  }

  /** What has been held up to now, instead of waiting for the watch. */
  take(): HeldRecord[] {
    const all: HeldRecord[] = [];
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      const frames = this.#read();
      if (frames.length === 0) return all;
      all.push(...frames);
    }
    return all;
  }

  /** What was written before this process came is passed over: nobody waits for it any more. */
  static open(
    held: { readonly fd: number; readonly size: number },
    onFrames: (frames: HeldRecord[]) => void,
  ): HeldFrames {
    const ring = new RingBuffer(held.fd, held.size);
    ring.skip();
    return new HeldFrames(ring, held.fd, onFrames);
  }

  close(): void {
    this.#watch.close();
    this.#ring.close();
  }
}
