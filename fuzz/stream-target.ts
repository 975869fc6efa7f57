// A target for frames on a stream (src/wire/framing.ts): what was read can be sent again and is then the same, and how the stream was
// cut makes no difference.
import assert from "node:assert/strict";
import type { FrameReceived } from "#wire/framing.ts";
import type { Target } from "./target.ts";

interface Decoder<Message> {
  push(bytes: Uint8Array): FrameReceived<Message>[];
}

export interface StreamUnderTest<Message extends { readonly type: string }> {
  readonly name: string;
  readonly messages: readonly Message[];
  encode(message: Message): Uint8Array | undefined;
  decoder(): Decoder<Message>;
}

export function streamTarget<Message extends { readonly type: string }>(
  stream: StreamUnderTest<Message>,
): Target {
  /** A message that was read can be sent again, and is then the same. */
  const checkResent = (message: Message): void => {
    const frame = stream.encode(message);
    if (frame === undefined) return; // escapes and exponents can make JSON longer than it came
    const [again] = stream.decoder().push(frame);
    assert.ok(again?.ok === true, "our own encoding can be read");
    assert.deepEqual(stream.encode(again.message), frame);
  };
  const run = (bytes: Uint8Array): string => {
    const whole = stream.decoder().push(bytes);
    const decoder = stream.decoder();
    const pieces: FrameReceived<Message>[] = [];
    for (let at = 0; at < bytes.length; at += 5)
      pieces.push(...decoder.push(bytes.subarray(at, at + 5)));
    assert.deepEqual(pieces, whole, "how the stream was cut makes no difference");
    const words = whole.map((received, index) => {
      if (received.ok) checkResent(received.message);
      else assert.equal(index, whole.length - 1, "nothing is read after a failure");
      return received.ok ? received.message.type : received.reason;
    });
    return words.slice(0, 3).join(" ");
  };
  const seeds = stream.messages.map(
    (message) => stream.encode(message) ?? assert.fail(message.type),
  );
  return { name: stream.name, seeds, run };
}
