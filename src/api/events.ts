// The shapes of the event log in the contract. What each type of event carries is in event-catalogue.ts.
import { type Static, Type } from "typebox";

/** Most events of one answer. */
export const MAX_EVENTS = 1000;

const Types = Type.Optional(
  Type.String({
    pattern: "^[a-z-]+(,[a-z-]+)*$",
    maxLength: 1000,
    description: "Only events of these types, separated by commas",
  }),
);
const After = Type.Optional(
  Type.String({ pattern: "^[0-9]{1,15}$", description: "Only events with a higher `seq`" }),
);

export const EventQuery = Type.Object(
  {
    after: After,
    since: Type.Optional(
      Type.String({ format: "date-time", description: "Only events from then on" }),
    ),
    types: Types,
    limit: Type.Optional(
      Type.String({
        pattern: "^[1-9][0-9]{0,3}$",
        description: `At most ${MAX_EVENTS}; the default`,
      }),
    ),
    newest: Type.Optional(
      Type.Literal("true", { description: "The newest ones, where there are more than `limit`" }),
    ),
  },
  { title: "EventQuery", additionalProperties: false },
);
export type EventQuery = Static<typeof EventQuery>;

export const FollowQuery = Type.Object(
  { after: After, types: Types },
  { title: "FollowQuery", additionalProperties: false },
);
export type FollowQuery = Static<typeof FollowQuery>;

export const EventsStatus = Type.Object(
  {
    kept: Type.Integer({ description: "Events in the store" }),
    dropped: Type.Integer({ description: "Events that made room for later ones, ever" }),
    lost: Type.Integer({
      description: "Events since the start that could not be kept: too many, too long, disk",
    }),
    followers: Type.Integer({ description: "Clients that follow now" }),
  },
  { title: "EventsStatus" },
);

export const EventList = Type.Object(
  {
    events: Type.Array(
      Type.Object(
        {
          seq: Type.Integer({ description: "Rises by one with every event of this node" }),
          at: Type.String({ description: "Time of day, ISO 8601" }),
          type: Type.String(),
          cause: Type.Optional(Type.String()),
        },
        { title: "Event", additionalProperties: true, description: "In the order of `seq`" },
      ),
    ),
    last: Type.Integer({ description: "`seq` of the newest event of all" }),
    more: Type.Boolean({ description: "There are more than `limit`; ask again with `after`" }),
    dropped: Type.Integer({ description: "Older events that are not kept any more" }),
  },
  { title: "EventList" },
);
