// What a member's `pan status` says of instances on other nodes (B7): only the master knows, so it is asked. Where it does not answer
// soon, the page comes without.
import type { GroupStatus, Status } from "#api/status.ts";
import { asObject, type JsonValue } from "#wire/control/json.ts";

type Health = NonNullable<GroupStatus["shares"][number]["health"]>;

/** Longest wait for the master. */
export const ASK_WITHIN_MS = 500;
/** As members ask for it over the control channel. */
export const INSTANCES = "instances";

/** At the master. By group and node. */
export const instancesAnswer = ({ groups }: Status): JsonValue =>
  Object.fromEntries(
    groups.map(({ name, shares }) => [
      name,
      Object.fromEntries(
        shares.flatMap(({ node, health }) => (health === undefined ? [] : [[node, { ...health }]])),
      ),
    ]),
  );

/** The same page, with what the master said. */
export function withInstances(status: Status, answer: JsonValue): Status {
  const groups = status.groups.map((group): GroupStatus => {
    const known = asObject(asObject(answer)?.[group.name]);
    const shares = group.shares.map((share) => {
      // what this node itself has found is newer
      const health = share.health ?? healthFrom(known?.[share.node]);
      return health === undefined ? share : { ...share, health };
    });
    return { ...group, shares };
  });
  return { ...status, groups };
}

const STATES = ["up", "down", "unknown", "maintenance"] as const;

function healthFrom(value: JsonValue | undefined): Health | undefined {
  const { state: given, part, reason } = asObject(value) ?? {};
  const state = STATES.find((each) => each === given);
  if (state === undefined || typeof part !== "number" || typeof reason !== "string") {
    return undefined;
  }
  return { state, part, reason };
}
