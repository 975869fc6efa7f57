// Framing of the control channel between master and members: which frames there are and how long each may be.
import {
  FRAME_HEADER_LENGTH,
  FrameDecoder,
  type FrameFailure,
  type FrameReceived,
  Framing,
} from "../framing.ts";
import { MAX_HEALTH_REPORT } from "./health-report.ts";
import { MAX_FLOW_REPORT } from "./flow-report.ts";
import type { ControlMessage } from "./message.ts";
import { decodePayload, encodePayload } from "./payload.ts";
import { MAX_SLOT_REPORT } from "./slot-report.ts";

export const CONTROL_VERSION = 1;
export const CONTROL_HEADER_LENGTH = FRAME_HEADER_LENGTH;
/** Longest frame, header included. */
export const MAX_CONTROL_FRAME = 16 * 1024 * 1024;

export type ControlReceived = FrameReceived<ControlMessage>;
export type ControlFailure = FrameFailure;

const CONTROL = new Framing<ControlMessage>({
  version: CONTROL_VERSION,
  maxFrame: MAX_CONTROL_FRAME,
  kinds: [
    { type: "hello", code: 1, maxPayload: 1024 },
    { type: "group-key", code: 2, maxPayload: 128 },
    { type: "config", code: 3, maxPayload: 4 * 1024 * 1024 },
    { type: "config-ack", code: 4, maxPayload: 1024 },
    { type: "tables", code: 5, maxPayload: MAX_CONTROL_FRAME - CONTROL_HEADER_LENGTH },
    { type: "tables-ack", code: 6, maxPayload: 1024 },
    { type: "tables-wanted", code: 7, maxPayload: 1024 },
    { type: "request", code: 8, maxPayload: 1024 * 1024 },
    { type: "response", code: 9, maxPayload: 8 * 1024 * 1024 },
    { type: "ping", code: 10, maxPayload: 4 },
    { type: "pong", code: 11, maxPayload: 4 },
    { type: "slot-report", code: 12, maxPayload: MAX_SLOT_REPORT },
    { type: "health-report", code: 13, maxPayload: MAX_HEALTH_REPORT },
    { type: "slots-wanted", code: 14, maxPayload: 512 * 1024 },
    { type: "flow-report", code: 15, maxPayload: MAX_FLOW_REPORT },
  ],
  encode: encodePayload,
  decode: decodePayload,
});

/** The whole frame. Undefined when the message is longer than its type may be. */
export const encodeControl = (message: ControlMessage): Uint8Array | undefined =>
  CONTROL.encode(message);

/** Cuts the stream of a control connection into messages; after a failure it takes nothing more. */
export const controlDecoder = (): FrameDecoder<ControlMessage> => new FrameDecoder(CONTROL);
