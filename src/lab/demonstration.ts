// What `npm start` shows: a cluster serves, loses a member, loses its master, and a stock curl watches.
import { LabCluster } from "./cluster.ts";
import { CurlProbe } from "./curl-probe.ts";
import { Downloads } from "./downloads.ts";
import { Leftovers } from "./leftovers.ts";
import { STANDARD } from "./standard.ts";

/** One thing that must be so. `value` is what was seen. */
export interface Expectation {
  readonly name: string;
  readonly ok: boolean;
  readonly value: number;
  readonly unit: string;
}

export interface DemonstrationOptions {
  readonly members: number;
  readonly say: (line: string) => void;
}

const NAME = "demo";
const REQUESTS_PER_SECOND = 100;
const REQUEST_LIMIT_MS = 100;
const CALM_MS = 3000;
/** After a death the client is watched for this long. */
const WATCH_MS = 4000;
/** Far beyond what is promised (docs/benchmarks.md): a demonstration on a busy machine is not a benchmark. */
const LONGEST_INTERRUPTION_MS = 1000;
const DOWNLOADS = 12;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Demonstration {
  readonly expectations: Expectation[] = [];
  readonly #cluster: LabCluster;
  readonly #say: (line: string) => void;
  readonly #probes: { readonly v4: CurlProbe; readonly v6: CurlProbe };
  readonly #leftovers: Leftovers;
  readonly #dead = new Set<string>();

  /** @param leftovers made before the cluster was */
  constructor(cluster: LabCluster, leftovers: Leftovers, say: (line: string) => void) {
    this.#cluster = cluster;
    this.#leftovers = leftovers;
    this.#say = say;
    const probe = (url: string): CurlProbe =>
      new CurlProbe(cluster.lab, {
        host: STANDARD.client,
        url,
        perSecond: REQUESTS_PER_SECOND,
        requestLimitMs: REQUEST_LIMIT_MS,
      });
    this.#probes = {
      v4: probe(`http://${STANDARD.vip4}/whoami`),
      v6: probe(`http://[${STANDARD.vip6}]/whoami`),
    };
  }

  #expect(name: string, ok: boolean, value: number, unit: string): void {
    this.expectations.push({ name, ok, value: Math.round(value), unit });
  }

  async run(): Promise<void> {
    this.#leftovers.note(STANDARD.interface);
    await this.#calm();
    const downloads = Downloads.start(this.#cluster.lab, DOWNLOADS);
    await downloads.allStarted();
    const master = await this.#cluster.master();
    const victim = this.#cluster.members.findLast((name) => name !== master) ?? "";
    await this.#death(victim, "member");
    await this.#death(master, "master");
    await this.#aftermath();
    const { broken, onTheDead } = await downloads.finished(this.#dead);
    this.#say(`Of ${DOWNLOADS} long downloads, ${onTheDead} were on the dead machines.`);
    this.#expect("connections of living members that broke", broken === 0, broken, "connections");
  }

  async #calm(): Promise<void> {
    this.#say(`curl asks ${STANDARD.vip4} and [${STANDARD.vip6}] for ${CALM_MS / 1000} s …`);
    const from = performance.now();
    await pause(CALM_MS);
    for (const [family, probe] of [
      ["IPv4", this.#probes.v4],
      ["IPv6", this.#probes.v6],
    ] as const) {
      const sights = probe.since(from);
      const counts = countBy(sights.filter(({ ok }) => ok).map(({ server }) => server));
      this.#say(`  ${family}: ${[...counts].map(([name, n]) => `${name} ${n}`).join(", ")}`);
      const everybody = counts.size === this.#cluster.members.length;
      this.#expect(`members that serve over ${family}`, everybody, counts.size, "members");
      const failed = sights.filter(({ ok }) => !ok).length;
      this.#expect(`failed requests in calm, ${family}`, failed === 0, failed, "requests");
    }
  }

  async #death(host: string, what: string): Promise<void> {
    this.#say(`${host}, ${what === "master" ? "the master" : "a member"}, loses its power …`);
    const moment = performance.now();
    await this.#cluster.lab.faults.kill(host);
    this.#dead.add(host);
    await pause(WATCH_MS);
    for (const [family, probe] of [
      ["IPv4", this.#probes.v4],
      ["IPv6", this.#probes.v6],
    ] as const) {
      const interruption = probe.interruptionMs(moment) ?? WATCH_MS;
      const failed = probe.since(moment - REQUEST_LIMIT_MS).filter(({ ok }) => !ok).length;
      this.#say(
        `  ${family}: ${failed} requests failed; all were answered again after ${interruption.toFixed(0)} ms`,
      );
      const ok = interruption <= LONGEST_INTERRUPTION_MS;
      this.#expect(`death of a ${what}: interruption seen over ${family}`, ok, interruption, "ms");
    }
  }

  async #aftermath(): Promise<void> {
    const living = this.#cluster.members.filter((name) => !this.#dead.has(name));
    const status = await this.#cluster.settled(living);
    this.#say(
      `${status.cluster.master} is master now; ${living.join(" and ")} share all the work.`,
    );
    const from = performance.now();
    await pause(CALM_MS / 2);
    const sights = [...this.#probes.v4.since(from), ...this.#probes.v6.since(from)];
    const failed = sights.filter(({ ok }) => !ok).length;
    this.#expect("failed requests after both deaths", failed === 0, failed, "requests");
  }

  /** Brings the dead back and waits for Ctrl-C. */
  async explore(): Promise<never> {
    for (const host of this.#dead) await this.#cluster.lab.faults.revive(host);
    this.#say(`\nThe dead machines have been switched on again. The lab stays up until Ctrl-C. In another terminal:
  npm run pan -- lab exec c1 --name ${NAME} -- curl -s http://${STANDARD.vip4}/whoami
  npm run pan -- lab status --name ${NAME}
  npm run pan -- lab fault kill m2 --name ${NAME}
  npm run pan -- --socket ${this.#cluster.lab.folder("m1")}/agent.sock status --watch
  npm run pan -- --socket ${this.#cluster.lab.folder("m1")}/agent.sock drain m3`);
    return new Promise(() => {
      setInterval(() => {}, 60_000);
    });
  }

  async down(): Promise<void> {
    this.#probes.v4.stop();
    this.#probes.v6.stop();
    this.#leftovers.note(STANDARD.interface);
    const noted = this.#leftovers.programsNoted;
    const all = noted >= this.#cluster.members.length;
    this.#expect("packet programs that were watched", all, noted, "programs");
    await this.#cluster.down();
    for (const [what, left] of Object.entries(await this.#leftovers.wait())) {
      this.#expect(`${what} left behind`, left === 0, left, what);
    }
  }
}

function countBy(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names.toSorted()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Up, through both deaths, and still up. Throws what the lab throws; then nothing is left. */
export async function runDemonstration(options: DemonstrationOptions): Promise<Demonstration> {
  const { members, say } = options;
  say(`Making a lab: ${members} members and a client, on one switch …`);
  const leftovers = new Leftovers(NAME, [`/run/panoply-cluster-${NAME}`]);
  const cluster = await LabCluster.up({ name: NAME, members, downOnExit: true });
  const { cluster: formed } = await cluster.settled();
  say(`One cluster of ${members}; ${formed.master} is master.`);
  const demonstration = new Demonstration(cluster, leftovers, say);
  await demonstration.run();
  return demonstration;
}
