// Tables on their way to the members (B9): as what differs from those that a member holds, where that is known and the member can read
// it, else in full. Each form is made once, however many members get it. A member that finds out that it does not hold what was thought
// asks for the full form.
import { compareVersions, type NodeId, type TableVersion } from "#base/ids.ts";
import { encodeDelta, encodeTables } from "./tables-codec.ts";
import type { Tables } from "./tables.ts";

/** What became of a frame. replaced: it waits for the member to read, and older tables that waited were dropped for it. */
export type Sent = "sent" | "queued" | "replaced" | "too-long" | "closed";

export interface Receiver {
  readonly node: { readonly id: NodeId };
  readonly sendFrame: (type: "tables", frame: Uint8Array) => Sent;
}

/** Undefined: longer than the control channel carries. */
type Frame = Uint8Array | undefined;

export class TablesOut {
  /** Frames that make `#tables` of what a member holds, by that; in full without it. As many as members hold different tables. */
  readonly #frames = new Map<Tables | undefined, Frame>();
  #tables: Tables | undefined;
  /** What each member that reads deltas holds once it has read what was sent; undefined: not known. One entry for each connection. */
  readonly #held = new Map<NodeId, Tables | undefined>();
  #counts = { full: 0, delta: 0 };
  readonly #framed: (bytes: Uint8Array) => Frame;

  /** @param framed the bytes as the control channel carries them */
  constructor(framed: (bytes: Uint8Array) => Frame) {
    this.#framed = framed;
  }

  /** How often each form went out, since the start. */
  get counts(): { readonly full: number; readonly delta: number } {
    return this.#counts;
  }

  /** A member has said what it holds, and that it reads deltas. */
  reads(id: NodeId, version: TableVersion, newest: Tables | undefined): void {
    const isNewest = newest !== undefined && compareVersions(version, newest.version) === 0;
    this.#held.set(id, isNewest ? newest : undefined);
  }

  /** It does not hold what was thought. */
  lost(id: NodeId): void {
    if (this.#held.has(id)) this.#held.set(id, undefined);
  }

  gone(id: NodeId): void {
    this.#held.delete(id);
  }

  /** False: they are longer than the control channel carries, and were not sent. */
  send(tables: Tables, to: Receiver): boolean {
    const { id } = to.node;
    let outcome = this.#sendAgainst(this.#held.get(id), tables, to);
    // a delta took the place of tables that it builds on
    if (outcome === "replaced") outcome = this.#sendAgainst(undefined, tables, to);
    if (this.#held.has(id)) this.#held.set(id, outcome === "closed" ? undefined : tables);
    return outcome !== "too-long";
  }

  #sendAgainst(base: Tables | undefined, tables: Tables, to: Receiver): Sent {
    const frame = this.#frame(base, tables);
    if (frame === undefined) return "too-long";
    this.#counts[base === undefined ? "full" : "delta"] += 1;
    return to.sendFrame("tables", frame);
  }

  #frame(base: Tables | undefined, tables: Tables): Frame {
    if (this.#tables !== tables) {
      this.#frames.clear();
      this.#tables = tables;
    }
    if (this.#frames.has(base)) return this.#frames.get(base);
    const bytes = base === undefined ? encodeTables(tables) : encodeDelta(base, tables);
    const frame = this.#framed(bytes);
    this.#frames.set(base, frame);
    return frame;
  }
}
