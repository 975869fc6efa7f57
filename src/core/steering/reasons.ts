// Why a frame got its verdict: one reason per verdict, one counter per reason, in the order of the stages
// (docs/walks/a-packet-arrives.md). The index is the counter's index; `enum reason` in bpf/abi.h has the same order.

export const REASONS = [
  "pass-not-ip",
  "pass-malformed",
  "pass-announce",
  "drop-announce",
  "pass-other-mac",
  "pass-no-flow",
  "drop-orphan-fragment",
  "pass-peer-fragment",
  "pass-no-service",
  "pass-no-owner",
  "pass-local",
  "forward-owner",
  "forward-former",
  "drop-no-neighbour",
] as const;

export type Reason = (typeof REASONS)[number];
export type Action = "pass" | "drop" | "forward";

/** What happens to a frame: the first word of its reason says so. */
export function actionOf(reason: Reason): Action {
  if (reason.startsWith("pass-")) return "pass";
  return reason.startsWith("drop-") ? "drop" : "forward";
}
