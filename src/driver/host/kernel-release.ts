// Which kernel this is, as far as decisions depend on it.
import { release } from "node:os";

export interface KernelRelease {
  readonly major: number;
  readonly minor: number;
}

/** "6.1.0-13-amd64" → 6.1. Undefined when the text does not begin like that. */
export function parseRelease(text: string): KernelRelease | undefined {
  const match = /^(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

export const isAtLeast = (kernel: KernelRelease, major: number, minor: number): boolean =>
  kernel.major > major || (kernel.major === major && kernel.minor >= minor);

/** The running kernel; 0.0 where it does not say. */
export const runningKernel = (): KernelRelease => parseRelease(release()) ?? { major: 0, minor: 0 };
