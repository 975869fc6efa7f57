// Payloads of control frames: binary for keys, tables and pings, JSON for the rest. Every field is checked on decoding,
// so that whoever receives a message may rely on its type.
import { assert } from "#base/assert.ts";
import { MAX_NODE_ID, type ConfigVersion, type NodeId, type TableVersion } from "#base/ids.ts";
import { asHealthReport, healthReportJson } from "./health-report.ts";
import { asCount, asObject, asText, decodeJson, encodeJson, type JsonValue } from "./json.ts";
import {
  GROUP_KEY_LENGTH,
  MAX_SLOTS_WANTED,
  type ControlMessage,
  type ControlMessageType,
  type GroupKey,
  type WantedSlot,
} from "./message.ts";
import { decodeFlowReport, encodeFlowReport } from "./flow-report.ts";
import { decodeSlotReport, encodeSlotReport } from "./slot-report.ts";

const MAX_UINT32 = 2 ** 32 - 1;
const DIGEST = /^[0-9a-f]{0,16}$/;
const BOOT_ID = /^[0-9a-f]{1,32}$/;
const METHOD = /^[\x21-\x7e][\x20-\x7e]{0,255}$/;
const GROUP_NAME = /^.{1,255}$/su;
const MAX_SLOT = 65_535;
const GROUP_KEY_ENTRY = 1 + GROUP_KEY_LENGTH;

const configJson = ({ counter, digest }: ConfigVersion): JsonValue => ({ counter, digest });
const tablesJson = ({ epoch, counter, master }: TableVersion): JsonValue => ({
  epoch,
  counter,
  master,
});

/** The payload alone; its length is checked by the frame. */
export function encodePayload(message: ControlMessage): Uint8Array {
  switch (message.type) {
    case "group-key":
      return encodeGroupKeys(message);
    case "tables":
      return message.bytes;
    case "slot-report":
      return encodeSlotReport(message.report);
    case "health-report":
      return encodeJson(healthReportJson(message.report));
    case "flow-report":
      return encodeFlowReport(message.report);
    case "ping":
    case "pong":
      return encodeNonce(message.nonce);
    case "hello":
      return encodeJson({
        node: message.node,
        bootId: message.bootId,
        config: configJson(message.config),
        tables: tablesJson(message.tables),
        ...(message.deltas === true ? { deltas: true } : {}),
      });
    case "config":
      return encodeJson({ version: configJson(message.version), yaml: message.yaml });
    case "config-ack":
      return encodeJson({ version: configJson(message.version) });
    case "tables-ack":
      return encodeJson({ version: tablesJson(message.version) });
    case "tables-wanted":
      return encodeJson({ held: tablesJson(message.held) });
    case "slots-wanted":
      return encodeJson({ slots: message.slots.map(({ group, slot }) => [group, slot]) });
    case "request":
      return encodeJson({ id: message.id, method: message.method, body: message.body });
    case "response":
      return encodeJson({ id: message.id, status: message.status, body: message.body });
  }
}

function encodeNonce(nonce: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, nonce);
  return payload;
}

const isKeyId = (keyId: number): boolean => Number.isInteger(keyId) && keyId > 0 && keyId < 256;

function encodeGroupKeys(message: GroupKey & { readonly previous?: GroupKey }): Uint8Array {
  const keys = message.previous === undefined ? [message] : [message, message.previous];
  const payload = new Uint8Array(keys.length * GROUP_KEY_ENTRY);
  keys.forEach(({ keyId, key }, index) => {
    assert(key.byteLength === GROUP_KEY_LENGTH, "a group key has 32 bytes");
    assert(isKeyId(keyId), "the id of a group key is 1 … 255, as in datagrams");
    payload[index * GROUP_KEY_ENTRY] = keyId;
    payload.set(key, index * GROUP_KEY_ENTRY + 1);
  });
  return payload;
}

/** Undefined when the payload is not one of this type. Never throws. */
export function decodePayload(
  type: ControlMessageType,
  payload: Uint8Array,
): ControlMessage | undefined {
  switch (type) {
    case "group-key":
      return decodeGroupKeys(payload);
    case "tables":
      return { type, bytes: payload };
    case "slot-report": {
      const report = decodeSlotReport(payload);
      return report === undefined ? undefined : { type, report };
    }
    case "health-report": {
      const report = asHealthReport(decodeJson(payload));
      return report === undefined ? undefined : { type, report };
    }
    case "flow-report": {
      const report = decodeFlowReport(payload);
      return report === undefined ? undefined : { type, report };
    }
    case "ping":
    case "pong":
      return payload.byteLength === 4 ? { type, nonce: uint32(payload, 0) } : undefined;
    case "hello":
      return decodeHello(decodeJson(payload));
    case "config":
    case "config-ack":
      return decodeConfig(type, decodeJson(payload));
    case "tables-ack":
    case "tables-wanted":
      return decodeTablesAnswer(type, decodeJson(payload));
    case "slots-wanted":
      return decodeSlotsWanted(decodeJson(payload));
    case "request":
    case "response":
      return decodeCall(type, decodeJson(payload));
  }
}

