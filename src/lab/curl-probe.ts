// One stock curl that asks a URL again and again, each time over a new connection, and what it saw over time.
import type { ChildProcess } from "node:child_process";
import type { Lab } from "./lab.ts";

/** One request as the client saw it. Times are of performance.now(). */
export interface Sight {
  readonly endedAt: number;
  readonly startedAt: number;
  readonly ok: boolean;
  /** Name of the host that answered (X-Served-By); empty when none did. */
  readonly server: string;
}

export interface ProbeOptions {
  readonly host: string;
  readonly url: string;
  /** Pause between requests is 1000 / perSecond at most. */
  readonly perSecond: number;
  /** A request that takes longer has failed. */
  readonly requestLimitMs: number;
}

/** curl's globbing makes one process ask this many times. */
const MOST_REQUESTS = 1_000_000;
/** Sights kept; older ones are forgotten. */
const MOST_SIGHTS = 200_000;

export class CurlProbe {
  readonly sights: Sight[] = [];
  readonly #child: ChildProcess;
  #rest = "";

  constructor(lab: Lab, { host, url, perSecond, requestLimitMs }: ProbeOptions) {
    const argv = [
      ...["curl", "--silent", "--no-buffer", "--no-keepalive", "--header", "Connection: close"],
      ...["--max-time", String(requestLimitMs / 1000), "--rate", `${perSecond}/s`],
      ...["--write-out", "%{stderr}%{http_code} %{time_total} %header{x-served-by}\\n"],
      ...["--output", "/dev/null"],
      // brackets of an IPv6 address are not a range
      `${url.replace("[", "\\[").replace("]", "\\]")}?[1-${MOST_REQUESTS}]`,
    ];
    this.#child = lab.spawn(host, argv, { stdio: ["ignore", "ignore", "pipe"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#rest += text;
      const lines = this.#rest.split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#saw(line);
    });
  }

  #saw(line: string): void {
    const match = /^(\d{3}) ([\d.]+) (\S*)$/.exec(line);
    if (match === null) return;
    const endedAt = performance.now();
    const startedAt = endedAt - Number(match[2]) * 1000;
    this.sights.push({ startedAt, endedAt, ok: match[1] === "200", server: match[3] ?? "" });
    if (this.sights.length > MOST_SIGHTS) this.sights.shift();
  }

  since(moment: number): Sight[] {
    return this.sights.filter(({ startedAt }) => startedAt >= moment);
  }

  /** From `moment` until the client's first answer after its last failure; 0 when nothing failed. Undefined: not over. */
  interruptionMs(moment: number): number | undefined {
    const after = this.sights.filter(({ endedAt }) => endedAt >= moment);
    const lastFailure = after.findLastIndex(({ ok }) => !ok);
    const recovered = after[lastFailure + 1];
    if (recovered === undefined) return undefined;
    return lastFailure === -1 ? 0 : recovered.endedAt - moment;
  }

  stop(): void {
    this.#child.kill("SIGTERM");
  }
}
