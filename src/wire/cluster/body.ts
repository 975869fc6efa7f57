// The part of each cluster message that follows the header. One entry per type: its number on the wire, how
// it is written, how it is read. docs/reference/wire.md shows the same layouts as tables.
import type { ByteReader, ByteWriter } from "../byte-cursor.ts";
import * as field from "./field.ts";
import {
  EXIT_REASONS,
  MAX_REFUSAL_TEXT,
  MAX_ROSTER,
  type Message,
  REFUSAL_REASONS,
  type RosterEntry,
} from "./message.ts";

export type MessageType = Message["type"];
type Of<T extends MessageType> = Extract<Message, { type: T }>;

interface Body<T extends MessageType> {
  readonly code: number;
  write(out: ByteWriter, message: Of<T>): void;
  /** Undefined: not a valid message of this type, unless the reader has become `short`. */
  read(bytes: ByteReader): Of<T> | undefined;
}

/** Shortest and longest interval and count that make sense; anything else is malformed. */
const MAX_DETECTION_MS = 60_000;
const MAX_PER_INTERVAL = 20;
const MIN_ENTRY_LENGTH = 13;

const discovery = {
  "join-request": {
    code: 1,
    write(out, { request, epoch, config, mac }) {
      out.u32(request);
      field.putEpoch(out, epoch);
      field.putConfig(out, config);
      field.putMac(out, mac);
    },
    read: (bytes) => ({
      type: "join-request",
      request: bytes.u32(),
      epoch: bytes.u32(),
      config: field.config(bytes),
      mac: field.mac(bytes),
    }),
  },
  "join-accepted": {
    code: 2,
    write(out, { nonce, epoch, config }) {
      field.putNonce(out, nonce);
      field.putEpoch(out, epoch);
      field.putConfig(out, config);
    },
    read: (bytes) => ({
      type: "join-accepted",
      nonce: field.nonce(bytes),
      epoch: bytes.u32(),
      config: field.config(bytes),
    }),
  },
  "join-refused": {
    code: 3,
    write(out, { nonce, reason, text = "" }) {
      field.putNonce(out, nonce);
      out.u8(REFUSAL_REASONS.indexOf(reason));
      if (reason === "application") field.putText(out, text, MAX_REFUSAL_TEXT);
    },
    read(bytes) {
      const nonce = field.nonce(bytes);
      const reason = REFUSAL_REASONS[bytes.u8()];
      if (reason === undefined) return undefined;
      if (reason !== "application") return { type: "join-refused", nonce, reason };
      const text = field.text(bytes, MAX_REFUSAL_TEXT);
      return text === undefined ? undefined : { type: "join-refused", nonce, reason, text };
    },
  },
  "join-wait": {
    code: 4,
    write(out, { nonce, retryMs }) {
      field.putNonce(out, nonce);
      out.u16(retryMs);
    },
    read: (bytes) => ({ type: "join-wait", nonce: field.nonce(bytes), retryMs: bytes.u16() }),
  },
} satisfies { [T in MessageType]?: Body<T> };

const election = {
  offer: {
    code: 5,
    write(out, { request, epoch, config, silent }) {
      out.u32(request);
      field.putEpoch(out, epoch);
      field.putConfig(out, config);
      out.u16(silent);
    },
    read(bytes) {
      const [request, epoch, config] = [bytes.u32(), bytes.u32(), field.config(bytes)];
      const silent = field.node(bytes);
      return silent === undefined ? undefined : { type: "offer", request, epoch, config, silent };
    },
  },
  "offer-accepted": {
    code: 6,
    write(out, { nonce, epoch, config, mac }) {
      field.putNonce(out, nonce);
      field.putEpoch(out, epoch);
      field.putConfig(out, config);
      field.putMac(out, mac);
    },
    read: (bytes) => ({
      type: "offer-accepted",
      nonce: field.nonce(bytes),
      epoch: bytes.u32(),
      config: field.config(bytes),
      mac: field.mac(bytes),
    }),
  },
  "other-master-exists": {
    code: 7,
    write(out, { nonce, request, master, epoch, config, members }) {
      field.putNonce(out, nonce);
      out.u32(request);
      out.u16(master);
      field.putEpoch(out, epoch);
      field.putConfig(out, config);
      out.u16(members);
    },
    read(bytes) {
      const [nonce, request, master] = [field.nonce(bytes), bytes.u32(), field.node(bytes)];
      const [epoch, config, members] = [bytes.u32(), field.config(bytes), bytes.u16()];
      if (master === undefined || members > MAX_ROSTER) return undefined;
      return { type: "other-master-exists", nonce, request, master, epoch, config, members };
    },
  },
  "exit-request": {
    code: 8,
    write(out, { nonce, reason, config }) {
      field.putNonce(out, nonce);
      out.u8(EXIT_REASONS.indexOf(reason));
      field.putConfig(out, config);
    },
    read(bytes) {
      const nonce = field.nonce(bytes);
      const reason = EXIT_REASONS[bytes.u8()];
      const config = field.config(bytes);
      return reason === undefined ? undefined : { type: "exit-request", nonce, reason, config };
    },
  },
} satisfies { [T in MessageType]?: Body<T> };