const uint32 = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);

function decodeGroupKeys(payload: Uint8Array): ControlMessage | undefined {
  const entry = (start: number): GroupKey => ({
    keyId: payload[start] ?? 0,
    key: payload.slice(start + 1, start + GROUP_KEY_ENTRY),
  });
  const now = entry(0);
  const previous = entry(GROUP_KEY_ENTRY);
  if (!isKeyId(now.keyId)) return undefined;
  if (payload.byteLength === GROUP_KEY_ENTRY) return { type: "group-key", ...now };
  if (payload.byteLength !== 2 * GROUP_KEY_ENTRY || !isKeyId(previous.keyId)) return undefined;
  return { type: "group-key", ...now, previous };
}

function asConfigVersion(value: JsonValue | undefined): ConfigVersion | undefined {
  const object = asObject(value);
  const counter = asCount(object?.["counter"], Number.MAX_SAFE_INTEGER);
  const digest = asText(object?.["digest"], DIGEST);
  return counter === undefined || digest === undefined ? undefined : { counter, digest };
}

function asTableVersion(value: JsonValue | undefined): TableVersion | undefined {
  const object = asObject(value);
  const epoch = asCount(object?.["epoch"], MAX_UINT32);
  const counter = asCount(object?.["counter"], MAX_UINT32);
  const master = asCount(object?.["master"], MAX_NODE_ID);
  if (epoch === undefined || counter === undefined || master === undefined) return undefined;
  return { epoch, counter, master: master as NodeId };
}

function decodeHello(value: JsonValue | undefined): ControlMessage | undefined {
  const object = asObject(value);
  const node = asCount(object?.["node"], MAX_NODE_ID);
  const bootId = asText(object?.["bootId"], BOOT_ID);
  const config = asConfigVersion(object?.["config"]);
  const tables = asTableVersion(object?.["tables"]);
  if (node === undefined || node === 0 || bootId === undefined) return undefined;
  if (config === undefined || tables === undefined) return undefined;
  const deltas = object?.["deltas"] === true ? { deltas: true } : {};
  return { type: "hello", node: node as NodeId, bootId, config, tables, ...deltas };
}

function decodeConfig(
  type: "config" | "config-ack",
  value: JsonValue | undefined,
): ControlMessage | undefined {
  const object = asObject(value);
  const version = asConfigVersion(object?.["version"]);
  const yaml = object?.["yaml"];
  if (version === undefined) return undefined;
  if (type === "config-ack") return { type, version };
  return typeof yaml === "string" ? { type, version, yaml } : undefined;
}

function decodeTablesAnswer(
  type: "tables-ack" | "tables-wanted",
  value: JsonValue | undefined,
): ControlMessage | undefined {
  const object = asObject(value);
  const version = asTableVersion(object?.[type === "tables-ack" ? "version" : "held"]);
  if (version === undefined) return undefined;
  return type === "tables-ack" ? { type, version } : { type, held: version };
}

function decodeSlotsWanted(value: JsonValue | undefined): ControlMessage | undefined {
  const list = asObject(value)?.["slots"];
  if (!Array.isArray(list) || list.length > MAX_SLOTS_WANTED) return undefined;
  const slots: WantedSlot[] = [];
  for (const entry of list as readonly JsonValue[]) {
    if (!Array.isArray(entry) || entry.length !== 2) return undefined;
    const [group, slot] = [asText(entry[0], GROUP_NAME), asCount(entry[1], MAX_SLOT)];
    if (group === undefined || slot === undefined) return undefined;
    slots.push({ group, slot });
  }
  return { type: "slots-wanted", slots };
}

function decodeCall(
  type: "request" | "response",
  value: JsonValue | undefined,
): ControlMessage | undefined {
  const object = asObject(value);
  const id = asCount(object?.["id"], MAX_UINT32);
  const body = object?.["body"];
  if (id === undefined || body === undefined) return undefined;
  if (type === "request") {
    const method = asText(object?.["method"], METHOD);
    return method === undefined ? undefined : { type, id, method, body };
  }
  const status = asCount(object?.["status"], 599);
  return status === undefined || status < 100 ? undefined : { type, id, status, body };
}
