// Membership of one node (A2-A12): a state machine without sockets, clocks or randomness.
import type { Instant } from "#base/time.ts";
import type { Effect, Input, MembershipSettings } from "./protocol.ts";
import type { View } from "./types.ts";

export type { Effect, Input, MembershipSettings } from "./protocol.ts";

export declare class Membership {
  constructor(settings: MembershipSettings, now: Instant);
  /** When to step with "deadline-reached". */
  get deadline(): Instant | undefined;
  get view(): View;
  /** Effects are to be performed in order. */
  step(now: Instant, input: Input): Effect[];
}
