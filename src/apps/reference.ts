// docs/reference/applications.md: every message of the applications' protocol with an example. The examples have the types of the
// messages, so the compiler holds the page to them; a test holds them to the decoder.
import {
  type Event,
  type FromApplication,
  MAX_LINE_TO_AGENT,
  MAX_LINE_TO_APPLICATION,
  MAX_REASON_BYTES,
  PROTOCOL,
  REJECTIONS,
  type Rejection,
  type ToApplication,
} from "#wire/applications/message.ts";
import { DEFAULT_APPLICATIONS_SOCKET } from "./client.ts";

interface Shown<M> {
  readonly when: string;
  readonly example: M;
}
type Messages<M extends { readonly type: string }> = {
  readonly [T in M["type"]]: Shown<Extract<M, { readonly type: T }>>;
};

const M1 = { id: 1, name: "m1", address: "10.77.0.11" };
const M3 = { id: 3, name: "m3", address: "10.77.0.13" };

export const FROM_APPLICATION: Messages<FromApplication> = {
  hello: {
    when: 'First of all, within 5 s. `name`: 1 to 63 letters, digits, ".", "_" and "-"; it need not be unique. `votes`: whether the application wants to be asked before a node joins.',
    example: { type: "hello", protocol: PROTOCOL, name: "ipsec", votes: true },
  },
  answer: {
    when: `To a \`join-vote\`, with its number. \`reason\` may be left out when it accepts; more than ${MAX_REASON_BYTES} bytes are cut off. An answer that comes too late is counted and changes nothing.`,
    example: { type: "answer", vote: 7, accept: false, reason: "no tunnel to it" },
  },
  "session-report": {
    when: "From a server of sessions (A16), whenever it likes, to an agent whose `welcome` says `takesReports`: what `pan status` and the metrics show of it. Milliseconds, bytes and counts; the times of commits and pauses may be left out while nothing was measured, `wanted` where every other member is to hold each session, and with it `underReplicated`; so may `noted` and `fetched`.",
    example: {
      type: "session-report",
      figures: {
        ...{ served: 12, withoutReplica: 0, beyondLimit: 1, untold: 0, held: 25 },
        ...{ replicas: 2, others: 2, waitingBytes: 0, lagMs: 0 },
        ...{ takenOver: 4, lost: 0, abandoned: 0 },
        ...{ commitMedianMs: 0.4, commitHighMs: 2.1, pauseMedianMs: 3.5, pauseWorstMs: 9 },
        ...{ wanted: 1, underReplicated: 0, noted: 11, fetched: 3 },
      },
    },
  },
};

const EVENTS: Messages<Event> = {
  "role-changed": {
    when: "This node is `joining`, `offering`, `member` or `master` now, or follows another master. `master` is absent while there is none. Neither member nor master: it serves nothing, and hears nothing of the others.",
    example: { type: "role-changed", sequence: 41, role: "member", epoch: 6, master: "m1" },
  },
  "member-joined": {
    when: "Also this node itself, when it joins.",
    example: { type: "member-joined", sequence: 42, member: M3 },
  },
  "member-left": {
    when: "`reason`: `silent` (its watchdog ran out), `agent-down` (its machine answers, its agent does not: its connections live), `left` (it said so), `refused` (its configuration or certificate is no longer accepted), `unknown` (this node was not the master, which alone knows).",
    example: { type: "member-left", sequence: 43, member: M3, reason: "silent" },
  },
  "work-sets-gained": {
    when: "In force: packets of these slots come here from now on. `from`: who had them; absent when nobody had, or it is not known. One event for each group and each `from`.",
    example: {
      ...{ type: "work-sets-gained", sequence: 44, group: "web" },
      ...{ slots: "512-767,1023", count: 257, from: "m3" },
    },
  },
  "work-sets-lost": {
    when: "In force: packets of new connections in these slots go elsewhere. `to`: who has them now; absent when nobody has yet, or it is not known (this node is out of the cluster).",
    example: {
      ...{ type: "work-sets-lost", sequence: 45, group: "web" },
      ...{ slots: "512-767,1023", count: 257, to: "m3" },
    },
  },
  "work-sets-passed-on": {
    when: "Slots that were lost to nobody yet have an owner now.",
    example: {
      ...{ type: "work-sets-passed-on", sequence: 46, group: "web" },
      ...{ slots: "0-3", count: 4, to: "m2" },
    },
  },
};

