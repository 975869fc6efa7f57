// The agent's main thread in small, in a process of its own that tests may kill: runs a heart, hands over the
// group key where the real one would fetch it by TLS, and passes events on to the test.
import { Heart } from "#daemon/heart.ts";
import type { HeartCommand, HeartEvent, HeartSettings } from "#daemon/heart-protocol.ts";

export type NodeOrder =
  | { readonly type: "start"; readonly settings: HeartSettings; readonly key: Uint8Array }
  | { readonly type: "command"; readonly command: HeartCommand }
  /** Block the event loop, as a long garbage collection or a big parse would. */
  | { readonly type: "block"; readonly durationMs: number };

/** `atMs` is CLOCK_MONOTONIC when the main thread saw the event. */
export interface NodeReport {
  readonly event: HeartEvent | { readonly type: "unblocked" };
  readonly atMs: number;
}

let heart: Heart | undefined;

function report(event: NodeReport["event"]): void {
  process.send?.({ event, atMs: Number(process.hrtime.bigint()) / 1e6 } satisfies NodeReport);
}

function block(durationMs: number): void {
  const until = Date.now() + durationMs;
  while (Date.now() < until);
  report({ type: "unblocked" });
}

async function start(settings: HeartSettings, key: Uint8Array): Promise<void> {
  // events may come with the word that it runs
  const giveKey = async (): Promise<void> =>
    (await started).command({ type: "group-key", keyId: 7, key, activate: true });
  const started = Heart.start(settings, (event) => {
    if (event.type === "became-master" || event.type === "admitted-by") void giveKey();
    report(event);
  });
  heart = await started;
}

process.on("message", (order: NodeOrder) => {
  switch (order.type) {
    case "start":
      start(order.settings, order.key).catch((error: unknown) => {
        report({ type: "failed", code: "PAN_SYSCALL", message: String(error) });
      });
      return;
    case "command":
      return heart?.command(order.command);
    case "block":
      return block(order.durationMs);
  }
});
process.once("disconnect", () => process.exit(0));
