// One run of a cluster whose group is balanced by measured load (A8): the load shifts, weights change, a member leaves and comes back;
// each time it must end in balance, and stay there. Nothing else goes wrong in it: faults are what simulation.ts is for.
import { Prng } from "#base/prng.ts";
import type { GroupSpec } from "#core/node/cluster-spec.ts";
import { DEFAULT_DETECTION } from "#core/membership/protocol.ts";
import { Balance, SETTLED_MS } from "./checkers/balance.ts";
import { Queues } from "./checkers/queues.ts";
import { TablesOrder } from "./checkers/tables-order.ts";
import { configOf } from "./cluster-config.ts";
import { specOf } from "./cluster-spec.ts";
import { failureOf, type RunResult, type RunSettings } from "./simulation.ts";
import { ShiftingLoad } from "./workloads/shifting-load.ts";
import { World } from "./world.ts";

const COME_UP_MS = 12_000;
/** Long enough to see that it stays in balance. */
const STEADY_MS = SETTLED_MS + 60_000;
const SLOTS = 32;

export class BalancingRun {
  readonly #settings: RunSettings;
  readonly #prng: Prng;
  readonly #world: World;
  readonly #load: ShiftingLoad;
  readonly #balance: Balance;
  readonly #changes = [
    () => this.#shift(),
    () => this.#shift(),
    () => this.#weigh(),
    () => this.#leave(),
  ];

  constructor(settings: RunSettings) {
    const { seed, nodes } = settings;
    this.#settings = settings;
    this.#prng = new Prng(seed ^ 0xba1);
    const balance = this.#prng.pick(["packets", "bytes"] as const);
    const method = this.#prng.pick(["forward", "unicast", "multicast", "igmp"] as const);
    const measured = (group: GroupSpec): GroupSpec => ({ ...group, balance, slots: SLOTS });
    this.#world = new World({
      seed,
      nodes,
      config: (admitted) => {
        const spec = specOf(admitted);
        const groups = spec.groups.slice(0, 1).map(measured);
        const content = { admitted, revoked: [], detection: DEFAULT_DETECTION };
        return configOf(1, { ...content, spec: { ...spec, method, groups } });
      },
    });
    this.#load = new ShiftingLoad("web", SLOTS, new Prng(seed ^ 0x10ad));
    this.#world.load = this.#load;
    this.#balance = new Balance(this.#world, this.#load);
    const { network } = this.#world;
    network.weather.loss = this.#prng.pick([0, 0, 0.01]);
    this.#world.observe([this.#balance, new TablesOrder(this.#world), new Queues(this.#world)]);
  }

  run(): RunResult {
    const world = this.#world;
    let failure: RunResult["failure"];
    try {
      for (const node of world.nodes) node.start(world.config);
      world.runUntil(COME_UP_MS);
      while (world.nowMs < this.#settings.minutes * 60_000) this.#round();
    } catch (error) {
      failure = failureOf(world, error);
    }
    const { moves, settled, slowestMs } = this.#balance;
    return {
      seed: this.#settings.seed,
      digest: world.transcript.digest,
      simulatedMs: world.nowMs,
      events: world.transcript.events,
      failure,
      counts: { moves, settled, slowestMoveMs: Math.round(slowestMs) },
    };
  }

  /** Something changes, and then nothing for a while. */
  #round(): void {
    const world = this.#world;
    this.#balance.disturbed();
    this.#prng.pick(this.#changes)();
    this.#balance.steady();
    world.runUntil(world.nowMs + STEADY_MS);
    const [master] = world.masters;
    const group = master?.agent?.main.config.spec.groups[0];
    this.#balance.judge(new Map(group?.nodes.map(({ id, weight }) => [id, weight])));
  }

  #shift(): void {
    this.#world.probes.fault("the load shifts");
    this.#load.shift();
  }

  #weigh(): void {
    const main = this.#world.masters[0]?.agent?.main;
    if (main === undefined) return;
    const { spec } = main.config;
    const weigh = (group: GroupSpec): GroupSpec => ({
      ...group,
      nodes: group.nodes.map(({ id }) => ({ id, weight: this.#prng.pick([5, 10, 20]) })),
    });
    this.#world.probes.fault("operator changes the weights");
    main.edit({ spec: { ...spec, groups: spec.groups.map(weigh) } });
  }

  /** A member is away for a while, and is filled slot by slot when it returns. */
  #leave(): void {
    const world = this.#world;
    const node = this.#prng.pick(world.nodes);
    world.probes.fault(`node ${node.id} leaves`);
    node.leave();
    world.runUntil(world.nowMs + 5000 + this.#prng.below(30_000));
    node.start(world.config);
    world.runUntil(world.nowMs + COME_UP_MS);
  }
}
