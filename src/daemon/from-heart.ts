// What this node does with each thing that membership tells it.
import type { Logger } from "pino";
import { PanError } from "#base/error-codes.ts";
import type { Input } from "#core/node/protocol.ts";
import type { View } from "#core/membership/types.ts";
import type { Applications } from "./applications/applications.ts";
import { plain } from "./event-log.ts";
import type { Recorder } from "./events/recorder.ts";
import type { FailoverLog } from "./failover-log.ts";
import type { Followers } from "./followers.ts";
import type { Following } from "./following.ts";
import type { HeartCounters, HeartEvent } from "./heart-protocol.ts";
import type { KeyRotation } from "./key-rotation.ts";
import type { PrivatePaths } from "./paths/private-paths.ts";
import type { StateFolder } from "./state-folder.ts";

/** What membership's events reach. */
export interface HeartListener {
  readonly log: Pick<Logger, "info">;
  readonly state: Pick<StateFolder, "saveEpoch" | "saveTogether" | "saveBoot">;
  readonly rotation: Pick<KeyRotation, "becameMaster">;
  readonly failovers: FailoverLog;
  readonly paths: Pick<PrivatePaths, "start">;
  readonly followers: Pick<Followers, "dismiss">;
  readonly following: Pick<Following, "follow">;
  readonly events: Pick<Recorder, "fromHeart">;
  readonly applications: Pick<Applications, "ask" | "tooLate" | "departing">;
  readonly viewChanged: (view: View) => void;
  readonly announce: () => void;
  readonly step: (input: Input) => void;
  /** When what is on its way has been done: the disk is not on the path of a failover. */
  readonly afterwards: (action: string, act: () => void) => void;
  readonly counted: (counters: HeartCounters) => void;
  /** It has said goodbye. */
  readonly left: () => void;
  readonly failed: (cause: PanError) => void;
}

export function takeFromHeart(event: HeartEvent, node: HeartListener): void {
  if (event.type !== "counters" && event.type !== "view-changed") {
    node.log.info(plain(event), event.type);
  }
  node.events.fromHeart(event);
  switch (event.type) {
    case "view-changed":
      return node.viewChanged(event.view);
    case "became-master":
      node.rotation.becameMaster(event.keyId);
      return node.afterwards("save the epoch", () => node.state.saveEpoch(event.epoch));
    case "lost-mastership":
      return node.followers.dismiss();
    case "announce-wanted":
      return node.announce();
    case "member-departed":
      node.applications.departing(event.id, event.reason);
      return node.failovers.departed(new Date(), event.id, event.reason);
    case "departure-confirmed":
      node.failovers.confirmed(event.id, event.reason);
      return node.step(event);
    case "machine-gone": // its departure was something else, and stays so in the log
      return node.step({ type: "departure-confirmed", id: event.id, reason: "silent" });
    case "admitted-by":
      return node.following.follow({ id: event.master, address: event.address });
    case "config-wanted":
      return node.following.follow({ id: event.from, address: event.address });
    case "together-changed":
      return node.afterwards("save who is together", () => node.state.saveTogether(event.nodes));
    case "counters":
      return node.counted(event.counters);
    case "left":
      return node.left();
    case "failed":
      return node.failed(new PanError(event.code, `Membership ended: ${event.message}`));
    case "started":
      node.paths.start(event.boot);
      return node.state.saveBoot(event.boot);
    case "vote-wanted":
      return node.applications.ask(event);
    case "vote-unanswered":
      return node.applications.tooLate(event.ballot);
    case "member-joined":
    case "refused":
    case "join-denied":
    case "address-conflict":
      return;
  }
}
