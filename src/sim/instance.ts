// The instance of a service on a node, as its health checks see it (B7): daemon/health-work.ts on virtual time. What runs is not touched by a
// finding: connections of an instance that is called down live on and must stay where they are.
import type { HealthReport, InstanceState } from "#wire/control/health-report.ts";
import { CHECKED_GROUP } from "./cluster-spec.ts";
import type { TaskQueue } from "./task-queue.ts";

/** From the start of an agent to the first result of its checks. */
const FIRST_RESULT_MS = 600;
const TELL_AGAIN_MS = 10_000;

export class Instance {
  readonly #tasks: TaskQueue;
  readonly #tell: (report: HealthReport) => void;
  #isChecked = false;
  #isUp: boolean;

  /** @param isUp what checks will find */
  constructor(tasks: TaskQueue, isUp: boolean, tell: (report: HealthReport) => void) {
    this.#tasks = tasks;
    this.#isUp = isUp;
    this.#tell = tell;
  }

  open(): void {
    this.#tasks.later(FIRST_RESULT_MS, () => {
      this.#isChecked = true;
      this.tell();
    });
    this.#againLater();
  }

  #againLater(): void {
    this.#tasks.later(TELL_AGAIN_MS, () => {
      this.#againLater();
      this.tell();
    });
  }

  get state(): InstanceState {
    if (!this.#isChecked) return "unknown";
    return this.#isUp ? "up" : "down";
  }

  found(isUp: boolean): void {
    this.#isUp = isUp;
    this.tell();
  }

  /** Whoever is master now is to know. */
  tell(): void {
    this.#tell({ groups: [{ name: CHECKED_GROUP, state: this.state, part: 100, reason: "" }] });
  }
}
