// A datagram is answered (B7). The socket is connected, so that an ICMP error ("port unreachable") is heard at once and nobody else's
// datagrams count.
import { createSocket } from "node:dgram";
import type { CheckResult } from "#core/health/check.ts";
import { attempt, type AttemptLimits } from "./attempt.ts";
import type { Endpoint } from "./tcp-probe.ts";

export interface UdpProbe extends Endpoint {
  readonly type: "udp";
  readonly send: string;
  /** Expected in the answer; absent: any answer will do. */
  readonly expect?: string;
}

export function probeUdp(probe: UdpProbe, limits: AttemptLimits): Promise<CheckResult> {
  const { address, port, source, send, expect } = probe;
  return attempt(limits, ({ found, failed }) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    let isOpen = true;
    socket.on("error", failed);
    socket.on("message", (answer) => {
      if (expect === undefined || answer.includes(expect)) found(true, "answered");
      else found(false, "the expected text is not in the answer");
    });
    const ask = (): void => {
      socket.connect(port, address, () => {
        // the limit may have ended it meanwhile
        if (isOpen) socket.send(send, (error) => error !== null && failed(error));
      });
    };
    if (source === undefined) ask();
    else socket.bind({ address: source, exclusive: true }, ask);
    return () => {
      isOpen = false;
      socket.close();
    };
  });
}
