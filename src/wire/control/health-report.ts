// What a member tells its master about the instances of services that run on it (B7): for each group with health checks whether its
// instance works, and which part of its share it takes while it warms up. Always whole, so that the last one counts. JSON:
// {"groups": [{"name": "web", "state": "down", "part": 100, "reason": "tcp: connection refused"}]}
import { asCount, asObject, asText, type JsonValue } from "./json.ts";

/** unknown: no check has come to a result yet. The node keeps what it serves, and gets nothing new. */
export const INSTANCE_STATES = ["up", "down", "unknown"] as const;
export type InstanceState = (typeof INSTANCE_STATES)[number];

export interface InstanceReport {
  /** Name of the group. */
  readonly name: string;
  readonly state: InstanceState;
  /** Percent of its share that it takes (slow start), 1 … 100. */
  readonly part: number;
  /** Why it is in this state; may be empty. */
  readonly reason: string;
}

export interface HealthReport {
  readonly groups: readonly InstanceReport[];
}

export const MAX_REASON = 160;
const MAX_GROUPS = 1024;
const WHOLE = 100;
const NAME = /^[a-z0-9-]{1,63}$/;
/** UTF-8 has at most four bytes a character, JSON writes a control character in six. */
export const MAX_HEALTH_REPORT = 64 + MAX_GROUPS * (160 + 6 * MAX_REASON);

export const healthReportJson = ({ groups }: HealthReport): JsonValue => ({
  groups: groups.slice(0, MAX_GROUPS).map(({ name, state, part, reason }) => ({
    name,
    state,
    part,
    reason: reason.slice(0, MAX_REASON),
  })),
});

/** Undefined when it is no such report. */
export function asHealthReport(value: JsonValue | undefined): HealthReport | undefined {
  const groups = asObject(value)?.["groups"];
  if (!Array.isArray(groups) || groups.length > MAX_GROUPS) return undefined;
  const read = (groups as readonly JsonValue[]).map(asInstance);
  const names = new Set(read.map((instance) => instance?.name));
  if (names.has(undefined) || names.size !== read.length) return undefined;
  return { groups: read.filter((instance) => instance !== undefined) };
}

function asInstance(value: JsonValue): InstanceReport | undefined {
  const object = asObject(value);
  const name = asText(object?.["name"], NAME);
  const state = INSTANCE_STATES.find((each) => each === object?.["state"]);
  const part = asCount(object?.["part"], WHOLE);
  const reason = object?.["reason"];
  if (name === undefined || state === undefined || part === undefined || part === 0) {
    return undefined;
  }
  if (typeof reason !== "string" || reason.length > MAX_REASON) return undefined;
  return { name, state, part, reason };
}
