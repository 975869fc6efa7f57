// Every kind of event that an agent keeps and shows (`pan events`): what it is called, what can have caused it, what it carries. The
// types, the reference page (docs/reference/events.md) and the filters of the command line come from here and from nowhere else.
// An event says what this node knew when it happened: nodes by name, the cause as far as this node can know it.

/** What moved in a distribution table: so many slots of a group, from one node to another. */
export interface Move {
  readonly group: string;
  /** Absent: they had no owner. */
  readonly from?: string;
  /** Absent: they have none now. */
  readonly to?: string;
  readonly slots: number;
  readonly cause: TableCause;
}

interface Kinds {
  readonly text: string;
  readonly count: number;
  readonly list: readonly string[];
  readonly moves: readonly Move[];
}

export interface Field {
  readonly kind: keyof Kinds;
  readonly optional: boolean;
  readonly doc: string;
}

export interface EventKind {
  readonly about: "agent" | "membership" | "tables" | "addresses" | "configuration" | "health";
  readonly doc: string;
  /** What can have caused it; empty where there is nothing to tell apart. */
  readonly causes: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, Field>>;
}

const needed = <K extends keyof Kinds>(kind: K, doc: string) =>
  ({ kind, optional: false, doc }) as const;
const perhaps = <K extends keyof Kinds>(kind: K, doc: string) =>
  ({ kind, optional: true, doc }) as const;

const DEPARTURES = {
  silent: "Its watchdog ran out: dead, frozen or cut off.",
  "agent-down": "Its machine answers, its agent does not: its connections live.",
  left: "It said goodbye: its agent was stopped, or told to go.",
  refused:
    "Its certificate or its place in the configuration is no longer accepted (revoked, removed).",
  unknown: "This node was not the master, which alone knows.",
} as const;

/** Why a node may not join; the words of the protocol. */
const REFUSALS = {
  "not-admitted": "The configuration does not name it.",
  certificate: "Its certificate is of another CA, has expired, or is not for its id and address.",
  revoked: "Its certificate is on the revocation list.",
  duplicate: "Another machine with this id or address is a member.",
  full: "The cluster has as many members as it can have.",
  application: "An application at the master voted against it (A10).",
} as const;

/** Why slots moved, in the order in which they are looked for. */
export const TABLE_CAUSES = {
  death: "Their owner fell silent.",
  departure:
    "Their owner left or was refused; or it is gone, and this node is not the master, who knows why.",
  drain: "Their owner is drained.",
  health: "Their owner's health checks fail, or pass again.",
  join: "Their new owner became a member.",
  undrain: "Their new owner is drained no more.",
  weight: "Weights, or the list of nodes, of the group changed.",
  balancing: "Measured load was evened out (A8).",
  demand: "A packet wanted them, and they had no owner (A15).",
  services: "Groups, services or virtual addresses came or went.",
  delivery: "The delivery method changed (A13).",
  succession: "A new master published the tables as its own.",
  members: "Nodes were listed or struck off; no slot moved.",
  other: "None of the above: an earlier change was brought to its end.",
} as const;
export type TableCause = keyof typeof TABLE_CAUSES;

const VERSION = needed("text", "`epoch.counter@master`.");
const MOVES = needed("moves", "Slots by group, former and new owner; the 32 largest moves.");
const MOVED = needed("count", "Slots that changed their owner, all groups together.");

