// What a master and its members say to each other over the control channel, as values (A2, A4, B9).
import type { ConfigVersion, NodeId, TableVersion } from "#base/ids.ts";
import type { HealthReport } from "./health-report.ts";
import type { JsonValue } from "./json.ts";
import type { FlowReport } from "./flow-report.ts";
import type { SlotReport } from "./slot-report.ts";

/** One generation of the key that authenticates keepalives (A2). 32 bytes; the id is 1 … 255. */
export interface GroupKey {
  readonly keyId: number;
  readonly key: Uint8Array;
}

export const GROUP_KEY_LENGTH = 32;

/** The first message in either direction: who speaks, and what it already holds. */
export interface Hello {
  readonly type: "hello";
  readonly node: NodeId;
  /** Lower-case hex, 1 … 32 digits; another one at each start of the agent. */
  readonly bootId: string;
  readonly config: ConfigVersion;
  readonly tables: TableVersion;
  /** It can be sent tables in the delta form. */
  readonly deltas?: boolean;
}

export interface WantedSlot {
  readonly group: string;
  readonly slot: number;
}

/** In one message; the others are asked for later. */
export const MAX_SLOTS_WANTED = 1024;

export type ControlMessage =
  | Hello
  /** Master to member. The previous key stays valid while the new one is handed round. */
  | ({ readonly type: "group-key"; readonly previous?: GroupKey } & GroupKey)
  | { readonly type: "config"; readonly version: ConfigVersion; readonly yaml: string }
  | { readonly type: "config-ack"; readonly version: ConfigVersion }
  /** Full or delta form of core/steering/tables-codec.ts; opaque here. */
  | { readonly type: "tables"; readonly bytes: Uint8Array }
  | { readonly type: "tables-ack"; readonly version: TableVersion }
  /** Member to master: a delta did not fit what I hold; send the full form. */
  | { readonly type: "tables-wanted"; readonly held: TableVersion }
  /** Member to master: an operator's change, to be made where changes are made. */
  | {
      readonly type: "request";
      readonly id: number;
      readonly method: string;
      readonly body: JsonValue;
    }
  /** The answer to the request of that id; the status is that of HTTP (RFC 9110). */
  | {
      readonly type: "response";
      readonly id: number;
      readonly status: number;
      readonly body: JsonValue;
    }
  /** Member to master: packets wait for an owner of these slots. At most MAX_SLOTS_WANTED. */
  | { readonly type: "slots-wanted"; readonly slots: readonly WantedSlot[] }
  /** Member to master, every two seconds. */
  | { readonly type: "slot-report"; readonly report: SlotReport }
  /** Member to master, at the start of a connection and whenever something changes (B7). */
  | { readonly type: "health-report"; readonly report: HealthReport }
  /** Member to master, when it has looked at its connections and there is something to say (B4). */
  | { readonly type: "flow-report"; readonly report: FlowReport }
  | { readonly type: "ping"; readonly nonce: number }
  | { readonly type: "pong"; readonly nonce: number };

export type ControlMessageType = ControlMessage["type"];
