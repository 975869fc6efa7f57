// The owner of what this process serves (core/takeover/owner.ts) under this node's right to speak (docs/adr/0029): it hears of the right
// as it is at that moment before it hears anything else, and once more when the right is back.
import { Owner, type OwnerEffect, type OwnerInput } from "#core/takeover/owner.ts";
import type { ReplicaCount } from "#core/takeover/replica-choice.ts";
import type { SessionProgram } from "#driver/bpf/session-program.ts";
import { type Clock, Recurring } from "./clock.ts";

/** How often it is looked whether the right is back, while something may be kept back. */
const LOOK_EVERY_MS = 10;

export interface LeasedOwnerParts {
  readonly clock: Pick<Clock, "every">;
  readonly program: Pick<SessionProgram, "right">;
  /** How many other members hold each connection; all, unless it is said. */
  readonly replicas?: ReplicaCount;
}

export class LeasedOwner {
  readonly #parts: LeasedOwnerParts;
  readonly #perform: (effects: readonly OwnerEffect[]) => void;
  readonly #owner: Owner;
  readonly #looking: Recurring;
  #closed = false;

  constructor(parts: LeasedOwnerParts, perform: (effects: readonly OwnerEffect[]) => void) {
    this.#parts = parts;
    this.#perform = perform;
    this.#owner = new Owner(parts.replicas);
    this.#looking = new Recurring(parts.clock, LOOK_EVERY_MS, () => perform(this.#look()));
  }

  /** Connections that fewer members hold than are to. */
  get lackReplicas(): number {
    return this.#owner.lackReplicas;
  }

  /** Sockets may still say something when everything is let go of: then there is no right to ask for any more. */
  step(input: OwnerInput): void {
    if (this.#closed) return;
    const settled = this.#look();
    this.#perform([...settled, ...this.#owner.step(input)]);
  }

  #look(): OwnerEffect[] {
    const { speaks } = this.#parts.program.right();
    this.#looking.want(!speaks);
    return this.#owner.step({ type: "right", speaks });
  }

  /** Nothing that happens from now on matters. */
  close(): void {
    this.#closed = true;
    this.#looking.want(false);
  }
}
