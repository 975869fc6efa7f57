// Faults, at random: each begins, lasts a while and ends. Which, when, where and for how long comes from the run's seed.
import type { Prng } from "#base/prng.ts";
import type { Conditions } from "../conditions.ts";
import type { Parts } from "../parts.ts";
import type { SimNode } from "../node.ts";
import type { World } from "../world.ts";

/** Ends what a fault has begun. */
type Undo = () => void;

interface Running {
  readonly name: string;
  readonly undo: Undo;
}

export interface StormParts {
  readonly world: World;
  readonly prng: Prng;
  readonly conditions: Conditions;
  readonly parts: Parts;
}

/** Faults at once. */
const MOST_AT_ONCE = 4;
/** A link whose loss does not pass for bad luck any more. */
const WORST_LOSS = 90;
/** No machine is back sooner after a power failure: its successors have announced themselves by then. */
const SHORTEST_BOOT_MS = 1000;

export class Storm {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #conditions: Conditions;
  readonly #parts: Parts;
  readonly #running = new Map<number, Running>();
  /** Nodes that some fault has in hand. */
  readonly #busy = new Set<number>();
  #next = 0;
  #raging = false;
  readonly #kinds: readonly (() => Undo | undefined)[];

  constructor({ world, prng, conditions, parts }: StormParts) {
    this.#world = world;
    this.#prng = prng;
    this.#conditions = conditions;
    this.#parts = parts;
    this.#kinds = [
      () => this.#crash(),
      () => this.#crash(),
      () => this.#killAgent(),
      () => this.#killAgent(),
      () => this.#freeze("frozen"),
      () => this.#freeze("paused"),
      () => this.#slowHeart(),
      () => this.#slowMain(),
      () => this.#partition(),
      () => this.#partition(),
      () => this.#oneWay(),
      () => this.#lossyLink(),
      () => this.#loss(),
      () => this.#loss(),
      () => this.#disorder(),
    ];
  }

  /** Faults come until `rest`. */
  rage(meanGapMs: number): void {
    this.#raging = true;
    const next = (): void => {
      if (!this.#raging) return;
      if (this.#running.size < MOST_AT_ONCE) this.#begin();
      this.#world.in(1 + this.#prng.below(2 * meanGapMs), next);
    };
    next();
  }

  #begin(): void {
    const kind = this.#prng.pick(this.#kinds);
    const undo = kind();
    if (undo === undefined) return;
    const number = this.#next;
    this.#next += 1;
    const name = `fault ${number}`;
    this.#conditions.begin(name);
    this.#running.set(number, { name, undo });
    const lastsMs = this.#prng.pick([80, 200, 400, 1000, 3000, 8000, 20_000]);
    this.#world.in(this.#prng.below(2 * lastsMs), () => this.#end(number));
  }

  #end(number: number): void {
    const running = this.#running.get(number);
    if (running === undefined) return;
    this.#running.delete(number);
    running.undo();
    this.#conditions.end(running.name);
  }

  /** Everything is as it should be again, from this moment on. */
  rest(): void {
    this.#raging = false;
    for (const number of this.#running.keys()) this.#end(number);
    this.#world.network.heal();
    for (const node of this.#world.nodes) {
      if (node.state === "frozen" || node.state === "paused") node.thaw();
      else if (node.agent === undefined) node.start(this.#world.config);
      node.agent?.heart.holdUntil(this.#world.nowMs);
      node.agent?.main.tasks.busyUntil(this.#world.nowMs);
    }
    this.#busy.clear();
    this.#conditions.clear();
    this.#world.probes.fault("everything is healed");
  }

  #say(what: string, detail?: unknown): void {
    this.#world.probes.fault(what, detail);
  }

  /** A node that runs and that no other fault has in hand. */
  #victim(): SimNode | undefined {
    const nodes = this.#world.nodes.filter(
      (node) => node.state === "running" && !this.#busy.has(node.id),
    );
    if (nodes.length === 0) return undefined;
    const node = this.#prng.pick(nodes);
    this.#busy.add(node.id);
    this.#parts.disturb(node.id);
    return node;
  }

  #release(node: SimNode): void {
    this.#busy.delete(node.id);
    this.#parts.disturb(node.id);
  }

  #restart(node: SimNode): void {
    if (node.agent === undefined) {
      const disk = this.#prng.below(4) > 0 ? "its disk" : "a new disk";
      if (disk === "a new disk") node.loseDisk();
      this.#say(`node ${node.id} starts again with ${disk}`);
      node.start(this.#world.config);
    }
    this.#release(node);
  }

  #crash(): Undo | undefined {
    const node = this.#victim();
    if (node === undefined) return undefined;
    this.#say(`node ${node.id} loses power`);
    node.crash();
    const upMs = this.#world.nowMs + SHORTEST_BOOT_MS;
    return () => {
      const again = (): void => this.#restart(node);
      if (this.#world.nowMs >= upMs) again();
      else this.#world.queue.add(upMs, again);
    };
  }

  #killAgent(): Undo | undefined {
    const node = this.#victim();
    if (node === undefined) return undefined;
    this.#say(`the agent of node ${node.id} is killed`);
    node.agentEnded();
    return () => this.#restart(node);
  }

  #freeze(what: "frozen" | "paused"): Undo | undefined {
    const node = this.#victim();
    if (node === undefined) return undefined;
    this.#say(`node ${node.id} is ${what}`);
    node.freeze(what);
    return () => {
      if (node.state === what) {
        this.#say(`node ${node.id} runs again`);
        node.thaw();
      }
      this.#release(node);
    };
  }

  /** Again and again the heart does not get the processor for a while. */
  #slowHeart(): Undo | undefined {
    const node = this.#victim();
    if (node === undefined) return undefined;
    const worstMs = this.#prng.pick([20, 60, 150, 400]);
    this.#say(`the heart of node ${node.id} is held up for up to ${worstMs} ms at a time`);
    return this.#repeat(
      node,
      worstMs,
      () => node.agent?.heart.holdUntil(this.#world.nowMs + this.#prng.below(worstMs)),
      () => node.agent?.heart.holdUntil(this.#world.nowMs),
    );
  }

  #slowMain(): Undo | undefined {
    const node = this.#victim();
    if (node === undefined) return undefined;
    const worstMs = this.#prng.pick([30, 200, 1000, 3000]);
    this.#say(`the main thread of node ${node.id} is busy for up to ${worstMs} ms at a time`);
    return this.#repeat(
      node,
      worstMs,
      () => node.agent?.main.tasks.busyUntil(this.#world.nowMs + this.#prng.below(worstMs)),
      () => node.agent?.main.tasks.busyUntil(this.#world.nowMs),
    );
  }

  #repeat(node: SimNode, worstMs: number, hold: () => void, free: () => void): Undo {
    let over = false;
    const again = (): void => {
      if (over) return;
      hold();
      this.#world.in(1 + this.#prng.below(3 * worstMs), again);
    };
    again();
    return () => {
      over = true;
      free();
      this.#release(node);
    };
  }

  #partition(): Undo {
    const ids = this.#world.nodes.map(({ id }) => id);
    const count = this.#prng.chance(0.8) ? 2 : 3;
    const sides: number[][] = Array.from({ length: count }, () => []);
    for (const id of ids) this.#prng.pick(sides).push(id);
    this.#say("the network is split", sides);
    this.#world.network.partition(sides);
    this.#linksChanged();
    return () => {
      this.#say("the network is whole");
      this.#world.network.partition([]);
      this.#linksChanged();
    };
  }

  #linksChanged(): void {
    for (const { id } of this.#world.nodes) this.#parts.disturb(id);
  }

  #link(): readonly [number, number] | undefined {
    if (this.#world.nodes.length < 2) return undefined;
    const [a, b] = this.#prng.shuffle(this.#world.nodes);
    return a === undefined || b === undefined ? undefined : [a.id, b.id];
  }

  #oneWay(): Undo | undefined {
    const link = this.#link();
    if (link === undefined) return undefined;
    const [from, to] = link;
    this.#say(`node ${to} does not hear node ${from}`);
    this.#world.network.cut(from, to, true);
    this.#linksChanged();
    return () => {
      this.#world.network.cut(from, to, false);
      this.#linksChanged();
      this.#say(`node ${to} hears node ${from} again`);
    };
  }

  #lossyLink(): Undo | undefined {
    const link = this.#link();
    if (link === undefined) return undefined;
    const [from, to] = link;
    const loss = (10 + this.#prng.below(WORST_LOSS - 10)) / 100;
    this.#say(`the link from node ${from} to node ${to} loses ${loss}`);
    this.#world.network.setLoss(from, to, loss);
    return () => this.#world.network.setLoss(from, to, 0);
  }

  #loss(): Undo {
    const loss = this.#prng.pick([0.01, 0.05, 0.1, 0.2, 0.3]);
    this.#say(`every link loses ${loss}`);
    this.#world.network.weather.loss = loss;
    return () => {
      this.#say("no more loss");
      this.#world.network.weather.loss = 0;
    };
  }

  /** Late, twice, out of order, with flipped bits. */
  #disorder(): Undo {
    const { weather } = this.#world.network;
    const changed = {
      jitterMs: this.#prng.pick([0.4, 3, 15, 40]),
      duplicates: this.#prng.pick([0, 0.05, 0.3]),
      corruption: this.#prng.pick([0, 0.01, 0.1]),
    };
    this.#say("datagrams come late, twice, damaged", changed);
    Object.assign(weather, changed);
    return () => {
      this.#say("datagrams come as they should");
      Object.assign(weather, { jitterMs: 0.4, duplicates: 0, corruption: 0 });
    };
  }
}
