// The part of `pan status` about connections that outlive their member (A16): which are protected, how well, and what was taken over.
import type { Status } from "#api/contract.ts";
import { formatDuration } from "./quantity.ts";
import type { Column } from "./table.ts";

type Sessions = Status["sessions"][number];

export const SESSION_COLUMNS: readonly Column[] = [
  { title: "SERVER" },
  { title: "SERVED", align: "right" },
  { title: "UNPROTECTED", align: "right" },
  { title: "HELD", align: "right" },
  { title: "REPLICAS", align: "right" },
  { title: "LAG", align: "right" },
  { title: "COMMIT", align: "right" },
  { title: "TAKEN OVER", align: "right" },
  { title: "PAUSE", align: "right" },
];

/** A few milliseconds matter here. */
const short = (ms: number): string => (ms < 100 ? `${ms.toFixed(1)} ms` : formatDuration(ms));

const range = (usual: number | undefined, most: number | undefined): string =>
  usual === undefined || most === undefined ? "–" : `${short(usual)} … ${short(most)}`;

export const sessionRow = (of: Sessions): readonly string[] => [
  of.application,
  String(of.served),
  String(of.withoutReplica + of.beyondLimit + of.untold),
  String(of.held),
  `${of.replicas} of ${of.others}${of.wanted === undefined ? "" : `, ${of.wanted} each`}`,
  short(of.lagMs),
  range(of.commitMedianMs, of.commitHighMs),
  String(of.takenOver),
  range(of.pauseMedianMs, of.pauseWorstMs),
];

/** A report that old says that its server hangs; they come each second. */
const OLD_REPORT_MS = 10_000;

/** A machine that is not among most of those that were together last serves no session, however well it runs (docs/adr/0029). */
export const silence = ({ sessionsMaySpeak, together }: Status["membership"]): readonly string[] =>
  sessionsMaySpeak
    ? []
    : [`  silent: sessions speak where most of ${together.join(", ")} are, who were together last`];

/** What an operator is to know besides, a line each. */
export function sessionRemarks(all: readonly Sessions[]): string[] {
  return all.flatMap((of) => {
    const remarks: [boolean, string][] = [
      [
        of.withoutReplica > 0,
        `${of.withoutReplica} unprotected: no other member holds them (the server runs on ${of.replicas} of ${of.others} others)`,
      ],
      [
        (of.underReplicated ?? 0) > 0,
        `${of.underReplicated} under-replicated: fewer than ${of.wanted} other members hold them`,
      ],
      [
        of.beyondLimit > 0,
        `${of.beyondLimit} unprotected: more input came than is kept of a session`,
      ],
      [of.untold > 0, `${of.untold} unprotected: the session program had no room when they began`],
      [
        of.lost > 0,
        `${of.lost} lost at a takeover: their client was gone or silent, or no member had them`,
      ],
      [
        of.abandoned > 0,
        `${of.abandoned} left to members that took over while this one was not heard`,
      ],
      [of.reportedMs > OLD_REPORT_MS, `has said nothing for ${formatDuration(of.reportedMs)}`],
    ];
    return remarks.flatMap(([holds, text]) => (holds ? [`  ${of.application}: ${text}`] : []));
  });
}
