// Why a frame got its verdict: one reason per verdict, one counter per reason, in the order of the stages
// (docs/walks/a-packet-arrives.md). The index is the counter's index; `enum reason` in bpf/abi.h has the same order.

export const REASONS = [
  "pass-not-ip",
  "pass-malformed",
  "drop-tunnel",
  "pass-announce",
  "drop-announce",
  "pass-other-mac",
  "drop-not-ours",
  "pass-no-flow",
  "pass-peer-fragment",
  "pass-early-fragment",
  "hold-early-fragment",
  "pass-no-service",
  "drop-peer",
  "drop-unleased",
  "pass-connection-id",
  "forward-connection-id",
  "pass-exception",
  "forward-exception",
  "hold-unassigned",
  "pass-no-owner",
  "pass-local",
  "forward-owner",
  "forward-former",
  "drop-hold-full",
  "drop-no-neighbour",
  "drop-too-big",
] as const;

export type Reason = (typeof REASONS)[number];
const ACTIONS = ["pass", "drop", "hold", "forward"] as const;
export type Action = (typeof ACTIONS)[number];

const wordOf = (reason: Reason): Action =>
  ACTIONS.find((action) => reason.startsWith(`${action}-`)) ?? "drop";

const BY_REASON = new Map<Reason, Action>(REASONS.map((reason) => [reason, wordOf(reason)]));

/** What happens to a frame: the first word of its reason says so. */
export const actionOf = (reason: Reason): Action => BY_REASON.get(reason) ?? "drop";