export const EVENTS = {
  "agent-started": {
    about: "agent",
    doc: "The agent runs and looks for its cluster.",
    causes: {},
    fields: { version: needed("text", "Of Panoply.") },
  },
  "agent-stopped": {
    about: "agent",
    doc: "The agent ends. Forwarding goes on.",
    causes: {
      asked: "By a signal: `systemctl stop`, Ctrl-C.",
      failed: "It could not go on; `reason` says why.",
    },
    fields: { reason: perhaps("text", "Why it could not go on.") },
  },
  "role-changed": {
    about: "membership",
    doc: "This node is `joining`, `offering`, `member` or `master` now.",
    causes: {},
    fields: {
      role: needed("text", "Now."),
      before: perhaps("text", "Until now; absent after a start."),
    },
  },
  "master-elected": {
    about: "membership",
    doc: "This node has, or is, a new master.",
    causes: {
      founded: "Nobody answered: this node began a cluster (A3).",
      joined: "This node joined a cluster that has this master.",
      succession: "The master before is gone; this is its successor (A12).",
      contest: "Two masters met, and this one has more members or the lower address (A5).",
    },
    fields: {
      master: needed("text", "Name of the master."),
      epoch: needed("count", "Rises with every mastership."),
      before: perhaps("text", "Name of the master before."),
    },
  },
  "master-deposed": {
    about: "membership",
    doc: "A master is master no more.",
    causes: { contest: "Two masters met, and the other one won (A5).", ...DEPARTURES },
    fields: {
      master: needed("text", "Name of the former master."),
      by: perhaps("text", "Name of its successor, where one is known."),
    },
  },
  "member-joined": {
    about: "membership",
    doc: "A node became a member; also this node itself.",
    causes: {},
    fields: { member: needed("text", "Its name."), address: needed("text", "Its address.") },
  },
  "member-left": {
    about: "membership",
    doc: "A member is one no more; its slots move at once.",
    causes: DEPARTURES,
    fields: { member: needed("text", "Its name."), address: needed("text", "Its address.") },
  },
  "departure-confirmed": {
    about: "membership",
    doc: "The master knows for certain why a member left; after `silent` no connection on it lives.",
    causes: DEPARTURES,
    fields: { member: needed("text", "Its name.") },
  },
  "join-denied": {
    about: "membership",
    doc: "This node, as master, turned a node down. The first of each node and reason, then once a minute.",
    causes: REFUSALS,
    fields: {
      member: needed("text", "Name, or number where the configuration has none."),
      address: needed("text", "Where the request came from."),
      text: perhaps("text", "What the application said."),
      unsaid: perhaps("count", "Like this one, since the last that was kept."),
    },
  },
  "join-refused": {
    about: "membership",
    doc: "This node was turned down. The first of each reason, then once a minute.",
    causes: REFUSALS,
    fields: {
      by: needed("text", "Name of the master."),
      text: perhaps("text", "What the application said."),
      unsaid: perhaps("count", "Like this one, since the last that was kept."),
    },
  },
  "connection-refused": {
    about: "membership",
    doc: "The control channel refused a connection. The first of each reason, then once a minute.",
    causes: {},
    fields: {
      reason: needed("text", "As in `control.counts` of `pan status --json`."),
      from: needed("text", "Address of the other end."),
      unsaid: perhaps("count", "Like this one, since the last that was kept."),
    },
  },
  "vote-unanswered": {
    about: "membership",
    doc: "Applications did not say in time whether a node may join (A10).",
    causes: {},
    fields: {
      member: needed("text", "The node that wants to join."),
      outcome: needed("text", "`accept` or `refuse`, by `applications.unanswered`."),
    },
  },
  "address-conflict": {
    about: "membership",
    doc: "Another machine uses this node's id or address. Once a minute at most.",
    causes: {},
    fields: {
      address: needed("text", "Of the other machine."),
      outcome: needed("text", "`stays-out`: this node does not join; `goes-on`: it was first."),
      unsaid: perhaps("count", "Like this one, since the last that was kept."),
    },
  },
  "tables-published": {
    about: "tables",
    doc: "This node, as master, sent new distribution tables to the members.",
    causes: TABLE_CAUSES,
    fields: {
      version: VERSION,
      moved: MOVED,
      moves: MOVES,
      members: needed("count", "How many they went to."),
    },
  },
  "tables-installed": {
    about: "tables",
    doc: "New tables are in force in this node's packet program. The cause is this node's conclusion.",
    causes: TABLE_CAUSES,
    fields: { version: VERSION, moved: MOVED, moves: MOVES },
  },
  "path-changed": {
    about: "tables",
    doc: "A private path to a member works, has failed or is removed; traffic goes by those that work (B11).",
    causes: {
      heard: "Its hellos come, and say that ours arrive.",
      silent: "No hello came for half the detection interval.",
      unheard: "Hellos come, and say that ours do not arrive.",
      carrier: "This node's interface has no link.",
      departed: "The node is no member any more.",
    },
    fields: {
      member: needed("text", "The member at the other end."),
      path: needed("count", "Number of the path, from 1, as in `cluster.paths`."),
      interface: needed("text", "This node's interface on it."),
      state: needed("text", "`working`, `failed` or `removed`."),
    },
  },
  "delivery-changed": {
    about: "tables",
    doc: "Client traffic reaches the members in another way (A13), from these tables on.",
    causes: {},
    fields: { method: needed("text", "Now."), before: needed("text", "Until now.") },
  },
  "vips-taken": {
    about: "addresses",
    doc: "This node answers for these virtual addresses from now on.",
    causes: {},
    fields: { vips: needed("list", "All that it answers for and did not before.") },
  },
  "vips-given-up": {
    about: "addresses",
    doc: "This node does not answer for these virtual addresses any more.",
    causes: {},
    fields: { vips: needed("list", "All that it answered for until now and are not its own now.") },
  },
  "vip-moved": {
    about: "addresses",
    doc: "Virtual addresses have another interface node, by the tables in force here (B10). Where the master is the one of all, `vips-taken` says so.",
    causes: {
      death: "The node fell silent.",
      departure: "The node left or was refused; or it is gone, and this node does not know why.",
      drain: "The node is drained.",
      placement: "The configuration says so: `pan vips move`, weights, lists.",
      join: "A node became a member and took its share.",
      undrain: "A node is drained no more and took its share.",
      other: "None of the above: an earlier change was brought to its end.",
    },
    fields: {
      from: needed("text", "The interface node before."),
      to: needed("text", "The interface node now."),
      vips: needed("list", "The addresses; the first 32."),
      moved: needed("count", "How many they are."),
    },
  },
  "vips-announced": {
    about: "addresses",
    doc: "Neighbours were told where these addresses are. Repetitions of the same are not kept.",
    causes: {},
    fields: {
      vips: needed("list", "The addresses."),
      mac: perhaps("text", "The cluster MAC; absent: this node's own."),
    },
  },
  "config-changed": {
    about: "configuration",
    doc: "Another configuration is in force on this node.",
    causes: {
      operator: "Changed here, at the master.",
      member: "Changed here, at the master; asked of the node `via`.",
      master: "Received from the master.",
    },
    fields: {
      counter: needed("count", "Its number."),
      digest: needed("text", "First half of its SHA-256."),
      change: perhaps("text", "What was asked, where this node knows."),
      via: perhaps("text", "The node of which it was asked."),
      differences: needed("list", "`place: before → after`, the first 40."),
    },
  },
  "health-changed": {
    about: "health",
    doc: "A node's instance of a group works, or does not, as it tells its master (B7). At the master only.",
    causes: {
      passed: "Its checks passed as often as `rise` asks for.",
      failed:
        "Checks failed as often as `fall` allows, or it is in maintenance; `detail` says which.",
      unknown: "No check has come to a result yet, as after a start.",
    },
    fields: {
      member: needed("text", "The node."),
      group: needed("text", "The group that it serves."),
      state: needed("text", "Now: `up`, `down` or `unknown`."),
      before: perhaps("text", "Until now; absent: it had told nothing."),
      detail: perhaps("text", "What the check met."),
    },
  },
} as const satisfies Readonly<Record<string, EventKind>>;

