// Bytes ↔ messages of the replication stream. Every field is checked on decoding.
import { ByteReader, ByteWriter } from "../byte-cursor.ts";
import { counter as readOffset, putCounter as putOffset } from "../cluster/field.ts";
import { FRAME_HEADER_LENGTH, FrameDecoder, type FrameReceived, Framing } from "../framing.ts";
import type { RefusalReason, ReplicationMessage } from "./message.ts";
import {
  putClock,
  putEssential,
  putInitial,
  readClock,
  readEssential,
  readInitial,
} from "./record.ts";

export const REPLICATION_VERSION = 1;
/** Of input, output or a snapshot in one frame; streams are cut into pieces. */
export const MAX_PIECE = 64 * 1024;
const MAX_PAYLOAD = 64 + MAX_PIECE;
const REASONS: readonly RefusalReason[] = ["connections", "bytes", "contradiction"];

type Type = ReplicationMessage["type"];
export type ReplicationReceived = FrameReceived<ReplicationMessage>;

function encode(message: ReplicationMessage): Uint8Array {
  const out = new ByteWriter();
  if (message.type === "acknowledged") {
    putOffset(out, message.messages);
    return out.written();
  }
  out.u32(message.connection);
  switch (message.type) {
    case "opened":
      putInitial(out, message.initial);
      putEssential(out, message.essential);
      putClock(out, message.clock);
      out.u16(message.generation);
      break;
    case "progress":
      putOffset(out, message.inputOffset);
      putOffset(out, message.outputOffset);
      putEssential(out, message.essential);
      putClock(out, message.clock);
      break;
    case "input":
    case "output":
      putOffset(out, message.offset);
      out.put(message.bytes);
      break;
    case "input-ended":
    case "output-ended":
      putOffset(out, message.offset);
      break;
    case "snapshot":
      putOffset(out, message.snapshot.inputOffset);
      putOffset(out, message.snapshot.outputOffset);
      out.put(message.snapshot.bytes);
      break;
    case "refused":
      out.u8(REASONS.indexOf(message.reason));
      break;
    case "closed":
    case "handed":
      break;
  }
  return out.written();
}

function readStates(bytes: ByteReader): Pick<Progress, "essential" | "clock"> | undefined {
  const essential = readEssential(bytes);
  const clock = readClock(bytes);
  return essential === undefined || clock === undefined ? undefined : { essential, clock };
}

type Progress = Extract<ReplicationMessage, { type: "progress" }>;

/** Two offsets. */
function readPlace(bytes: ByteReader): { inputOffset: number; outputOffset: number } | undefined {
  const [inputOffset, outputOffset] = [readOffset(bytes), readOffset(bytes)];
  if (inputOffset === undefined || outputOffset === undefined) return undefined;
  return { inputOffset, outputOffset };
}

const readRest = (bytes: ByteReader): Uint8Array => bytes.take(bytes.remaining);

function read(type: Type, bytes: ByteReader): ReplicationMessage | undefined {
  if (type === "acknowledged") {
    const messages = readOffset(bytes);
    return messages === undefined ? undefined : { type, messages };
  }
  const connection = bytes.u32();
  switch (type) {
    case "opened": {
      const initial = readInitial(bytes);
      const states = readStates(bytes);
      if (initial === undefined || states === undefined) return undefined;
      return { type, connection, generation: bytes.u16(), initial, ...states };
    }
    case "progress": {
      const place = readPlace(bytes);
      const states = readStates(bytes);
      if (place === undefined || states === undefined) return undefined;
      return { type, connection, ...place, ...states };
    }
    case "input":
    case "output": {
      const offset = readOffset(bytes);
      const piece = readRest(bytes);
      if (offset === undefined || piece.byteLength === 0) return undefined;
      return { type, connection, offset, bytes: piece };
    }
    case "input-ended":
    case "output-ended": {
      const offset = readOffset(bytes);
      return offset === undefined ? undefined : { type, connection, offset };
    }
    case "snapshot": {
      const place = readPlace(bytes);
      if (place === undefined) return undefined;
      return { type, connection, snapshot: { ...place, bytes: readRest(bytes) } };
    }
    case "refused": {
      const reason = REASONS[bytes.u8()];
      return reason === undefined ? undefined : { type, connection, reason };
    }
    case "closed":
    case "handed":
      return { type, connection };
  }
}

function decode(type: Type, payload: Uint8Array): ReplicationMessage | undefined {
  const bytes = new ByteReader(payload);
  const message = read(type, bytes);
  return bytes.short || bytes.remaining > 0 ? undefined : message;
}

const REPLICATION = new Framing<ReplicationMessage>({
  version: REPLICATION_VERSION,
  maxFrame: FRAME_HEADER_LENGTH + MAX_PAYLOAD,
  kinds: [
    { type: "opened", code: 1, maxPayload: 128 },
    { type: "progress", code: 2, maxPayload: 128 },
    { type: "input", code: 3, maxPayload: MAX_PAYLOAD },
    { type: "output", code: 4, maxPayload: MAX_PAYLOAD },
    { type: "input-ended", code: 5, maxPayload: 12 },
    { type: "output-ended", code: 6, maxPayload: 12 },
    { type: "snapshot", code: 7, maxPayload: MAX_PAYLOAD },
    { type: "closed", code: 8, maxPayload: 4 },
    { type: "handed", code: 9, maxPayload: 4 },
    { type: "acknowledged", code: 10, maxPayload: 8 },
    { type: "refused", code: 11, maxPayload: 5 },
  ],
  encode,
  decode,
});

/** The whole frame. Undefined when it would be too long: a piece of more than MAX_PIECE. */
export const encodeReplication = (message: ReplicationMessage): Uint8Array | undefined =>
  REPLICATION.encode(message);

/** Cuts a replication stream into messages; after a failure it takes nothing more. */
export const replicationDecoder = (): FrameDecoder<ReplicationMessage> =>
  new FrameDecoder(REPLICATION);