export const TO_APPLICATION: Messages<ToApplication> = {
  welcome: {
    when: "The answer to hello. `node` is this node, `agent` the version of its agent.",
    example: {
      ...{ type: "welcome", protocol: PROTOCOL, agent: "0.1.0", cluster: "demo", node: M1 },
      takesReports: true,
    },
  },
  snapshot: {
    when: "Once, after `welcome`: how things stand. `groups`: every group of which this node owns slots; `total` is the number of slots of the group. While this node is out of the cluster, `members` is what it knew last.",
    example: {
      ...{ type: "snapshot", sequence: 40, role: "master", epoch: 5, master: "m1" },
      members: [M1, M3],
      groups: [{ group: "web", slots: "0-511", count: 512, total: 1024 }],
    },
  },
  rules: {
    when: "After the snapshot, and again whenever it changes: how a packet becomes a work set. `hash` and `hashKey` as in the configuration and the tables; `policy` and `services` of each group; `total` is its number of slots; `detectionMs`: silence after which a member counts as dead. The key is a secret of the cluster.",
    example: {
      ...{ type: "rules", hash: "keyed", hashKey: [305419896, 2596069104], detectionMs: 200 },
      groups: [
        {
          ...{ group: "web", policy: "weighted", total: 1024 },
          services: [{ protocol: "tcp", vip: "10.77.0.100", port: 80 }],
        },
      ],
    },
  },
  ...EVENTS,
  "join-vote": {
    when: "Only at the master, only to applications that vote: `node` asks to join, and is told to wait until all have answered, or `withinMs` is over.",
    example: { type: "join-vote", vote: 7, node: M3, withinMs: 2000 },
  },
  rejected: {
    when: "The last line: the agent ends the connection. `message` says what to do; `reason` is one of those below.",
    example: {
      type: "rejected",
      reason: "malformed",
      message: '"votes" of hello is true or false',
    },
  },
};

const WHY_REJECTED: Readonly<Record<Rejection, string>> = {
  protocol: "the agent does not speak this version of the protocol",
  malformed: "a line is not JSON, not a message, or not at its time",
  "too-long": `a line has more than ${MAX_LINE_TO_AGENT} bytes`,
  "no-hello": "nothing was said within 5 s",
  full: "32 applications are connected already",
};

const INTRODUCTION = `# The protocol for applications

Written from \`src/apps/reference.ts\` by \`node tools/reference.ts\`; the compiler and a test hold it to the code. How to use it, and scripts: [the how-to](../howto/applications.md).

The agent listens on the Unix stream socket \`${DEFAULT_APPLICATIONS_SOCKET}\`, beside that of the API, or where \`--applications-socket\` says. Both have mode 0660: who may open it may hear everything
and refuse every node.

- One JSON object a line, in UTF-8, both ways. At most ${MAX_LINE_TO_AGENT} bytes a line to the agent, ${MAX_LINE_TO_APPLICATION} bytes to the application.
- The application speaks first. Fields and messages that a side does not know are ignored by an application; the agent ignores unknown fields and refuses unknown messages. So a later agent can say more without another
  version of the protocol.
- \`sequence\` counts events since the agent started, without gaps. The snapshot has that of the last event before.
- \`slots\` is a set of work sets of a group: "0-127,256", rising.
- Who does not read what is sent (8 MiB) is disconnected, and so is whoever breaks these rules. Whenever an application connects it gets a snapshot first, so nothing is missed.
- When the connection ends without \`rejected\` the agent has stopped. The packet program forwards on by the last tables; connect again and again.
`;

const section = ([type, { when, example }]: [string, Shown<object>]): string =>
  `### ${type}\n\n${when}\n\n\`\`\`json\n${JSON.stringify(example)}\n\`\`\`\n`;

/** The page, ending in a line break. */
export function applicationsReference(): string {
  const reasons = REJECTIONS.map((reason) => `| \`${reason}\` | ${WHY_REJECTED[reason]} |`);
  return [
    INTRODUCTION,
    "## From the application\n",
    ...Object.entries<Shown<object>>(FROM_APPLICATION).map(section),
    "## From the agent\n",
    ...Object.entries<Shown<object>>(TO_APPLICATION).map(section),
    `## Reasons of a rejection\n\n| reason | meaning |\n|---|---|\n${reasons.join("\n")}\n`,
  ].join("\n");
}
