// BPF_PROG_TEST_RUN: one program over one frame, without a network.
import { bpfCheck, libbpf, Structure } from "./libbpf.ts";

const OPTIONS_SIZE = 80;
/** XDP may have to answer with more than it got; nothing of ours does. */
const SPARE = 256;

/** @returns the program's return value and the frame as it left it */
export function testRun(
  programFd: number,
  frame: Uint8Array,
): { readonly returned: number; readonly bytes: Uint8Array } {
  const out = new Uint8Array(frame.byteLength + SPARE);
  const options = new Structure(OPTIONS_SIZE)
    .u64(0, OPTIONS_SIZE)
    .pointer(8, frame)
    .pointer(16, out)
    .u32(24, frame.byteLength)
    .u32(28, out.byteLength)
    .u32(60, 1);
  bpfCheck(libbpf().testRun(programFd, options.bytes), "run the packet program over a frame");
  return { returned: options.readU32(56), bytes: out.subarray(0, options.readU32(28)) };
}
