// Clients that open connections and have nothing else to do with them: what becomes of a first frame, also when it has to wait for an owner
// of its slot (A15, docs/adr/0012) and goes on from where it waited.
import type { Prng } from "#base/prng.ts";
import type { NodeId } from "#base/ids.ts";
import { type ClientFrame, clientFrame } from "../client-frame.ts";
import { LAZY_PORT, VIP, WEB_PORT } from "../cluster-spec.ts";
import type { DataPlane, Fate } from "../data-plane.ts";
import { slotOfFrame } from "../frame-slot.ts";
import type { SimNode } from "../node.ts";
import type { Observer } from "../probes.ts";
import type { World } from "../world.ts";
import type { Connections } from "./connections.ts";

const EVERY_MS = 3000;
/** Clients that nothing else uses. */
const [FIRST_CLIENT, CLIENTS] = [20, 8] as const;
/** In the moment after tables came into force somewhere, one is sent so often. */
const AFTER_CHANGE = 0.5;
/** A client repeats its frame then; this one does not. */
const WAITS_MS = 1000;

export interface Opening {
  readonly frame: ClientFrame;
  readonly text: string;
  readonly sentMs: number;
  /** Who has taken it. */
  readonly takers: Set<NodeId>;
  /** Where it has waited. */
  readonly keepers: Set<NodeId>;
}

export interface OpeningsParts {
  readonly world: World;
  readonly plane: DataPlane;
  readonly connections: Connections;
  readonly prng: Prng;
}

export class Openings implements Observer {
  /** Those that were sent within WAITS_MS; the oldest first. */
  recent: Opening[] = [];
  /** Since the start: all, and those that had to wait. */
  opened = 0;
  held = 0;
  /** Its time is over. */
  ended: (opening: Opening) => void = () => {};
  /** Somebody has taken it. */
  taken: (opening: Opening) => void = () => {};
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #connections: Connections;
  readonly #prng: Prng;
  readonly #byFrame = new Map<ClientFrame, Opening>();
  #nextMs = 0;
  #port = 1024;
  #isDue = false;

  constructor({ world, plane, connections, prng }: OpeningsParts) {
    this.#world = world;
    this.#plane = plane;
    this.#connections = connections;
    this.#prng = prng;
    world.sendOn = (from, frame, to) => this.#sentOn(from, frame, to);
  }

  installed(): void {
    if (this.#isDue || !this.#connections.isFlooded) return;
    this.#isDue = true;
    this.#world.in(0, () => {
      this.#isDue = false;
      if (this.#prng.chance(AFTER_CHANGE)) this.#open(WEB_PORT);
    });
  }

  sample(): void {
    const { nowMs } = this.#world;
    for (;;) {
      const [oldest] = this.recent;
      if (oldest === undefined || nowMs - oldest.sentMs < WAITS_MS) break;
      this.recent.shift();
      this.#byFrame.delete(oldest.frame);
      this.ended(oldest);
    }
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + this.#prng.below(2 * EVERY_MS);
    this.#open(LAZY_PORT);
  }

  #open(to: number): void {
    const client = FIRST_CLIENT + this.#prng.below(CLIENTS);
    const from = this.#port;
    this.#port = from >= 60_000 ? 1024 : from + 1;
    const frame = clientFrame(VIP, { client, from, to }, true);
    const text = `192.0.2.${client}:${from} > ${VIP}:${to}`;
    const { nowMs: sentMs } = this.#world;
    const opening = { frame, text, sentMs, takers: new Set<NodeId>(), keepers: new Set<NodeId>() };
    this.opened += 1;
    this.recent.push(opening);
    this.#byFrame.set(frame, opening);
    for (const fate of this.#connections.fates(frame)) this.#became(opening, fate);
    if (opening.keepers.size > 0) this.held += 1;
  }

  #became(opening: Opening, fate: Fate): void {
    if (fate.what === "taken") {
      opening.takers.add(fate.by);
      return this.taken(opening);
    }
    if (fate.what !== "held") return;
    opening.keepers.add(fate.by);
    const node = this.#world.node(fate.by);
    const place = slotOfFrame(node.program.tables, opening.frame);
    if (place === undefined) return;
    node.agent?.main.held.arrived(opening.frame, { group: place.group.name, slot: place.slot });
  }

  #sentOn(from: SimNode, frame: ClientFrame, to: NodeId): void {
    const opening = this.#byFrame.get(frame);
    if (opening !== undefined) this.#became(opening, this.#plane.sendOn(from, to, frame));
  }
}
