// A member dies without a word under dialogues and downloads: how long its sessions stood still, and how many are gone.
import { monotonicMs } from "../failover-attempts.ts";
import { pause } from "../failover-client.ts";
import type { SessionsClient, SessionsLab } from "./lab.ts";
import type { Gap, Report } from "./ports.ts";

export interface DeathSeen {
  /** From the death until the first survivor said so. */
  readonly detectionMs: number;
  /** Of each session that moved: from that moment until bytes came again. */
  readonly afterMs: Readonly<Record<Gap["kind"], readonly number[]>>;
  /** From that moment until the last session was there; undefined: none moved. */
  readonly lastResumedMs: number | undefined;
  readonly resumed: number;
  readonly report: Report;
}

/** What is shorter was no standstill of a session that moved. */
const SHORTEST_GAP_MS = 30;

export async function dies(
  { lab, client }: { readonly lab: SessionsLab; readonly client: SessionsClient },
  victim: string,
  watchMs: number,
): Promise<DeathSeen> {
  const { cluster } = lab;
  const survivors = cluster.members.filter((member) => member !== victim);
  await client.report();
  const deathAt = monotonicMs();
  await cluster.lab.faults.kill(victim);
  await pause(watchMs);
  const report = await client.report();
  const said = survivors.flatMap((member) => lab.said(member)).filter(({ at }) => at > deathAt);
  const leftAt = Math.min(...said.filter(({ what }) => what === "left").map(({ at }) => at));
  const resumed = said.filter(({ what }) => what === "resumed").map(({ at }) => at);
  const moved = report.gaps.filter(
    ({ from, to }) => from <= leftAt && to >= leftAt && to - from > SHORTEST_GAP_MS,
  );
  const after = (kind: Gap["kind"]): number[] =>
    moved.filter((gap) => gap.kind === kind).map(({ to }) => to - leftAt);
  return {
    detectionMs: leftAt - deathAt,
    afterMs: { dialogue: after("dialogue"), download: after("download") },
    lastResumedMs: resumed.length === 0 ? undefined : Math.max(...resumed) - leftAt,
    resumed: resumed.length,
    report,
  };
}

/** As before the death. */
export async function returns(lab: SessionsLab, victim: string): Promise<void> {
  await lab.cluster.lab.faults.revive(victim);
  await lab.cluster.settled();
  await lab.serve(victim);
  await lab.linked();
}
