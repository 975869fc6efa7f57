// One run from one seed: a cluster comes up, then rounds of operations, storms and healing, with every checker looking on until the
// simulated time is over or one of them finds something.
import { Prng } from "#base/prng.ts";
import { Adaptive } from "./checkers/adaptive.ts";
import { Answering } from "./checkers/answering.ts";
import { Convergence, HEAL_MS } from "./checkers/convergence.ts";
import { Deltas } from "./checkers/deltas.ts";
import { Exceptions } from "./checkers/exceptions.ts";
import { Failover } from "./checkers/failover.ts";
import { Flooded } from "./checkers/flooded.ts";
import { NoGhosts } from "./checkers/no-ghosts.ts";
import { NothingLost } from "./checkers/nothing-lost.ts";
import { NoLostConnection } from "./checkers/no-lost-connection.ts";
import { OneMaster } from "./checkers/one-master.ts";
import { OneTaker } from "./checkers/one-taker.ts";
import { ServedOnce } from "./checkers/openings.ts";
import { Ownership } from "./checkers/ownership.ts";
import { Queues } from "./checkers/queues.ts";
import { Replays } from "./checkers/replays.ts";
import { TablesOrder } from "./checkers/tables-order.ts";
import { Watchdog } from "./checkers/watchdog.ts";
import { firstConfig, spreadConfig } from "./cluster-spec.ts";
import { Conditions } from "./conditions.ts";
import { DataPlane } from "./data-plane.ts";
import { Excuses } from "./excuses.ts";
import { Parts } from "./parts.ts";
import { Quiet } from "./quiet.ts";
import { Violation } from "./violation.ts";
import { Attacker } from "./workloads/attacker.ts";
import { Connections } from "./workloads/connections.ts";
import { Openings } from "./workloads/openings.ts";
import { Operations } from "./workloads/operations.ts";
import { Storm } from "./workloads/storm.ts";
import { WellCluster } from "./well-cluster.ts";
import { World } from "./world.ts";

export interface RunSettings {
  readonly seed: number;
  readonly nodes: number;
  readonly minutes: number;
  /** VIPs on several interface nodes (B10). */
  readonly spread?: boolean;
}

export interface Failure {
  readonly checker: string;
  readonly message: string;
  readonly atMs: number;
  readonly transcript: readonly string[];
}

export interface RunResult {
  readonly seed: number;
  readonly digest: string;
  readonly simulatedMs: number;
  readonly events: number;
  readonly failure: Failure | undefined;
  readonly counts: Readonly<Record<string, number>>;
}

/** Lines of transcript that go with a failure. */
const TRANSCRIPT_LINES = 120;
const START_SPREAD_MS = 500;

/** A checker's finding, or a machine that threw: that is a finding, too. */
export function failureOf({ nowMs, transcript }: World, error: unknown): Failure {
  const checker = error instanceof Violation ? error.checker : "no-exception";
  const message =
    error instanceof Violation
      ? error.message
      : error instanceof Error
        ? (error.stack ?? "")
        : String(error);
  return { checker, message, atMs: nowMs, transcript: transcript.last(TRANSCRIPT_LINES) };
}

export class Simulation {
  readonly world: World;
  readonly #settings: RunSettings;
  readonly #prng: Prng;
  readonly #conditions: Conditions;
  readonly #storm: Storm;
  readonly #operations: Operations;
  readonly #attacker: Attacker;
  readonly #convergence: Convergence;
  readonly #failover: Failover;
  readonly #connections: Connections;
  readonly #watchdog: Watchdog;
  readonly #replays: Replays;
  readonly #ownership: Ownership;
  readonly #segments: NoLostConnection;
  readonly #oneTaker: OneTaker;
  readonly #nothingLost: NothingLost;
  readonly #openings: Openings;
  readonly #servedOnce: ServedOnce;
  readonly #exceptions: Exceptions;
  readonly #deltas: Deltas;
  #rounds = 0;

