// Metrics of connections that outlive their member (A16), by the server that serves them.
import type { Family } from "./metrics.ts";
import type { SessionsStatus } from "./sessions.ts";

type Value = (of: SessionsStatus) => number | undefined;

const seconds =
  (value: Value): Value =>
  (of) => {
    const ms = value(of);
    return ms === undefined ? undefined : ms / 1000;
  };

const PLAIN: readonly (readonly [string, Family["type"], string, Value])[] = [
  ["panoply_sessions", "gauge", "Sessions that the server serves", (of) => of.served],
  [
    "panoply_sessions_held",
    "gauge",
    "Sessions of others that it could go on with",
    (of) => of.held,
  ],
  ["panoply_session_replicas", "gauge", "Members that hear of its sessions", (of) => of.replicas],
  [
    ...(["panoply_session_replicas_wanted", "gauge"] as const),
    "Other members, each of which should hear of them",
    (of) => of.others,
  ],
  [
    ...(["panoply_session_holders_wanted", "gauge"] as const),
    "Other members that are to hold each session",
    (of) => of.wanted ?? of.others,
  ],
  [
    ...(["panoply_sessions_under_replicated", "gauge"] as const),
    "Sessions that fewer members hold than are to",
    (of) => of.underReplicated,
  ],
  [
    ...(["panoply_sessions_noted", "gauge"] as const),
    "Sessions of others that it knows of, and would get from another member first",
    (of) => of.noted,
  ],
  [
    ...(["panoply_sessions_fetched_total", "counter"] as const),
    "Sessions that fell to the server and that it had to get from another member first",
    (of) => of.fetched,
  ],
  [
    ...(["panoply_session_lag_seconds", "gauge"] as const),
    "Age of the oldest thing that a replica has not acknowledged",
    seconds((of) => of.lagMs),
  ],
  [
    ...(["panoply_session_waiting_bytes", "gauge"] as const),
    "Bytes that wait for replicas in the server",
    (of) => of.waitingBytes,
  ],
  [
    ...(["panoply_session_commit_median_seconds", "gauge"] as const),
    "From something told until a replica held it, median of the last thousand",
    seconds((of) => of.commitMedianMs),
  ],
  [
    ...(["panoply_session_commit_p99_seconds", "gauge"] as const),
    "From something told until a replica held it, 99th percentile of the last thousand",
    seconds((of) => of.commitHighMs),
  ],
  [
    ...(["panoply_session_takeovers_total", "counter"] as const),
    "Sessions that the server went on with",
    (of) => of.takenOver,
  ],
  [
    ...(["panoply_session_takeover_pause_median_seconds", "gauge"] as const),
    "From a takeover's begin until the session goes on, median of the last thousand",
    seconds((of) => of.pauseMedianMs),
  ],
  [
    ...(["panoply_session_takeover_pause_max_seconds", "gauge"] as const),
    "From a takeover's begin until the session goes on, longest of the last thousand",
    seconds((of) => of.pauseWorstMs),
  ],
  [
    ...(["panoply_sessions_lost_total", "counter"] as const),
    "Sessions whose client was gone or silent at the takeover, or that no member had",
    (of) => of.lost,
  ],
  [
    ...(["panoply_sessions_abandoned_total", "counter"] as const),
    "Sessions left to a member that took over while this one was not heard",
    (of) => of.abandoned,
  ],
];

const UNPROTECTED = [
  ["no-replica", "withoutReplica"],
  ["limit", "beyondLimit"],
  ["untold", "untold"],
] as const;

export function sessionFamilies(sessions: readonly SessionsStatus[]): Family[] {
  const plain = PLAIN.map(([name, type, help, value]): Family => {
    const samples = sessions.flatMap((of) => {
      const measured = value(of);
      const labels = { application: of.application };
      return measured === undefined ? [] : [{ labels, value: measured }];
    });
    return { name, type, help, samples };
  });
  const unprotected = sessions.flatMap((of) =>
    UNPROTECTED.map(([reason, field]) => ({
      labels: { application: of.application, reason },
      value: of[field],
    })),
  );
  return [
    ...plain,
    {
      ...{ name: "panoply_sessions_unprotected", type: "gauge" },
      ...{ help: "Sessions that no other member could go on with, by reason" },
      samples: unprotected,
    },
  ];
}