export type EventType = keyof typeof EVENTS;
type FieldsOf<T extends EventType> = (typeof EVENTS)[T]["fields"];
type ValueOf<F> = F extends { readonly kind: infer K extends keyof Kinds } ? Kinds[K] : never;
type Needed<F> = { [K in keyof F]: F[K] extends { readonly optional: false } ? K : never }[keyof F];
type Flat<T> = { readonly [K in keyof T]: T[K] };
type CauseOf<T extends EventType> = keyof (typeof EVENTS)[T]["causes"];
type Caused<T extends EventType> = [CauseOf<T>] extends [never] ? unknown : { cause: CauseOf<T> };

/** An event of one type, before it is kept. */
export type EventOf<T extends EventType> = Flat<
  { type: T } & Caused<T> & { [K in Needed<FieldsOf<T>>]: ValueOf<FieldsOf<T>[K]> } & {
      [K in Exclude<keyof FieldsOf<T>, Needed<FieldsOf<T>>>]?: ValueOf<FieldsOf<T>[K]>;
    }
>;
export type NewEvent = { readonly [T in EventType]: EventOf<T> }[EventType];

/** An event as it is kept and shown. */
export type StoredEvent = NewEvent & {
  /** Rises by one with every event of this node, over restarts. */
  readonly seq: number;
  /** Time of day when it happened, ISO 8601. */
  readonly at: string;
};

export const EVENT_TYPES = Object.keys(EVENTS) as EventType[];

export const isEventType = (text: string): text is EventType => Object.hasOwn(EVENTS, text);
