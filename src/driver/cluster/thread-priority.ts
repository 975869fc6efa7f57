// Priorities of the agent's threads, so that a loaded machine does not make its node look dead (docs/adr/0002), and clients do not wait
// for a processor when one is.
import { setPriority } from "node:os";
import { libc } from "../libc.ts";

const SCHED_OTHER = 0;
const SCHED_RR = 2;
const SCHED_RESET_ON_FORK = 0x40000000;
const REAL_TIME_PRIORITY = 20;
const RAISED_NICE = -15;
const MAIN_NICE = -10;

/** What the kernel granted: real-time (CAP_SYS_NICE and a real-time budget), a better nice value, or nothing. */
export function raiseThreadPriority(): "real-time" | "raised" | "ordinary" {
  const parameters = new Uint8Array(4);
  parameters[0] = REAL_TIME_PRIORITY;
  const policy = SCHED_RR | SCHED_RESET_ON_FORK;
  if (libc.schedSetscheduler(0, policy, parameters) === 0) return "real-time";
  try {
    setPriority(libc.gettid(), RAISED_NICE);
    return "raised";
  } catch {
    return "ordinary"; // a container without CAP_SYS_NICE; the caller reports it
  }
}

/**
 * For the main thread, which decides what follows a death: ahead of ordinary processes, but not in real time, since it may compute for
 * long. Threads and processes that it starts are ordinary.
 */
export function raiseMainPriority(): "raised" | "ordinary" {
  if (libc.schedSetscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, new Uint8Array(4)) !== 0) {
    return "ordinary";
  }
  try {
    setPriority(libc.gettid(), MAIN_NICE);
    return "raised";
  } catch {
    return "ordinary"; // without CAP_SYS_NICE; the caller reports it
  }
}
