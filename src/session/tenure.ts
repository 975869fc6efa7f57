// A node that was on its own may have lost its sessions to others without hearing of it (docs/adr/0029). Its sessions are silent until every other
// member that runs a session server has told who serves what, in answer to a question from after that: however long it takes.
import { elapsedMs, type Instant } from "#base/time.ts";
import type { RightToSpeak } from "#driver/bpf/session-program.ts";
import type { Clock } from "./clock.ts";

const LOOK_EVERY_MS = 20;
/**
 * So many looks after all have told, what this node tells has been heard, too. Looks and not time: a process that stood still has read
 * nothing meanwhile.
 */
const TOLD_LOOKS = 10;
/** After so long it is said who is waited for, once. */
const LONG_MS = 2000;

export interface TenureActions {
  readonly right: () => RightToSpeak;
  /** From now on everybody is asked anew. */
  readonly hearAgain: () => void;
  /** Each other member has answered, or runs no session server. */
  readonly isWhole: () => boolean;
  readonly grant: (tenure: number) => void;
  /** It takes long. */
  readonly waits: () => void;
}

interface Waiting {
  readonly tenure: number;
  readonly since: Instant;
  /** Looks since all have told. */
  whole: number;
  isSaid: boolean;
}

export class Tenure {
  readonly #clock: Clock;
  readonly #actions: TenureActions;
  readonly stop: () => void;
  #waiting: Waiting | undefined;

  constructor(clock: Clock, actions: TenureActions) {
    this.#clock = clock;
    this.#actions = actions;
    this.stop = clock.every(LOOK_EVERY_MS, () => this.#look());
  }

  /** Members, or what they tell on a stream, begin anew: the wait does, too. */
  begun(): void {
    if (this.#waiting !== undefined) this.#waiting.whole = 0;
  }

  #look(): void {
    const { tenure, isAway } = this.#actions.right();
    if (!isAway) {
      this.#waiting = undefined;
      return;
    }
    const waiting = this.#waitingFor(tenure);
    waiting.whole = this.#actions.isWhole() ? waiting.whole + 1 : 0;
    if (waiting.whole > TOLD_LOOKS) return this.#actions.grant(tenure);
    if (waiting.isSaid || elapsedMs(waiting.since, this.#clock.now()) < LONG_MS) return;
    waiting.isSaid = true;
    this.#actions.waits();
  }

  #waitingFor(tenure: number): Waiting {
    if (this.#waiting?.tenure === tenure) return this.#waiting;
    this.#actions.hearAgain();
    const waiting = { tenure, since: this.#clock.now(), whole: 0, isSaid: false };
    this.#waiting = waiting;
    return waiting;
  }
}
