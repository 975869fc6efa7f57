// A connection's clock of timestamps goes on while nobody tells of it: what is told late, or once more by another member, is told as of then.
import { advance } from "#base/sequence.ts";
import { elapsedMs, type Instant } from "#base/time.ts";
import type { OwnerMessage } from "#wire/takeover/message.ts";

/** What the clock that said `value` then says now: one step a millisecond, and never less than what was said. */
export const clockValue = (value: number, readAt: Instant, now: Instant): number =>
  advance(value, Math.ceil(Math.max(0, elapsedMs(readAt, now))));

/** @param readAt when its clock was read or came, by this machine's clock */
export function asOf<Message extends OwnerMessage>(
  now: Instant,
  readAt: Instant,
  message: Message,
): Message {
  if (!("clock" in message)) return message;
  const clock = { value: clockValue(message.clock.value, readAt, now), readAtMs: now };
  return { ...message, clock };
}
