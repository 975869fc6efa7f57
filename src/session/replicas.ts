// How many other members hold each session of this process (A16, docs/adr/0033), as whoever starts it may say.
import { MAX_NODE_ID } from "#base/ids.ts";
import type { ReplicaCount } from "#core/takeover/replica-choice.ts";

export type { ReplicaCount } from "#core/takeover/replica-choice.ts";

export const isReplicaCount = (value: unknown): value is ReplicaCount =>
  value === "all" ||
  (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_NODE_ID);
