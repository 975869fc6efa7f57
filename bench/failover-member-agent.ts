// The agent of one member: ends and starts again while its machine, and the servers on it, live on.
import type { LabCluster } from "#lab/cluster.ts";
import { startProgram } from "#lab/launch.ts";
import { signal, stateOf } from "#lab/processes.ts";
import { startedProcesses } from "#lab/record.ts";
import { pause } from "./failover-client.ts";

const AGENT = "agent";
const POLL_MS = 10;
const END_LIMIT_MS = 10_000;

export class MemberAgent {
  readonly #cluster: LabCluster;
  readonly #member: string;

  constructor(cluster: LabCluster, member: string) {
    this.#cluster = cluster;
    this.#member = member;
  }

  /** Signals it and waits for its end. */
  async stop(name: "SIGTERM" | "SIGKILL"): Promise<void> {
    const last = startedProcesses(this.#cluster.lab.name).findLast(
      ({ host, program }) => host === this.#member && program === AGENT,
    );
    if (last === undefined) throw new Error(`${this.#member} never had an agent`);
    signal(last, name);
    const giveUp = performance.now() + END_LIMIT_MS;
    while (stateOf(last) !== "ended") {
      if (performance.now() > giveUp) throw new Error(`${this.#member}'s agent ignores ${name}`);
      await pause(POLL_MS);
    }
  }

  /** Starts it again; it has not yet joined when this resolves. */
  async start(): Promise<void> {
    const { lab } = this.#cluster;
    const program = lab.host(this.#member).run?.find(({ name }) => name === AGENT);
    if (program === undefined) throw new Error(`${this.#member} has no agent`);
    await startProgram({ lab: lab.name, host: this.#member }, program);
  }
}
