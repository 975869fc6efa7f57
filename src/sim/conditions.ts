// Whether anything is wrong in the simulated world at the moment, by those who make it go wrong. Checkers that promise something
// "within a time" count from here.
import type { World } from "./world.ts";

export class Conditions {
  readonly #world: World;
  readonly #active = new Set<string>();
  #calmSinceMs = 0;
  /** Nothing more is going to happen: the phase of liveness. */
  healing = false;

  constructor(world: World) {
    this.#world = world;
  }

  begin(fault: string): void {
    this.#active.add(fault);
  }

  end(fault: string): void {
    this.#active.delete(fault);
    this.#calmSinceMs = this.#world.nowMs;
  }

  /** Something short that leaves no fault behind. */
  touch(): void {
    this.#calmSinceMs = this.#world.nowMs;
  }

  clear(): void {
    this.#active.clear();
    this.#calmSinceMs = this.#world.nowMs;
  }

  /** 0 while something is wrong. */
  get calmForMs(): number {
    return this.#active.size > 0 ? 0 : this.#world.nowMs - this.#calmSinceMs;
  }

  get wrong(): string {
    return [...this.#active].join(", ");
  }
}
