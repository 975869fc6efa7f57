// The protocol of applications on the same machine (A10): they may open the socket, and must still not be able to stop the agent.
import assert from "node:assert/strict";
import { encodeLine, fromApplication, LineDecoder } from "#wire/applications/codec.ts";
import { type FromApplication, MAX_REASON_BYTES } from "#wire/applications/message.ts";
import { formatSlots, parseSlots } from "#wire/applications/slot-ranges.ts";
import { decodeUtf8, encodeUtf8 } from "#wire/utf8.ts";
import type { Target } from "./target.ts";

const LIMIT = 300;
const MESSAGES: readonly FromApplication[] = [
  { type: "hello", protocol: 1, name: "ipsec", votes: true },
  { type: "hello", protocol: 4294967295, name: "a.b_c-9", votes: false },
  { type: "answer", vote: 1, accept: true },
  { type: "answer", vote: 9007199254740991, accept: false, reason: "größe € 😀 \u2028" },
];

function runLines(bytes: Uint8Array): string {
  const whole = new LineDecoder(LIMIT).push(bytes);
  const decoder = new LineDecoder(LIMIT);
  const pieces = [];
  for (let at = 0; at < bytes.length; at += 7)
    pieces.push(...decoder.push(bytes.slice(at, at + 7)));
  assert.deepEqual(pieces, whole, "how the stream was cut makes no difference");
  const words = whole.map((line, index) => {
    if (line.ok) return messageOf(line.bytes);
    assert.equal(index, whole.length - 1, "nothing is read after a failure");
    return line.reason;
  });
  return words.slice(0, 3).join(" ");
}

function messageOf(line: Uint8Array): string {
  assert.ok(line.length <= LIMIT);
  const understood = fromApplication(line);
  if (!understood.ok) return understood.problem;
  const { message } = understood;
  if (message.type === "answer" && !message.accept) {
    assert.ok(encodeUtf8(message.reason).length <= MAX_REASON_BYTES);
  }
  const again = fromApplication(encodeLine(message).subarray(0, -1));
  assert.deepEqual(again, understood, "a message that was read can be written again");
  return message.type;
}

const lines: Target = {
  name: "application-lines",
  seeds: [
    ...MESSAGES.map(encodeLine),
    encodeUtf8('{"type":"hello","protocol":1,"name":"x","votes":true}\r\n\n{"type":"answer"}\n'),
  ],
  run: runLines,
};

const slots: Target = {
  name: "slot-ranges",
  seeds: ["", "0", "0-127,256", "1,3,5-6", "65535"].map(encodeUtf8),
  run: (bytes) => {
    const text = decodeUtf8(bytes);
    const ranges = text === undefined ? undefined : parseSlots(text);
    if (ranges === undefined) return "refused";
    assert.equal(formatSlots(ranges), text, "a set has one text");
    return `ok ${Math.min(ranges.length, 3)}`;
  },
};

export const APPLICATION_TARGETS: readonly Target[] = [lines, slots];
