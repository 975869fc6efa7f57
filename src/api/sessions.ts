// What `pan status` shows of servers on this machine whose connections outlive their member (A16).
import { type Static, Type } from "typebox";

const count = (description: string) => Type.Integer({ minimum: 0, description });
const ms = (description: string) => Type.Number({ minimum: 0, description });

export const SessionsStatus = Type.Object(
  {
    application: Type.String({ description: "Name under which the server is connected" }),
    reportedMs: Type.Integer({ description: "Milliseconds since it said this" }),
    served: count("Sessions that it serves, protected or not"),
    withoutReplica: count("Of these: no other member holds them"),
    beyondLimit: count("Of these: more input came than is kept of a session"),
    untold: count("Of these: the session program had no room for them when they began"),
    held: count("Sessions of other members that it could go on with"),
    noted: Type.Optional(
      count("Sessions of other members that it knows of, and would get from another one first"),
    ),
    wanted: Type.Optional(
      count("Other members that are to hold each of its sessions; absent: all of them"),
    ),
    underReplicated: Type.Optional(count("Of those that it serves: fewer members hold them")),
    replicas: count("Other members that hear what happens on its sessions"),
    others: count("Other members"),
    waitingBytes: count("Bytes that wait for other members in the server"),
    lagMs: ms("Age of the oldest thing that another member has not acknowledged"),
    takenOver: count("Sessions that it went on with, since it started"),
    fetched: Type.Optional(
      count("Sessions that fell to it and that it had to get from another member first"),
    ),
    lost: count(
      "Sessions that it could not go on with: their client was gone or silent, or no member had them",
    ),
    abandoned: count("Sessions that another member took over while this one could not be heard"),
    commitMedianMs: Type.Optional(
      ms("From something told until another member held it: the median of the last thousand"),
    ),
    commitHighMs: Type.Optional(ms("The same: 99 of a hundred were not longer")),
    pauseMedianMs: Type.Optional(
      ms("From the begin of a takeover until the session goes on: the median of the last thousand"),
    ),
    pauseWorstMs: Type.Optional(ms("The same: the longest")),
  },
  { title: "SessionsStatus" },
);
export type SessionsStatus = Static<typeof SessionsStatus>;
