// A request is answered with an expected status and, where asked for, an expected text (B7). A new connection each time: what is checked
// is what a new client meets. Redirects are answers, and are not followed.
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { CheckResult } from "#core/health/check.ts";
import { attempt, type Attempt, type AttemptLimits } from "./attempt.ts";
import { connectOptions, type Endpoint } from "./tcp-probe.ts";

export interface HttpProbe extends Endpoint {
  readonly type: "http";
  readonly path: string;
  /** Host header; absent: the address. */
  readonly host?: string;
  /** Expected statuses, ends included. */
  readonly status: readonly { readonly from: number; readonly to: number }[];
  /** Expected in the first 64 KiB of the answer. */
  readonly body?: string;
  /** Over TLS; `verify`: the certificate must be valid. */
  readonly tls?: { readonly verify: boolean };
}

/** Of the answer; the rest is not read. */
export const MAX_BODY_BYTES = 65_536;

export function probeHttp(probe: HttpProbe, limits: AttemptLimits): Promise<CheckResult> {
  return attempt(limits, (report) => {
    const request = open(probe);
    request.on("response", (response) => judge(probe, response, report));
    request.on("error", report.failed);
    request.end();
    return () => request.destroy();
  });
}

function open(probe: HttpProbe): ReturnType<typeof httpRequest> {
  const { path, host, tls } = probe;
  const options = {
    ...connectOptions(probe),
    path,
    agent: false,
    headers: {
      "user-agent": "panoply-health",
      connection: "close",
      ...(host === undefined ? {} : { host }),
    },
  } as const;
  if (tls === undefined) return httpRequest(options);
  const name = host === undefined ? undefined : serverName(host);
  return httpsRequest({
    ...options,
    rejectUnauthorized: tls.verify,
    ...(name === undefined ? {} : { servername: name }),
  });
}

/** The Host header without its port. An address is no server name (RFC 6066 section 3). */
function serverName(host: string): string | undefined {
  const name = host.startsWith("[") ? "" : host.replace(/:\d+$/, "");
  return name === "" || /^[\d.]+$/.test(name) ? undefined : name;
}

function judge(
  { status, body }: HttpProbe,
  response: IncomingMessage,
  { found, failed }: Attempt,
): void {
  const { statusCode = 0 } = response;
  const isExpected = status.some(({ from, to }) => statusCode >= from && statusCode <= to);
  if (!isExpected) return found(false, `status ${statusCode}`);
  if (body === undefined) return found(true, `status ${statusCode}`);
  const wanted = Buffer.from(body);
  let seen = Buffer.alloc(0);
  response.on("error", failed);
  response.on("data", (piece: Buffer) => {
    seen = Buffer.concat([seen, piece.subarray(0, MAX_BODY_BYTES - seen.length)]);
    if (seen.includes(wanted)) found(true, `status ${statusCode}, expected text`);
    else if (seen.length >= MAX_BODY_BYTES) found(false, "the expected text is not in the answer");
  });
  response.once("end", () => found(false, "the expected text is not in the answer"));
}
