// How packets become work sets, in the words of the applications' protocol (A10, A16).
import type { Tables } from "#core/steering/tables.ts";
import type { Rules } from "#wire/applications/message.ts";

export const rulesOf = ({ hash, hashKey, groups }: Tables, detectionMs: number): Rules => ({
  type: "rules",
  hash,
  hashKey: [hashKey[0], hashKey[1]],
  detectionMs,
  groups: groups.map(({ name, policy, owners, services }) => ({
    group: name,
    policy,
    total: owners.length,
    services: services.map(({ protocol, vip, port }) => ({ protocol, vip, port })),
  })),
});
