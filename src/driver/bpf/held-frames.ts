// The frames that the packet program hands to the agent because they have to wait (A15): read from its ring buffer on the main
// thread, whenever it has some.
import { FdWatch } from "../fd-watch.ts";
import { HELD_HEADER, REASON_NAMES } from "./abi.gen.ts";
import { RingBuffer } from "./ring-buffer.ts";

/** One turn of the event loop takes no more; the watch calls again while there are any. */
const FRAMES_A_TURN = 512;

export interface HeldRecord {
  readonly reason: string;
  /** As the packet program numbers groups; see Datapath.heldGroup. */
  readonly group: number;
  readonly slot: number;
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
      const frames = ring.read(FRAMES_A_TURN).flatMap((record) => heldRecord(record) ?? []);
      if (frames.length > 0) onFrames(frames);
    }).unref();
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