  constructor(settings: RunSettings) {
    const { seed, nodes, spread = false } = settings;
    this.#settings = settings;
    this.#prng = new Prng(seed ^ 0x517);
    const world = new World({ seed, nodes, config: spread ? spreadConfig : firstConfig });
    this.world = world;
    const conditions = new Conditions(world);
    this.#conditions = conditions;
    const plane = new DataPlane(world);
    const parts = new Parts(world);
    this.#connections = new Connections(world, plane, seed);
    this.#convergence = new Convergence(world, conditions);
    const isWhole = (): boolean => this.#convergence.missing() === undefined;
    this.#failover = new Failover(world, plane, conditions, isWhole);
    this.#watchdog = new Watchdog(world, parts);
    this.#replays = new Replays();
    this.#ownership = new Ownership(world, plane, parts, conditions);
    const quiet = new Quiet(world);
    const excuses = new Excuses(world, this.#connections);
    const clients = { connections: this.#connections, excuses, quiet };
    this.#segments = new NoLostConnection(world, plane, clients);
    this.#oneTaker = new OneTaker(world, plane, parts);
    const well = new WellCluster(world, parts);
    this.#nothingLost = new NothingLost(world, plane, well);
    this.#openings = new Openings({
      ...{ world, plane, connections: this.#connections },
      prng: new Prng(seed ^ 0x0be),
    });
    this.#servedOnce = new ServedOnce(world, parts, well, this.#openings);
    this.#exceptions = new Exceptions(world, conditions);
    this.#deltas = new Deltas(world);
    const common = { world, conditions, parts };
    this.#storm = new Storm({ ...common, prng: new Prng(seed ^ 0x5707) });
    this.#operations = new Operations({
      ...common,
      prng: new Prng(seed ^ 0x09e7),
      failover: this.#failover,
      spread,
    });
    this.#attacker = new Attacker(world, new Prng(seed ^ 0xa77));
    world.network.overheard = (packet) => this.#attacker.hear(packet);
    world.observe([
      parts,
      quiet,
      excuses,
      this.#connections,
      well,
      this.#openings,
      this.#servedOnce,
      new OneMaster(world, parts),
      new Answering(world, plane, parts),
      new TablesOrder(world),
      new NoGhosts(world),
      this.#replays,
      new Adaptive(world),
      this.#watchdog,
      new Queues(world),
      this.#ownership,
      this.#segments,
      this.#failover,
      this.#convergence,
      this.#oneTaker,
      this.#nothingLost,
      new Flooded(world, plane, parts),
      this.#exceptions,
      this.#deltas,
    ]);
  }

  run(): RunResult {
    let failure: Failure | undefined;
    try {
      this.#comeUp();
      while (this.world.nowMs < this.#settings.minutes * 60_000) this.#round();
    } catch (error) {
      failure = failureOf(this.world, error);
    }
    const { world } = this;
    return {
      seed: this.#settings.seed,
      digest: world.transcript.digest,
      simulatedMs: world.nowMs,
      events: world.transcript.events,
      failure,
      counts: this.#counts(),
    };
  }

  #counts(): Record<string, number> {
    const hostile = [...this.#replays.hostile.values()].reduce((sum, count) => sum + count, 0);
    return {
      rounds: this.#rounds,
      connections: this.#connections.opened,
      sessions: this.#connections.sessions,
      ...this.#excused(),
      segments: this.#segments.segments,
      failovers: this.#failover.checked,
      floodedLooks: this.#oneTaker.looks,
      movesWatched: this.#nothingLost.looks,
      mostExceptions: this.#exceptions.most,
      openings: this.#openings.opened,
      openingsHeld: this.#openings.held,
      openingsWatched: this.#servedOnce.looks,
      tablesWanted: this.#deltas.wanted,
      ownershipChecks: this.#ownership.evaluations,
      hostileDatagrams: hostile,
      falseAlarms: this.#watchdog.falseAlarms,
      slowestHealingMs: Math.round(Math.max(0, ...this.#convergence.tookMs)),
    };
  }

  /** All of them, and how many of each kind. */
  #excused(): Record<string, number> {
    const { excused } = this.#connections;
    const all = [...excused.values()].reduce((sum, count) => sum + count, 0);
    const kinds = Array.from(excused, ([why, count]) => [`excused: ${why}`, count]);
    return { excusedConnections: all, ...Object.fromEntries(kinds) };
  }

  #pass(durationMs: number): void {
    this.world.runUntil(this.world.nowMs + durationMs);
  }

  #comeUp(): void {
    for (const node of this.world.nodes) {
      this.world.in(this.#prng.below(START_SPREAD_MS), () => node.start(this.world.config));
    }
    this.#pass(START_SPREAD_MS);
    this.#heal();
  }

  #heal(): void {
    this.#storm.rest();
    this.#conditions.healing = true;
    this.#pass(HEAL_MS + 1000);
    this.#conditions.healing = false;
  }

  /** Operations on a cluster that is well, faults, and back to a cluster that is well. */
  #round(): void {
    this.#rounds += 1;
    if (this.#prng.chance(0.7)) {
      this.#operations.begin(this.#prng.pick([500, 2000, 6000]));
      this.#pass(5000 + this.#prng.below(40_000));
      this.#operations.close();
      this.#pass(8000);
      this.#heal();
    }
    if (this.#prng.chance(0.4)) this.#attacker.begin(this.#prng.pick([2, 20, 200]));
    if (this.#prng.chance(0.8)) {
      this.#storm.rage(this.#prng.pick([300, 1500, 5000]));
      this.#pass(5000 + this.#prng.below(40_000));
    }
    this.#attacker.end();
    this.#heal();
    this.#pass(this.#prng.below(20_000));
  }
}
