// A node that was on its own may have lost its sessions to others without hearing of it (docs/adr/0029). Its sessions are silent until the
// streams to and from the other members are there again, and have told who serves what.
import { elapsedMs, type Instant } from "#base/time.ts";
import type { RightToSpeak } from "#driver/bpf/session-program.ts";
import type { Clock } from "./clock.ts";

const LOOK_EVERY_MS = 20;
/** From when all streams are there until what they begin with has been read. */
const TOLD_MS = 200;
/** A member that runs no session server has taken nothing over. */
const LONGEST_MS = 2000;

export interface TenureActions {
  readonly right: () => RightToSpeak;
  /** Streams to and from each other member are there. */
  readonly isWhole: () => boolean;
  readonly grant: (tenure: number) => void;
}

export class Tenure {
  readonly #clock: Clock;
  readonly #actions: TenureActions;
  readonly stop: () => void;
  #waiting:
    | { readonly tenure: number; readonly since: Instant; wholeSince: Instant | undefined }
    | undefined;

  constructor(clock: Clock, actions: TenureActions) {
    this.#clock = clock;
    this.#actions = actions;
    this.stop = clock.every(LOOK_EVERY_MS, () => this.#look());
  }

  /** Members, or what they tell on a stream, begin anew: the wait does, too. */
  begun(): void {
    if (this.#waiting !== undefined) this.#waiting.wholeSince = undefined;
  }

  #look(): void {
    const { tenure, isAway } = this.#actions.right();
    if (!isAway) {
      this.#waiting = undefined;
      return;
    }
    const now = this.#clock.now();
    if (this.#waiting?.tenure !== tenure) {
      this.#waiting = { tenure, since: now, wholeSince: undefined };
    }
    const waiting = this.#waiting;
    if (this.#actions.isWhole()) waiting.wholeSince ??= now;
    else waiting.wholeSince = undefined;
    const isTold =
      waiting.wholeSince !== undefined && elapsedMs(waiting.wholeSince, now) >= TOLD_MS;
    if (isTold || elapsedMs(waiting.since, now) >= LONGEST_MS) this.#actions.grant(tenure);
  }
}
