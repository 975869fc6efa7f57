// What the API server needs from an agent: one method per operation of the contract. The daemon implements it.
import type { EventSource } from "./event-stream.ts";
import type { Input, Operation, Output } from "./contract.ts";

/**
 * Fails with a PanError; its code decides the HTTP status (problem.ts). Changes resolve once the
 * master has accepted them, on whichever node they were asked.
 */
export type AgentPort = {
  readonly [K in Operation]: (input: Input<K>) => Promise<Output<K>>;
} & {
  /** What `FOLLOW_EVENTS` follows. */
  readonly eventSource: EventSource;
};
