// What a hook finds in its environment (A10); standard input has the same as one JSON object.
import type { Event, JoinVote, NodeName } from "#wire/applications/message.ts";

/** The kernel takes at most 128 KiB for one variable; a longer set of slots is on standard input only. */
const MAX_VALUE_BYTES = 65_536;
const SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface HookPlace {
  readonly cluster: string;
  /** This node. */
  readonly node: NodeName;
  readonly role: string;
}

export type HookSubject = Event | JoinVote;

export function hookEnvironment(
  subject: HookSubject,
  place: HookPlace,
  missed = 0,
): Record<string, string> {
  const variables: Record<string, string | number | undefined> = {
    EVENT: subject.type,
    CLUSTER: place.cluster,
    NODE: place.node.name,
    NODE_ID: place.node.id,
    ROLE: place.role,
    ...about(subject),
    ...(missed === 0 ? {} : { MISSED: missed }),
  };
  const environment: Record<string, string> = { PATH: SEARCH_PATH };
  for (const [name, value] of Object.entries(variables)) {
    const text = String(value ?? "");
    if (value !== undefined && Buffer.byteLength(text) <= MAX_VALUE_BYTES) {
      environment[`PANOPLY_${name}`] = text;
    }
  }
  return environment;
}

const nodeVariables = ({ id, name, address }: NodeName): Record<string, string | number> => ({
  MEMBER: name,
  MEMBER_ID: id,
  MEMBER_ADDRESS: address,
});

function about(subject: HookSubject): Record<string, string | number | undefined> {
  switch (subject.type) {
    case "join-vote":
      return { ...nodeVariables(subject.node), WITHIN_MS: subject.withinMs };
    case "role-changed":
      return {
        SEQUENCE: subject.sequence,
        ROLE: subject.role,
        EPOCH: subject.epoch,
        MASTER: subject.master,
      };
    case "member-joined":
      return { SEQUENCE: subject.sequence, ...nodeVariables(subject.member) };
    case "member-left":
      return {
        SEQUENCE: subject.sequence,
        ...nodeVariables(subject.member),
        REASON: subject.reason,
      };
    case "work-sets-gained":
    case "work-sets-lost":
    case "work-sets-passed-on":
      return {
        SEQUENCE: subject.sequence,
        GROUP: subject.group,
        SLOTS: subject.slots,
        COUNT: subject.count,
        ...(subject.type === "work-sets-gained" ? { FROM: subject.from } : { TO: subject.to }),
      };
  }
}
