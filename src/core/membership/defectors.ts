// Members that look for another master, or are one, while this master still hears them: they do not hear it (docs/adr/0029). That somebody is heard
// does not prove that he hears, so how many others are lost as well is not known, and whose sessions are whose either.
import type { NodeId } from "#base/ids.ts";
import type { Context } from "./context.ts";

export class Defectors {
  readonly #context: Context;
  /** Bounded by the members. */
  readonly #ids = new Set<NodeId>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** It has said what no member of ours says. */
  heard(id: NodeId): void {
    // what it does meanwhile this node may not hear of: it asks before it speaks again
    if (this.#ids.size === 0) this.#context.solitudes += 1;
    this.#ids.add(id);
  }

  /** It names us as its master, or is no member any more. */
  forget(id: NodeId): void {
    this.#ids.delete(id);
  }

  get areThere(): boolean {
    return this.#ids.size > 0;
  }

  has(id: NodeId): boolean {
    return this.#ids.has(id);
  }
}
