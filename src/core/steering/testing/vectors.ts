// The one list of steering vectors: the model runs it in pipeline.test.ts, the packet program in test/kernel.
import type { Vector } from "./vector.ts";
import { EXCEPTIONS, SESSIONS } from "./vectors-exceptions.ts";
import { FLOODED } from "./vectors-flooded.ts";
import { HOLDERS } from "./vectors-holders.ts";
import { PROTOCOLS } from "./vectors-protocols.ts";
import { QUIC } from "./vectors-quic.ts";
import { ADMIT, ANNOUNCE, EXTENSION_HEADERS, ICMP_ERRORS, PARSE } from "./vectors-reading.ts";
import { FRAGMENTS, HASH, LOOKUP, OWN } from "./vectors-steering.ts";
import { TUNNELS } from "./vectors-tunnels.ts";

export const VECTORS: readonly Vector[] = [
  ...PARSE,
  ...EXTENSION_HEADERS,
  ...ANNOUNCE,
  ...HOLDERS,
  ...ADMIT,
  ...ICMP_ERRORS,
  ...LOOKUP,
  ...HASH,
  ...EXCEPTIONS,
  ...SESSIONS,
  ...OWN,
  ...FRAGMENTS,
  ...FLOODED,
  ...PROTOCOLS,
  ...TUNNELS,
  ...QUIC,
];
