// A connection is accepted: B7's plainest check. It is closed again at once, without a word.
import { connect } from "node:net";
import type { CheckResult } from "#core/health/check.ts";
import { attempt, type AttemptLimits } from "./attempt.ts";

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  /** The address that the node asks from; absent: what the kernel chooses. */
  readonly source?: string;
}

export interface TcpProbe extends Endpoint {
  readonly type: "tcp";
}

/** As sockets of node:net and node:http want it. */
export const connectOptions = ({ address, port, source }: Endpoint) => ({
  host: address,
  port,
  ...(source === undefined ? {} : { localAddress: source }),
});

export function probeTcp(probe: TcpProbe, limits: AttemptLimits): Promise<CheckResult> {
  return attempt(limits, ({ found, failed }) => {
    const socket = connect(connectOptions(probe));
    socket.once("connect", () => found(true, "connected"));
    socket.on("error", failed);
    return () => socket.destroy();
  });
}
