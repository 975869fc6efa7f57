// `npm run bench -- changes`: an operator's changes under ten thousand long connections, none of which may break (B4), and how
// long a publication takes with as many pinned.
import type { SuiteOptions } from "./lib/options.ts";
import { median } from "./lib/statistics.ts";
import { changesUnderLongConnections, type LongFindings } from "./changes-long.ts";
import { publications, type PublishFindings } from "./changes-publish.ts";
import type { Row, Suite } from "./suite.ts";

const FULL = {
  connections: 10_000,
  changes: 200,
  everyMs: 2850,
  leastMs: 600_000,
  publications: 15,
};
const QUICK = { connections: 1000, changes: 40, everyMs: 1000, leastMs: 0, publications: 5 };
const SAY_EVERY_MS = 5000;
const MOST_MS = 100;

export async function changes({ quick, say }: SuiteOptions): Promise<Suite> {
  const plan = quick ? QUICK : FULL;
  const { connections } = plan;
  const published = await publications({ ...plan, say });
  const long = await changesUnderLongConnections({
    ...plan,
    spread: true,
    name: `bl${process.pid}`,
    sayEveryMs: SAY_EVERY_MS,
    say,
  });
  return {
    name: "changes",
    title: "Changes under long connections",
    method: [
      `${connections} TCP connections through four VIPs on several interface nodes to four members, each saying a line every ${SAY_EVERY_MS / 1000} s and waiting for`,
      "its echo; broken: reset, closed, or silent for 5 s. Changes: weights, drained nodes, VIPs moved, a node taken out of the configuration and put back.",
      "Publication: a weight moves half of 65 536 slots; from the master's decision, when it writes down the operator's change, until the",
      `packet program of the last of four members goes by the tables that follow. Median of ${plan.publications}.`,
    ],
    rows: [...publishRows(published), ...longRows(long, plan)],
  };
}

function publishRows({ tookMs, decidedMs, exceptions, broken }: PublishFindings): Row[] {
  const value = median(decidedMs);
  const name = `publish 65 536 slots with ${exceptions} exceptions`;
  const target = { text: `< ${MOST_MS} ms`, met: value < MOST_MS };
  return [
    { name, value, unit: "ms", target },
    { name: "the longest of them", value: Math.max(...decidedMs), unit: "ms" },
    { name: "from the operator's request", value: median(tookMs), unit: "ms" },
    noneOf("connections broken meanwhile", broken),
  ];
}

function longRows(long: LongFindings, plan: typeof FULL): Row[] {
  const enough = { text: `≥ ${plan.changes}`, met: long.changes >= plan.changes };
  const least = plan.leastMs / 1000;
  const longEnough = { text: `≥ ${least}`, met: long.seconds >= least };
  return [
    { name: "changes", value: long.changes, unit: "", target: enough },
    { name: "they took", value: long.seconds, unit: "s", target: longEnough },
    { name: "slots that moved", value: long.slotsMoved, unit: "" },
    { name: "VIPs that moved", value: long.vipMoves, unit: "" },
    { name: "most exceptions at once", value: long.mostExceptions, unit: "" },
    { name: "exceptions refused", value: long.exceptionsRefused, unit: "" },
    noneOf(`connections broken, of ${long.findings.opened}`, long.findings.broken.length),
  ];
}

const noneOf = (name: string, value: number): Row => ({
  name,
  value,
  unit: "",
  target: { text: "none", met: value === 0 },
});
