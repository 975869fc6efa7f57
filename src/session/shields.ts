// For which connections this machine's stack is kept out because others told of them, by how many records, and how often the latest of
// those has changed its member.
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { keyText } from "./key-text.ts";

/** A connection that the stack here knows nothing of. */
export const HELD = {
  clamp: false,
  guard: false,
  shield: true,
  mute: false,
  committed: 0,
} as const;
/** The same, while another member speaks for it. */
export const SILENT = { ...HELD, mute: true } as const;

export class Shields {
  readonly #records = new Map<string, { readonly count: number; readonly generation: number }>();

  has(key: ConnectionKey): boolean {
    return this.#records.has(keyText(key));
  }

  /** Undefined: nobody told of it. */
  generationOf(key: ConnectionKey): number | undefined {
    return this.#records.get(keyText(key))?.generation;
  }

  /** Whether no later owner has told of it: one that is gone may have been followed by another, which knows more and is gone as well. */
  isLatest(key: ConnectionKey, generation: number): boolean {
    return generation >= (this.generationOf(key) ?? 0);
  }

  /** One record more. */
  raise(key: ConnectionKey, generation: number): void {
    const known = this.#records.get(keyText(key));
    this.#records.set(keyText(key), {
      count: (known?.count ?? 0) + 1,
      generation: Math.max(known?.generation ?? 0, generation),
    });
  }

  /** The same connection may be held twice for a while: from an owner that is gone, and from the one that took it over. True: that was the last. */
  lower(key: ConnectionKey): boolean {
    const { count, generation } = this.#records.get(keyText(key)) ?? { count: 1, generation: 0 };
    if (count > 1) this.#records.set(keyText(key), { count: count - 1, generation });
    else this.#records.delete(keyText(key));
    return count <= 1;
  }
}
