// How the slots of a group find their owners (A8, A9, A15). Operators, the core and the members' reports use the same words.

/** When a slot without an owner gets one: at once, or when a packet wants it. */
export const ASSIGNMENTS = ["eager", "lazy"] as const;
export type Assignment = (typeof ASSIGNMENTS)[number];

/** What nodes share in the ratio of their weights: slots, exactly; or measured packets or bytes a second. */
export const BALANCES = ["weights", "packets", "bytes"] as const;
export type Balance = (typeof BALANCES)[number];
export type Measure = Exclude<Balance, "weights">;
