// Every queue stays within its bound, and nobody talks more than the protocol has reason to: two machines that answer each other's
// answers would.
import { HOLD_LIMITS } from "#core/steering/hold-queue.ts";
import { SOCKET_DATAGRAMS, type Heart } from "../heart.ts";
import { MOST_QUEUED } from "../control.ts";
import { MOST_UNREAD } from "../held-frames.ts";
import type { Observer } from "../probes.ts";
import { MOST_TASKS } from "../task-queue.ts";
import { Violation } from "../violation.ts";
import { SAMPLE_MS, type World } from "../world.ts";

/** Datagrams of one node in a second: 20 keepalives per 200 ms, probes and answers for each other node. */
const FEWEST_ALLOWED = 500;
const ALLOWED_PER_NODE = 100;
const SECOND = 1000 / SAMPLE_MS;

export class Queues implements Observer {
  readonly #world: World;
  readonly #sent: number[] = [];
  #samples = 0;
  /** The most that was seen, for the summary. */
  most = { datagrams: 0, tasks: 0, held: 0, sentPerSecond: 0 };

  constructor(world: World) {
    this.#world = world;
  }

  sent(heart: Heart): void {
    this.#sent[heart.id] = (this.#sent[heart.id] ?? 0) + 1;
  }

  sample(): void {
    this.#samples += 1;
    for (const { id, agent } of this.#world.nodes) {
      if (agent === undefined) continue;
      this.#within(id, "datagrams", agent.heart.waiting, SOCKET_DATAGRAMS);
      this.#within(id, "tasks", agent.main.tasks.length, MOST_TASKS);
      this.#within(id, "held", agent.main.held.waiting, MOST_UNREAD + HOLD_LIMITS.frames);
      for (const follower of agent.main.followers.connections) {
        if (follower.queued > MOST_QUEUED) {
          throw new Violation(
            "queues",
            `a member's connection to node ${id} holds ${follower.queued} messages`,
          );
        }
      }
    }
    if (this.#samples % SECOND !== 0) return;
    const allowed = FEWEST_ALLOWED + ALLOWED_PER_NODE * this.#world.nodes.length;
    for (const { id } of this.#world.nodes)
      this.#within(id, "sentPerSecond", this.#sent[id] ?? 0, allowed);
    this.#sent.length = 0;
  }

  #within(id: number, what: keyof Queues["most"], count: number, limit: number): void {
    if (count > this.most[what]) this.most[what] = count;
    if (count <= limit) return;
    throw new Violation("queues", `node ${id}: ${count} ${what}, more than ${limit}`);
  }
}
