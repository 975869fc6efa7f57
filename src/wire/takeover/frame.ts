// Bytes ↔ messages of the replication stream. Every field is checked on decoding.
import { ByteReader, ByteWriter } from "../byte-cursor.ts";
import { counter as readOffset, putCounter as putOffset } from "../cluster/field.ts";
import { FRAME_HEADER_LENGTH, FrameDecoder, type FrameReceived, Framing } from "../framing.ts";
import { MAX_NODE_ID, type NodeId, nodeId } from "#base/ids.ts";
import type { CopyMessage, RefusalReason, ReplicationMessage } from "./message.ts";
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

/** What of an owner's messages may be passed on. */
const COPIED: readonly CopyMessage["type"][] = [
  ...(["opened", "snapshot", "progress", "input", "output", "input-ended"] as const),
  ...(["output-ended", "whole"] as const),
];

type Type = ReplicationMessage["type"];
export type ReplicationReceived = FrameReceived<ReplicationMessage>;

function encode(message: ReplicationMessage): Uint8Array {
  const out = new ByteWriter();
  if (message.type === "acknowledged") {
    putOffset(out, message.messages);
    return out.written();
  }
  if (message.type === "present" || message.type === "relied") {
    out.u32(message.asked);
    if (message.type === "relied") out.u32(message.forMs);
    return out.written();
  }
  if (message.type === "passed") {
    out.u16(message.owner);
    out.u8(COPIED.indexOf(message.message.type));
    out.put(encode(message.message));
    return out.written();
  }
  out.u32(message.connection);
  switch (message.type) {
    case "opened":
    case "noted":
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
    case "wanted":
    case "lacking":
      out.u16(message.owner);
      break;
    case "closed":
    case "handed":
    case "whole":
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

function readNode(bytes: ByteReader): NodeId | undefined {
  const id = bytes.u16();
  return id === 0 || id > MAX_NODE_ID ? undefined : nodeId(id);
}

function readPassed(bytes: ByteReader): ReplicationMessage | undefined {
  const owner = readNode(bytes);
  const type = COPIED[bytes.u8()];
  if (owner === undefined || type === undefined) return undefined;
  const message = read(type, bytes) as CopyMessage | undefined;
  return message === undefined ? undefined : { type: "passed", owner, message };
}

function read(type: Type, bytes: ByteReader): ReplicationMessage | undefined {
  if (type === "acknowledged") {
    const messages = readOffset(bytes);
    return messages === undefined ? undefined : { type, messages };
  }
  if (type === "passed") return readPassed(bytes);
  if (type === "present") return { type, asked: bytes.u32() };
  if (type === "relied") return { type, asked: bytes.u32(), forMs: bytes.u32() };
  const connection = bytes.u32();
  switch (type) {
    case "opened":
    case "noted": {
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
    case "wanted":
    case "lacking": {
      const owner = readNode(bytes);
      return owner === undefined ? undefined : { type, connection, owner };
    }
    case "closed":
    case "handed":
    case "whole":
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
    { type: "noted", code: 12, maxPayload: 128 },
    { type: "whole", code: 13, maxPayload: 4 },
    { type: "wanted", code: 14, maxPayload: 6 },
    { type: "passed", code: 15, maxPayload: MAX_PAYLOAD },
    { type: "lacking", code: 16, maxPayload: 6 },
    { type: "present", code: 17, maxPayload: 4 },
    { type: "relied", code: 18, maxPayload: 8 },
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
