// One run of the simulation from a seed: one fault after another, each when the one before is over.
import type { ReplicaCount } from "#core/takeover/replica-choice.ts";
import { serveLines } from "./application.ts";
import { World } from "./world.ts";

export const FAULTS = ["kill", "freeze", "cut", "split", "move", "hang"] as const;
const FIRST_MS = 300;
const EVERY_MS = 3000;
/** Much longer than everything that is said and lost. */
const LIMIT_MS = 120_000;

/** How many members there are, and how many others hold each connection. */
export interface Spread {
  readonly members: number;
  readonly replicas: ReplicaCount;
}

export const EVERYWHERE: Spread = { members: 3, replicas: "all" };

export async function run(
  seed: number,
  faults: number,
  { members, replicas }: Spread = EVERYWHERE,
  say: (line: string) => void = () => {},
): Promise<World> {
  const world = new World({
    ...{ seed, members, replicas, connections: 6, lines: 40, serve: serveLines },
    ...{ loss: [0, 0.01, 0.05][seed % 3] ?? 0, duplicates: seed % 2 === 0 ? 0 : 0.02 },
  });
  const { prng } = world;
  for (let index = 0; index < faults; index++) {
    world.at(FIRST_MS + index * EVERY_MS + prng.below(800), () => {
      const victim = prng.pick(world.present);
      const fault = prng.pick(FAULTS);
      say(`${world.nowMs.toFixed(0)} ${fault} ${fault === "move" ? "" : victim.id}`);
      if (fault === "move") return world.move(prng.below(8));
      world[fault](victim);
      world.at(500 + prng.below(1200), () => {
        say(`${world.nowMs.toFixed(0)} ${victim.id} is back`);
        world.return(victim);
      });
    });
  }
  await world.run(LIMIT_MS);
  return world;
}
