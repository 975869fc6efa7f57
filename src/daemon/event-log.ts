// How membership appears in the log.
import type { View } from "#core/membership/types.ts";
import type { HeartEvent } from "./heart-protocol.ts";

/** What an operator would call a change of the cluster. */
export const essence = ({ role, epoch, master, members }: View): object => ({
  role,
  epoch,
  master,
  members: members.map(({ id }) => id),
});

/** JSON has no 64-bit integers. */
export const plain = (event: HeartEvent): object =>
  event.type === "started" ? { ...event, boot: String(event.boot) } : event;
