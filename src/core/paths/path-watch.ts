// Which private paths to which members work (B11). Every node says hello on every path, to all, and with it whom it hears there. A path to a
// member works while its hellos come and say that ours arrive: a path that carries in one direction only is none. The table that spreads
// a member's traffic follows at once.
//
// A path that is taken for failed although it works costs little: its flows go by another one. So silence is judged sooner than for members,
// whose death moves everything: a quarter of a second of pause is to be the longest.
import type { MacAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import { spreadOver } from "./spread.ts";

export interface PathTiming {
  readonly helloMs: number;
  /** Silence of this length means that the path has failed. */
  readonly silentMs: number;
}

/** From the interval after which a node counts as dead: within half of it, and the next hello, a path is left. */
export const pathTiming = (intervalMs: number): PathTiming => ({
  helloMs: Math.max(10, Math.floor(intervalMs / 10)),
  silentMs: Math.max(50, Math.floor(intervalMs / 2)),
});

export type PathState = "working" | "failed" | "removed";

export type PathCause =
  | "heard" // hellos come, and say that ours arrive
  | "silent" // no hello came for too long
  | "unheard" // hellos come, and say that ours do not arrive
  | "carrier" // this node's interface has no link
  | "departed"; // the node is no member any more

export interface Heard {
  readonly path: number;
  readonly from: NodeId;
  /** Of its interface on that path. */
  readonly mac: MacAddress;
  readonly boot: bigint;
  readonly counter: bigint;
  readonly hearsUs: boolean;
}

export type Input =
  | ({ readonly type: "hello-received" } & Heard)
  | { readonly type: "members-changed"; readonly members: readonly NodeId[] }
  | { readonly type: "carrier-changed"; readonly path: number; readonly up: boolean }
  | { readonly type: "deadline-reached" };

export type Effect =
  | { readonly type: "send-hello"; readonly path: number; readonly heard: readonly NodeId[] }
  | {
      readonly type: "path-changed";
      readonly node: NodeId;
      readonly path: number;
      readonly state: PathState;
      readonly cause: PathCause;
    }
  | {
      readonly type: "spread-changed";
      readonly node: NodeId;
      /** Of its interface on each path, from path 1; undefined: never heard. */
      readonly macs: readonly (MacAddress | undefined)[];
      /** By slot (spread.ts). */
      readonly choices: Uint8Array;
    };

/** One path to one member. */
interface Path {
  mac: MacAddress | undefined;
  boot: bigint;
  counter: bigint;
  heardAt: Instant | undefined;
  hearsUs: boolean;
  /** Undefined: it has not worked yet, and nobody was told anything. */
  state: "working" | "failed" | undefined;
}

export class PathWatch {
  readonly #self: NodeId;
  readonly #timing: PathTiming;
  readonly #carrier: boolean[];
  /** Of members only, so there are no more than nodes. */
  readonly #peers = new Map<NodeId, readonly Path[]>();
  #helloAt: Instant;

  constructor(self: NodeId, paths: number, timing: PathTiming, now: Instant) {
    this.#self = self;
    this.#timing = timing;
    this.#carrier = Array.from({ length: paths }, () => true);
    this.#helloAt = now;
  }

  get deadline(): Instant {
    return this.#helloAt;
  }

  step(now: Instant, input: Input): Effect[] {
    switch (input.type) {
      case "hello-received":
        return this.#received(now, input);
      case "members-changed":
        return this.#membersChanged(input.members);
      case "carrier-changed":
        return this.#carrierChanged(now, input.path, input.up);
      case "deadline-reached":
        return this.#due(now);
    }
  }

  #received(now: Instant, { path: number, from, mac, boot, counter, hearsUs }: Heard): Effect[] {
    const path = this.#peers.get(from)?.[number - 1];
    if (path === undefined) return [];
    if (boot < path.boot || (boot === path.boot && counter <= path.counter)) return []; // told before
    const isElsewhere = mac !== path.mac && path.state === "working";
    Object.assign(path, { mac, boot, counter, hearsUs, heardAt: now });
    const changes = this.#judge(now, from, number);
    return changes.length === 0 && isElsewhere ? [this.#spread(from)] : changes;
  }

  #membersChanged(members: readonly NodeId[]): Effect[] {
    const present = new Set(members);
    const effects: Effect[] = [];
    for (const [node, paths] of this.#peers) {
      if (present.has(node)) continue;
      this.#peers.delete(node);
      for (const [index, { state }] of paths.entries()) {
        if (state === undefined) continue;
        const path = index + 1;
        effects.push({ type: "path-changed", node, path, state: "removed", cause: "departed" });
      }
      const choices = spreadOver(new Set(), paths.length);
      effects.push({ type: "spread-changed", node, macs: paths.map(() => undefined), choices });
    }
    for (const id of present) {
      if (id !== this.#self && !this.#peers.has(id)) this.#peers.set(id, this.#unknown());
    }
    return effects;
  }

  #unknown(): Path[] {
    return this.#carrier.map(() => ({
      mac: undefined,
      boot: 0n,
      counter: 0n,
      heardAt: undefined,
      hearsUs: false,
      state: undefined,
    }));
  }

  #carrierChanged(now: Instant, number: number, up: boolean): Effect[] {
    if (this.#carrier[number - 1] === up || this.#carrier[number - 1] === undefined) return [];
    this.#carrier[number - 1] = up;
    return [...this.#peers.keys()].flatMap((node) => this.#judge(now, node, number));
  }

  #due(now: Instant): Effect[] {
    const effects: Effect[] = [];
    for (const [node, paths] of this.#peers) {
      for (let path = 1; path <= paths.length; path++)
        effects.push(...this.#judge(now, node, path));
    }
    if (now < this.#helloAt) return effects;
    this.#helloAt = after(now, this.#timing.helloMs);
    for (let path = 1; path <= this.#carrier.length; path++) {
      effects.push({ type: "send-hello", path, heard: this.#heardOn(now, path) });
    }
    return effects;
  }

  #isHeard(now: Instant, { heardAt }: Path): boolean {
    return heardAt !== undefined && now < after(heardAt, this.#timing.silentMs);
  }

  #heardOn(now: Instant, number: number): NodeId[] {
    return [...this.#peers]
      .filter(([, paths]) => {
        const path = paths[number - 1];
        return path !== undefined && this.#isHeard(now, path);
      })
      .map(([id]) => id)
      .sort((a, b) => a - b);
  }

  #causeOf(now: Instant, path: Path, number: number): PathCause {
    if (this.#carrier[number - 1] !== true) return "carrier";
    if (!this.#isHeard(now, path)) return "silent";
    return path.hearsUs ? "heard" : "unheard";
  }

  /** Tells when a path works that did not, or the other way round. */
  #judge(now: Instant, node: NodeId, number: number): Effect[] {
    const path = this.#peers.get(node)?.[number - 1];
    if (path === undefined) return [];
    const cause = this.#causeOf(now, path, number);
    const state = cause === "heard" ? "working" : "failed";
    if (state === (path.state ?? "failed")) return [];
    path.state = state;
    return [{ type: "path-changed", node, path: number, state, cause }, this.#spread(node)];
  }

  #spread(node: NodeId): Effect {
    const paths = this.#peers.get(node) ?? [];
    const working = new Set<number>();
    for (const [index, { state }] of paths.entries())
      if (state === "working") working.add(index + 1);
    const choices = spreadOver(working, paths.length);
    return { type: "spread-changed", node, macs: paths.map(({ mac }) => mac), choices };
  }
}
