// What a client saw of a failover: attempts with their start and end, and from which moment on it was served again.

/** One new TCP connection with one tiny HTTP request. Times: CLOCK_MONOTONIC, the same in every process. */
export interface Attempt {
  readonly address: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** Name of the host that answered; undefined when none did within the limit. */
  readonly server: string | undefined;
}

/** Milliseconds since boot. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const NOBODY = "-";

export const printAttempt = ({ address, startedAt, endedAt, server }: Attempt): string =>
  `${address} ${startedAt.toFixed(3)} ${endedAt.toFixed(3)} ${server ?? NOBODY}\n`;

export function parseAttempt(line: string): Attempt {
  const [address = "", startedAt = "", endedAt = "", server = NOBODY] = line.split(" ");
  return {
    address,
    startedAt: Number(startedAt),
    endedAt: Number(endedAt),
    server: server === NOBODY ? undefined : server,
  };
}

export interface Outage {
  /** From the death until the start of the first attempt from which on every one succeeded. */
  readonly ms: number;
  /** False: the last attempt watched still failed, so `ms` is only a lower bound. */
  readonly ended: boolean;
  readonly failed: number;
  readonly attempted: number;
}

/** What happened to the attempts that were under way at `deathAt` or started before `until`. */
export function outageOf(attempts: readonly Attempt[], deathAt: number, until: number): Outage {
  const watched = attempts
    .filter(({ startedAt, endedAt }) => endedAt >= deathAt && startedAt < until)
    .toSorted((a, b) => a.startedAt - b.startedAt);
  const failed = watched.filter(({ server }) => server === undefined).length;
  const lastFailure = watched.findLastIndex(({ server }) => server === undefined);
  const recovered = watched
    .slice(lastFailure + 1)
    .find(({ startedAt }) => startedAt >= deathAt)?.startedAt;
  return {
    ms: (recovered ?? until) - deathAt,
    ended: recovered !== undefined,
    failed,
    attempted: watched.length,
  };
}
