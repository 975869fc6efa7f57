// What the agent and the applications on its machine say to each other (A10): one JSON object a line over a Unix socket.
// docs/reference/applications.md shows each with an example.

import type { HashKind } from "#base/delivery.ts";

/** The version that both sides name first. It changes only when an older client could misunderstand what follows. */
export const PROTOCOL = 1;
/** Longest line from an application, in bytes without its end. */
export const MAX_LINE_TO_AGENT = 4096;
/** Longest line to an application: every group's slots, each second one of them. */
export const MAX_LINE_TO_APPLICATION = 4 * 1024 * 1024;
/** Longest reason of a refusal, in bytes of UTF-8; more is cut off. */
export const MAX_REASON_BYTES = 160;

export const ROLES = ["joining", "offering", "member", "master"] as const;

export interface NodeName {
  readonly id: number;
  readonly name: string;
  readonly address: string;
}

export const LEAVE_REASONS = [
  "silent", // its watchdog ran out
  "agent-down", // its machine answers, its agent does not
  "left", // it said so
  "refused", // its configuration or certificate is no longer accepted
  "unknown", // this node was not the master, which alone knows
] as const;

/** What happened, as this node sees it. */
export type Happening =
  | {
      readonly type: "role-changed";
      readonly role: (typeof ROLES)[number];
      readonly epoch: number;
      /** Name of the master; absent while there is none. */
      readonly master?: string;
    }
  | { readonly type: "member-joined"; readonly member: NodeName }
  | {
      readonly type: "member-left";
      readonly member: NodeName;
      readonly reason: (typeof LEAVE_REASONS)[number];
    }
  | ({
      readonly type: "work-sets-gained";
      /** Name of the node that served them; absent: nobody, or it is not known. */
      readonly from?: string;
    } & SlotsOfGroup)
  | ({
      readonly type: "work-sets-lost";
      /** Name of the node that serves them now; absent: nobody yet, or it is not known. */
      readonly to?: string;
    } & SlotsOfGroup)
  /** What was lost to nobody yet has a new owner. */
  | ({ readonly type: "work-sets-passed-on"; readonly to?: string } & SlotsOfGroup);

interface SlotsOfGroup {
  readonly group: string;
  /** "0-127,256" (slot-ranges.ts). */
  readonly slots: string;
  /** How many these are. */
  readonly count: number;
}

/** Numbered from 1 since the agent's start, without gaps. */
export type Event = Happening & { readonly sequence: number };

/** How things stand: the first thing that an application hears, so that it misses nothing between two connections. */
export interface Snapshot {
  readonly type: "snapshot";
  /** Of the last event before. */
  readonly sequence: number;
  readonly role: (typeof ROLES)[number];
  readonly epoch: number;
  readonly master?: string;
  /** While this node is no member: as it last knew them. */
  readonly members: readonly NodeName[];
  /** What this node owns: every group of which it owns something. */
  readonly groups: readonly (SlotsOfGroup & {
    /** Slots of the group in all. */
    readonly total: number;
  })[];
}

export interface Welcome {
  readonly type: "welcome";
  readonly protocol: number;
  /** Version of the agent. */
  readonly agent: string;
  readonly cluster: string;
  /** This node. */
  readonly node: NodeName;
  /** Whether it takes session-report; absent: an earlier agent, which does not. */
  readonly takesReports?: true;
}

/** A node asks to join; to applications that vote, at the master. */
export interface JoinVote {
  readonly type: "join-vote";
  /** To be quoted in the answer. */
  readonly vote: number;
  readonly node: NodeName;
  /** After so long the answer comes too late. */
  readonly withinMs: number;
}

/** How a packet becomes a work set, so that an application can tell which of its connections are in which. */
export interface Rules {
  readonly type: "rules";
  readonly hash: HashKind;
  /** Two numbers of 32 bits. */
  readonly hashKey: readonly [number, number];
  /** Silence after which a member counts as dead. Absent: an older agent. */
  readonly detectionMs?: number;
  readonly groups: readonly {
    readonly group: string;
    readonly policy: string;
    /** Slots of the group in all. */
    readonly total: number;
    readonly services: readonly RuleService[];
  }[];
}

export interface RuleService {
  readonly protocol: string;
  readonly vip: string;
  readonly port: number | "any";
}

export const REJECTIONS = [
  "protocol", // no version of the protocol that both speak
  "malformed", // not JSON, not a message, or not at this time
  "too-long", // a line beyond MAX_LINE_TO_AGENT
  "no-hello", // nothing came for a while
  "full", // as many applications as the agent takes are connected
] as const;
export type Rejection = (typeof REJECTIONS)[number];

/** The connection ends after it. */
export interface Rejected {
  readonly type: "rejected";
  readonly reason: Rejection;
  /** For the log of the application: what to do. */
  readonly message: string;
}

export type ToApplication = Welcome | Snapshot | Rules | Event | JoinVote | Rejected;

/** The first line of every application. */
export interface Hello {
  readonly type: "hello";
  readonly protocol: number;
  /** For `pan apps`, and for the words of a refusal. */
  readonly name: string;
  /** Whether it wants to be asked before a node joins. */
  readonly votes: boolean;
}

export type Answer =
  | { readonly type: "answer"; readonly vote: number; readonly accept: true }
  | {
      readonly type: "answer";
      readonly vote: number;
      readonly accept: false;
      readonly reason: string;
    };

/** What a server of sessions counts (A16). */
export const SESSION_COUNTS = [
  "served", // sessions, protected or not
  "withoutReplica", // of these: no other member holds them
  "beyondLimit", // of these: their log was full
  "untold", // of these: the session program had no room for them
  "held", // sessions of others that this server could go on with
  "replicas", // other members that hear of its sessions
  "others", // other members
  "waitingBytes", // for replicas, in this process
  "lagMs", // age of the oldest thing that a replica has not acknowledged
  "takenOver", // since the start, as those below
  "lost", // at a takeover: the client was gone, or could not be reached, or no member had the session
  "abandoned", // left to a member that took over while this one could not be heard
] as const;
/** With k of the other members holding a session (docs/adr/0033). Absent: the server is older. */
export const SESSION_SPREAD = [
  "wanted", // k; absent: all of them
  "underReplicated", // sessions that fewer members hold
  "noted", // sessions of others of which this server knows only that they are there
  "fetched", // sessions that fell to it and that it had to get from another member first, since the start
] as const;
/** Absent: none measured yet. Of the last thousand: from something told until every replica held it; from a takeover's begin to the socket. */
export const SESSION_TIMES = [
  ...["commitMedianMs", "commitHighMs"],
  ...["pauseMedianMs", "pauseWorstMs"],
] as readonly ("commitMedianMs" | "commitHighMs" | "pauseMedianMs" | "pauseWorstMs")[];

type Optional = (typeof SESSION_TIMES | typeof SESSION_SPREAD)[number];

export type SessionFigures = Readonly<Record<(typeof SESSION_COUNTS)[number], number>> &
  Readonly<Partial<Record<Optional, number>>>;

/** From a server of sessions, every now and then, to an agent whose welcome takes reports. */
export interface SessionReport {
  readonly type: "session-report";
  readonly figures: SessionFigures;
}

export type FromApplication = Hello | Answer | SessionReport;
