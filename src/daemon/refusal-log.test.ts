// Strangers at the control channel are shown to the operator, but cannot fill the log.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { RefusalLog } from "./refusal-log.ts";

test("A2: the first refusal of each reason is logged, then one line a minute that tells how many", () => {
  const lines: unknown[] = [];
  const recorded: unknown[] = [];
  const warn = (fields: unknown): void => void lines.push(fields);
  const log = new RefusalLog({ warn }, (refusal) => void recorded.push(refusal));
  for (let at = 0; at < 60_000; at += 1000) log.refused(instant(at), "revoked", "10.0.0.9");
  log.refused(instant(5), "not-tls", "10.0.0.8");
  log.refused(instant(60_000), "revoked", "10.0.0.7");
  assert.deepEqual(lines, [
    { reason: "revoked", from: "10.0.0.9" },
    { reason: "not-tls", from: "10.0.0.8" },
    { reason: "revoked", from: "10.0.0.7", unsaid: 59 },
  ]);
  assert.deepEqual(recorded, lines);
});
