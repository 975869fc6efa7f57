// A9, A12, A17: a master gives up a member only after a whole detection interval without a word of it in its kernel, and a member
// whose link and machine are well is not given up at all.
import type { Received } from "#core/membership/protocol.ts";
import type { Instant } from "#base/time.ts";
import type { Heart, MembershipEvent } from "../heart.ts";
import type { Parts } from "../parts.ts";
import type { Observer } from "../probes.ts";
import type { Packet } from "../packet.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** Well for so long, and well on both sides. */
const WELL_MS = 2000;

interface Ear {
  masterSince: Instant | undefined;
  readonly heard: (Instant | undefined)[];
  /** Which start of each node is the member: what an earlier one said may be a recording, and a later one has to join first. */
  readonly boots: (bigint | undefined)[];
  /** Of the last word of each node. */
  readonly lastBoots: (bigint | undefined)[];
}

export class Watchdog implements Observer {
  readonly #world: World;
  readonly #parts: Parts;
  readonly #ears = new WeakMap<Heart, Ear>();
  /** Members given up though nothing but bearable loss was wrong. */
  falseAlarms = 0;

  constructor(world: World, parts: Parts) {
    this.#world = world;
    this.#parts = parts;
  }

  #ear(heart: Heart): Ear {
    let ear = this.#ears.get(heart);
    if (ear === undefined) {
      ear = { masterSince: undefined, heard: [], boots: [], lastBoots: [] };
      this.#ears.set(heart, ear);
    }
    return ear;
  }

  received(heart: Heart, _packet: Packet, received: Received, isTaken: boolean): void {
    if (!isTaken || received.message.type !== "member-keepalive") return;
    if (heart.machine.view.role !== "master") return;
    const { heard, boots, lastBoots } = this.#ear(heart);
    const { sender, boot, at } = received;
    lastBoots[sender] = boot;
    boots[sender] ??= boot;
    if (boot === boots[sender]) heard[sender] = at;
  }

  decided(heart: Heart, event: MembershipEvent): void {
    const { boots, lastBoots } = this.#ear(heart);
    if (event.type === "became-master") {
      this.#ear(heart).masterSince = heart.localNow;
      boots.length = 0;
    }
    if (event.type === "member-joined") {
      const { id } = event.member;
      boots[id] = lastBoots[id];
      this.#ear(heart).heard[id] = heart.localNow;
    }
    if (event.type !== "member-departed") return;
    boots[event.id] = undefined;
    if (event.reason !== "silent" && event.reason !== "agent-down") return;
    const { masterSince, heard } = this.#ear(heart);
    const now = heart.localNow;
    if (masterSince === now) return; // what the old master's members did not agree to
    this.#wasSilent(heart, event.id, now - (heard[event.id] ?? masterSince ?? now));
    this.#wasUnwell(heart, event.id);
  }

  #wasSilent(heart: Heart, id: number, silenceMs: number): void {
    if (silenceMs >= heart.detectionMs - 0.001) return;
    const text = `node ${heart.id} gave up node ${id}, which it had heard ${silenceMs.toFixed(1)} ms before`;
    throw new Violation("watchdog", text);
  }

  #wasUnwell(heart: Heart, id: number): void {
    const [master, member] = [this.#world.node(heart.id), this.#world.node(id)];
    if (this.#parts.fineForMs(master, member) < WELL_MS) return;
    if (this.#world.network.unheardBetween(heart.id, id) > 0) {
      this.falseAlarms += 1;
      return;
    }
    const text = `node ${heart.id} gave up node ${id}, though both have been well and connected`;
    throw new Violation("watchdog", text);
  }
}
