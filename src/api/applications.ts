// What `pan apps` shows: the applications that this node's agent tells what happens (A10), and its hooks.
import { type Static, Type } from "typebox";
import { Count } from "./shapes.ts";

export const ApplicationsStatus = Type.Object(
  {
    socket: Type.String({ description: "Where applications connect" }),
    applications: Type.Array(
      Type.Object({
        name: Type.String(),
        votes: Type.Boolean({ description: "Whether it is asked before a node joins" }),
        connectedMs: Type.Integer({ description: "Milliseconds since it connected" }),
        events: Type.Integer({ description: "Events it was told" }),
        asked: Type.Integer({ description: "Votes it was asked for" }),
        answered: Type.Integer({ description: "Votes it answered in time" }),
        queuedBytes: Type.Integer({ description: "Bytes that it has not read yet" }),
      }),
      { description: "Connected now" },
    ),
    hooks: Type.Object({
      folder: Type.String(),
      files: Type.Array(
        Type.Object({
          file: Type.String(),
          use: Type.Union([Type.Literal("events"), Type.Literal("votes"), Type.Literal("refused")]),
          problem: Type.Optional(Type.String({ description: "Why it is not run" })),
        }),
      ),
      waiting: Type.Integer({ description: "Events that wait for hooks" }),
    }),
    counts: Type.Array(Count, { description: "Since the agent started, by reason" }),
  },
  { title: "ApplicationsStatus" },
);
export type ApplicationsStatus = Static<typeof ApplicationsStatus>;
