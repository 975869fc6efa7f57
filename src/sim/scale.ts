// `npm run sim -- --scale`: what membership costs and how long it takes, by the number of members: messages and bytes on the segment, and
// the time from the start of all nodes, and from the master's death, until every node is a member of one cluster.
import { addressOf, World } from "./world.ts";
import { configOf } from "./cluster-config.ts";
import { specOf } from "./cluster-spec.ts";
import type { SimOptions } from "./options.ts";
import type { Observer } from "./probes.ts";
import { DEFAULT_DETECTION } from "#core/membership/protocol.ts";
import { MAX_ROSTER } from "#wire/cluster/message.ts";

const SIZES = [3, 5, 10, 20, 50, 100, 200, 500, 1000];
const LIMIT_MS = 60_000;
const MEASURED_MS = 5000;
const START_SPREAD_MS = 500;

export interface ScaleRow {
  readonly members: number;
  /** Undefined: not within a minute. */
  readonly startMs: number | undefined;
  readonly failoverMs: number | undefined;
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  /** Received by the master, which hears everybody. */
  readonly masterHearsPerSecond: number;
}

class Meter implements Observer {
  messages = 0;
  bytes = 0;
  arrivals = 0;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    world.network.overheard = ({ bytes }) => {
      this.messages += 1;
      this.bytes += bytes.byteLength;
    };
  }

  received(heart: { readonly id: number }): void {
    if (heart.id === this.#world.masters[0]?.id) this.arrivals += 1;
  }
}

const running = (world: World) => world.nodes.filter(({ agent }) => agent !== undefined);

/** One master, whom all others follow; it lists them all. */
function isWhole(world: World): boolean {
  const [master, rival] = world.masters;
  if (master === undefined || rival !== undefined) return false;
  const nodes = running(world);
  return nodes.every((node) => {
    const view = node.agent?.heart.machine.view;
    return view?.master === master.id && view.members.length === nodes.length;
  });
}

function untilWhole(world: World): number | undefined {
  const sinceMs = world.nowMs;
  while (world.nowMs - sinceMs < LIMIT_MS) {
    world.runUntil(world.nowMs + 5);
    if (isWhole(world)) return Math.round(world.nowMs - sinceMs);
  }
  return undefined;
}

export function measure(members: number, seed: number): ScaleRow {
  const world = new World({
    seed,
    nodes: members,
    config: (admitted) =>
      configOf(1, {
        ...{ admitted, revoked: [], detection: DEFAULT_DETECTION },
        // only the first nodes serve: slots are not what is measured
        spec: specOf(admitted.slice(0, 8)),
      }),
  });
  const meter = new Meter(world);
  world.observe([meter]);
  for (const node of world.nodes) {
    world.in((node.id * START_SPREAD_MS) / members, () => node.start(world.config));
  }
  const startMs = untilWhole(world);
  world.runUntil(world.nowMs + 10_000);
  Object.assign(meter, { messages: 0, bytes: 0, arrivals: 0 });
  world.runUntil(world.nowMs + MEASURED_MS);
  const { messages, bytes, arrivals } = meter;
  const perSecond = (count: number): number => Math.round((count * 1000) / MEASURED_MS);
  world.masters[0]?.crash();
  const failoverMs = startMs === undefined ? undefined : untilWhole(world);
  return {
    members,
    startMs,
    failoverMs,
    messagesPerSecond: perSecond(messages),
    bytesPerSecond: perSecond(bytes),
    masterHearsPerSecond: perSecond(arrivals),
  };
}

const cell = (value: number | undefined): string => (value === undefined ? "–" : String(value));

export function scaleTable(rows: readonly ScaleRow[]): string {
  const head =
    "| members | up after ms | new master after ms | messages/s | kB/s | master hears/s |";
  const line = "|---:|---:|---:|---:|---:|---:|";
  const body = rows.map((row) => {
    const kilobytes = (row.bytesPerSecond / 1000).toFixed(1);
    const { members, startMs, failoverMs, messagesPerSecond, masterHearsPerSecond } = row;
    return `| ${members} | ${cell(startMs)} | ${cell(failoverMs)} | ${messagesPerSecond} | ${kilobytes} | ${masterHearsPerSecond} |`;
  });
  return [head, line, ...body].join("\n");
}

export function measureScale({ seed, json }: SimOptions): number {
  const rows = SIZES.filter((size) => size <= MAX_ROSTER && addressOf(size) !== undefined).map(
    (size) => {
      console.error(`… ${size} members`);
      return measure(size, seed);
    },
  );
  console.log(json ? JSON.stringify({ ok: true, rows }) : scaleTable(rows));
  return 0;
}
