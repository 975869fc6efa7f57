// The heart's thread: raises its priority, gives up the rights that it does not need and runs the loop until told to stop (docs/adr/0002). It never
// returns to an event loop, so nothing here may be asynchronous.
import { receiveMessageOnPort, workerData } from "node:worker_threads";
import { PanError } from "#base/error-codes.ts";
import { raiseThreadPriority } from "#driver/cluster/thread-priority.ts";
import { keepOnly, NEEDED_TO_RUN } from "#driver/host/rights.ts";
import { HeartLoop } from "./heart-loop.ts";
import type { HeartEvent, HeartOrder, HeartStart } from "./heart-protocol.ts";

const { settings, port, wakeFd } = workerData as HeartStart;

const emit = (event: HeartEvent): void => port.postMessage(event);
const nextOrder = (): HeartOrder | undefined =>
  receiveMessageOnPort(port)?.message as HeartOrder | undefined;

/** Wall clock, so that it rises over restarts; never below the last one, whatever the clock says. */
function newBoot(): bigint {
  const clock = BigInt(Date.now()) * 1000n;
  const { lastBoot } = settings;
  return lastBoot !== undefined && lastBoot >= clock ? lastBoot + 1n : clock;
}

try {
  const boot = newBoot();
  const loop = new HeartLoop(settings, boot, { wakeFd, emit, nextOrder });
  const scheduling = raiseThreadPriority();
  keepOnly(NEEDED_TO_RUN);
  emit({ type: "started", scheduling, boot });
  loop.run();
} catch (error) {
  const code = error instanceof PanError ? error.code : "PAN_SYSCALL";
  emit({ type: "failed", code, message: error instanceof Error ? error.message : String(error) });
}
port.close();
