// This process's monotonic clock as the core sees it; the same that stamps what the session program tells.
import { type Instant, instant } from "#base/time.ts";

export const now = (): Instant => instant(Number(process.hrtime.bigint()) / 1e6);
