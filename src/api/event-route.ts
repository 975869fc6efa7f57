// The questions about events as the API understands them: words of a query become types and numbers, or a refusal that says what is wrong.
import type { FastifyInstance } from "fastify";
import { PanError } from "#base/error-codes.ts";
import { EVENT_TYPES, type EventType, isEventType } from "./event-catalogue.ts";
import { type EventSource, requireRoom, streamEvents } from "./event-stream.ts";
import type { Output } from "./contract.ts";
import { type EventQuery, FollowQuery, MAX_EVENTS } from "./events.ts";
import { FOLLOW_EVENTS } from "./routes.ts";

/** Errors: PAN_REQUEST_INVALID. */
function typesIn(text: string | undefined): EventType[] {
  return (text?.split(",") ?? []).map((word) => {
    if (isEventType(word)) return word;
    const message = `There is no event type "${word}"; there are ${EVENT_TYPES.join(", ")}`;
    throw new PanError("PAN_REQUEST_INVALID", message);
  });
}

export function listEvents(source: EventSource, query: EventQuery): Output<"events"> {
  const limit = Math.min(Number(query.limit ?? MAX_EVENTS), MAX_EVENTS);
  const newest = query.newest === "true";
  const found = source.read({
    after: Number(query.after ?? 0),
    types: typesIn(query.types),
    limit: limit + 1,
    newest,
    ...(query.since === undefined ? {} : { sinceMs: Date.parse(query.since) }),
  });
  const events = newest ? found.slice(-limit) : found.slice(0, limit);
  const { last, status } = source;
  return { events, last, more: found.length > limit, dropped: status.dropped };
}

export function followEvents(app: FastifyInstance, source: EventSource): void {
  app.get<{ Querystring: FollowQuery }>(
    FOLLOW_EVENTS,
    {
      schema: {
        operationId: "followEvents",
        summary: "Events as they happen, one JSON object a line; does not end",
        querystring: FollowQuery,
      },
    },
    async (request, reply) => {
      const types = typesIn(request.query.types);
      requireRoom(source);
      const after = Number(request.query.after ?? source.last);
      reply.hijack();
      await streamEvents(source, reply.raw, { after, types }).ended;
    },
  );
}
