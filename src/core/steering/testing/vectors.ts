// The one list of steering vectors: the model runs it in pipeline.test.ts, the packet program in test/kernel.
import type { Reason } from "../reasons.ts";
import type { Vector } from "./vector.ts";
import { FLOODED } from "./vectors-flooded.ts";
import { ADMIT, ANNOUNCE, EXTENSION_HEADERS, ICMP_ERRORS, PARSE } from "./vectors-reading.ts";
import { FRAGMENTS, HASH, LOOKUP, OWN } from "./vectors-steering.ts";

/** Reasons that have a name but no stage yet. */
export const NOT_BUILT_YET: readonly Reason[] = [
  "hold-early-fragment",
  "hold-unassigned",
  "drop-hold-full",
];

export const VECTORS: readonly Vector[] = [
  ...PARSE,
  ...EXTENSION_HEADERS,
  ...ANNOUNCE,
  ...ADMIT,
  ...ICMP_ERRORS,
  ...LOOKUP,
  ...HASH,
  ...OWN,
  ...FRAGMENTS,
  ...FLOODED,
];
