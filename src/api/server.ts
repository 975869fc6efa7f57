// Serves the contract on a Unix socket. Who may open the socket may do everything: there is no login,
// so the socket belongs to root, and its folder must not be writable by others.
import { fastify, type FastifyInstance, type FastifyReply } from "fastify";
import swagger from "@fastify/swagger";
import { PanError } from "#base/error-codes.ts";
import type { AgentPort } from "./agent-port.ts";
import { CONTRACT, type Operation, Problem, type Route } from "./contract.ts";
import { followEvents } from "./event-route.ts";
import { METRICS_TYPE, renderMetrics } from "./metrics.ts";
import { answerFor } from "./problem.ts";
import { claimSocket } from "./socket-file.ts";

/** Largest request body, in bytes; a configuration is the only large thing that is ever sent. */
const MAX_BODY_BYTES = 64 * 1024;
const MAX_CONFIG_BODY_BYTES = 16 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 64;

export interface ApiServerOptions {
  /** An absolute path; its folder is made when missing. */
  readonly socketPath: string;
  readonly port: AgentPort;
  /** Shown in the OpenAPI document. */
  readonly version?: string;
  /** Told of every fault that clients only see as PAN_INTERNAL. Default: one line on stderr. */
  readonly report?: (error: unknown) => void;
}

export interface ApiServer {
  /** Ends open requests and removes the socket. */
  close(): Promise<void>;
}

const reportToStderr = (error: unknown): void => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
};

/**
 * Listens on the socket, replacing one that a killed agent left behind.
 * Errors: PAN_AGENT_RUNNING when an agent answers there, PAN_SYSCALL when the socket cannot be made.
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const app = await buildApi(options);
  await claimSocket(options.socketPath, (path) => app.listen({ path }));
  return { close: () => app.close() };
}

/** The routes without a socket. */
export async function buildApi(
  options: Omit<ApiServerOptions, "socketPath">,
): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    // What the schema does not know is refused, not cut off or bent into shape.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  answerFailures(app, options.report ?? reportToStderr);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Panoply agent", version: options.version ?? "0" },
    },
  });
  for (const [operation, route] of Object.entries(CONTRACT) as [Operation, Route][]) {
    serve(app, operation, route, options.port);
  }
  followEvents(app, options.port.eventSource);
  app.get("/openapi.json", { schema: { hide: true } }, () => app.swagger());
  app.get("/metrics", { schema: { hide: true } }, async (_request, reply) => {
    const { port } = options;
    const text = await renderMetrics(await port.status({}), await port.applications({}));
    return reply.type(METRICS_TYPE).send(text);
  });
  await app.ready();
  return app;
}

function serve(app: FastifyInstance, operation: Operation, route: Route, port: AgentPort): void {
  const perform = port[operation].bind(port) as (input: unknown) => Promise<unknown>;
  app.route({
    method: route.method,
    url: route.path,
    bodyLimit: operation === "putConfig" ? MAX_CONFIG_BODY_BYTES : MAX_BODY_BYTES,
    schema: {
      operationId: operation,
      summary: route.summary,
      ...(route.params === undefined ? {} : { params: route.params }),
      ...(route.query === undefined ? {} : { querystring: route.query }),
      ...(route.body === undefined ? {} : { body: route.body }),
      response: { 200: route.reply, default: Problem },
    },
    handler: ({ params, query, body }) => perform({ params, query, body }),
  });
}

function answerFailures(app: FastifyInstance, report: (error: unknown) => void): void {
  app.setErrorHandler((error, _request, reply): FastifyReply => {
    const { status, problem, internal } = answerFor(error);
    if (internal) report(error);
    return reply.status(status).send(problem);
  });
  app.setNotFoundHandler(({ method, url }, reply) => {
    const error = new PanError("PAN_NOT_FOUND", `The agent has no ${method} ${url}.`);
    return reply.status(404).send(answerFor(error).problem);
  });
}