const keepalive = {
  "master-keepalive": {
    code: 9,
    write(out, message) {
      field.putCounter(out, message.sequence);
      field.putEpoch(out, message.epoch);
      field.putConfig(out, message.config);
      field.putTables(out, message.tables);
      out.u16(message.detectionMs);
      out.u8(message.perInterval);
      out.u8(message.isMost ? 1 : 0);
      out.u32(message.roster);
      out.u16(message.memberCount);
      out.u16(message.offset);
      out.u16(message.members.length);
      for (const { id, address, mac } of message.members) {
        out.u16(id);
        field.putMac(out, mac);
        field.putIp(out, address);
      }
    },
    read: readMasterKeepalive,
  },
  "member-keepalive": {
    code: 10,
    write(out, { sequence, master, config, tables, perInterval, mac }) {
      field.putCounter(out, sequence);
      out.u16(master);
      field.putConfig(out, config);
      field.putTables(out, tables);
      out.u8(perInterval);
      field.putMac(out, mac);
    },
    read(bytes) {
      const [sequence, master] = [field.counter(bytes), field.node(bytes)];
      const [config, tables] = [field.config(bytes), field.tables(bytes)];
      const [perInterval, mac] = [bytes.u8(), field.mac(bytes)];
      if (sequence === undefined || master === undefined || tables === undefined) return undefined;
      if (!isRate(perInterval)) return undefined;
      return { type: "member-keepalive", sequence, master, config, tables, perInterval, mac };
    },
  },
  probe: { code: 11, write() {}, read: () => ({ type: "probe" }) },
  goodbye: { code: 12, write() {}, read: () => ({ type: "goodbye" }) },
} satisfies { [T in MessageType]?: Body<T> };

const isRate = (perInterval: number): boolean =>
  perInterval >= 1 && perInterval <= MAX_PER_INTERVAL;

function readMasterKeepalive(bytes: ByteReader): Of<"master-keepalive"> | undefined {
  const [sequence, epoch, config] = [field.counter(bytes), bytes.u32(), field.config(bytes)];
  const [tables, detectionMs, perInterval] = [field.tables(bytes), bytes.u16(), bytes.u8()];
  const isMost = bytes.u8();
  const [roster, memberCount, offset] = [bytes.u32(), bytes.u16(), bytes.u16()];
  const members = readRoster(bytes, bytes.u16());
  if (sequence === undefined || tables === undefined || members === undefined) return undefined;
  if (!isRate(perInterval) || isMost > 1 || detectionMs === 0 || detectionMs > MAX_DETECTION_MS)
    return undefined;
  if (memberCount > MAX_ROSTER || offset + members.length > memberCount) return undefined;
  return {
    type: "master-keepalive",
    sequence,
    epoch,
    config,
    tables,
    detectionMs,
    perInterval,
    isMost: isMost === 1,
    roster,
    memberCount,
    offset,
    members,
  };
}

function readRoster(bytes: ByteReader, count: number): RosterEntry[] | undefined {
  if (count * MIN_ENTRY_LENGTH > bytes.remaining) {
    bytes.take(bytes.remaining + 1); // announces more than is there: incomplete
    return [];
  }
  const members: RosterEntry[] = [];
  for (let index = 0; index < count; index++) {
    const id = field.node(bytes);
    const mac = field.mac(bytes);
    const address = field.ip(bytes);
    if (id === undefined || id === 0 || address === undefined) return undefined;
    members.push({ id, mac, address });
  }
  return members;
}

const BODIES: { readonly [T in MessageType]: Body<T> } = {
  ...discovery,
  ...election,
  ...keepalive,
};
const TYPES = new Map<number, MessageType>(
  (Object.keys(BODIES) as MessageType[]).map((type) => [BODIES[type].code, type]),
);

export const codeOf = (type: MessageType): number => BODIES[type].code;
export const typeOfCode = (code: number): MessageType | undefined => TYPES.get(code);

export function writeBody(out: ByteWriter, message: Message): void {
  const body = BODIES[message.type] as Body<MessageType>;
  body.write(out, message);
}

export const readBody = (type: MessageType, bytes: ByteReader): Message | undefined =>
  BODIES[type].read(bytes);
