// Turns failures into what a client may see: a code, a message and an HTTP status, never a stack trace.
import { ERROR_CODES, type ErrorCode, PanError } from "#base/error-codes.ts";
import type { Problem } from "./shapes.ts";

/** HTTP status by code; every other code is 500. */
export const HTTP_STATUS: Partial<Record<ErrorCode, number>> = {
  PAN_REQUEST_INVALID: 400,
  PAN_CONFIG_INVALID: 400,
  PAN_CONFIG_UNREADABLE: 400,
  PAN_NOT_ROOT: 403,
  PAN_NOT_FOUND: 404,
  PAN_CONFLICT: 409,
  PAN_NODE_EXISTS: 409,
  PAN_NOT_MASTER: 503,
  PAN_TOO_MANY_FOLLOWERS: 503,
};

export interface Answer {
  readonly status: number;
  readonly problem: Problem;
  /** The agent's own fault: its log must tell what the client is not told. */
  readonly internal: boolean;
}

const isClientStatus = (status: unknown): status is number =>
  typeof status === "number" && status >= 400 && status < 500;

/** What a client is told about anything that was thrown while its request was handled. */
export function answerFor(error: unknown): Answer {
  if (error instanceof PanError) {
    const { code, message } = error;
    return { status: HTTP_STATUS[code] ?? 500, problem: { code, message }, internal: false };
  }
  // Fastify marks what the client did wrong (schema, size, media type) with a 4xx status of its own.
  if (error instanceof Error && "statusCode" in error && isClientStatus(error.statusCode)) {
    const problem = {
      code: "PAN_REQUEST_INVALID",
      message: `Cannot accept the request: ${error.message}`,
    };
    return { status: error.statusCode, problem, internal: false };
  }
  const problem = { code: "PAN_INTERNAL", message: ERROR_CODES.PAN_INTERNAL };
  return { status: 500, problem, internal: true };
}

const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === "string" && Object.hasOwn(ERROR_CODES, code);

/** The error that a client throws for a failed answer; a newer agent's unknown code stays readable. */
export function errorFrom(status: number, body: unknown): PanError {
  const { code, message } = (body ?? {}) as { code?: unknown; message?: unknown };
  const text = typeof message === "string" ? message : `The agent answered with status ${status}.`;
  if (isErrorCode(code)) return new PanError(code, text);
  return new PanError("PAN_INTERNAL", typeof code === "string" ? `${text} (${code})` : text);
}
