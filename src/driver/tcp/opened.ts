// What the session program saw when a connection began, as the record that goes to its replicas (A16).
import type { ConnectionNumber, Opened } from "#wire/takeover/message.ts";
import type { OpenedEvent } from "../bpf/session-program.ts";

/** Bytes that timestamps take in every segment (RFC 7323 appendix A). */
const TIMESTAMPS_LENGTH = 12;

export function openedMessage(connection: ConnectionNumber, event: OpenedEvent): Opened {
  const { sendNext, receiveNext, scaling, timestamps, sack } = event;
  return {
    type: "opened",
    connection,
    generation: 0,
    initial: {
      key: event.key,
      mss: event.mss - (timestamps ? TIMESTAMPS_LENGTH : 0),
      mssWithOptions: event.mss,
    },
    essential: {
      flags: {
        noDelay: true,
        noOptions: !timestamps && !sack && !scaling,
        windowScalingRequested: scaling,
        windowScalingReceived: scaling,
        timestampsRequested: timestamps,
        timestampsReceived: timestamps,
        sackPermitted: sack,
      },
      sendNext,
      wl1: receiveNext,
      wl2: sendNext,
      sendWindow: 0,
      receiveNext,
      // Not scaled in a segment with SYN.
      receiveAdvertised: (receiveNext + event.window) >>> 0,
      sendScale: event.sendScale,
      receiveScale: event.receiveScale,
      recentTimestamp: 0,
    },
    clock: { value: event.timestamp, readAtMs: Number(event.atNs / 1_000_000n) },
  };
}
