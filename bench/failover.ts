// `npm run bench -- failover`: how long clients are not served when a machine dies, beside keepalived on the same lab;
// how many connections break by changes in service; whether anybody is taken for dead who is not.
// `npm run bench -- failover-soak`: only the last, for ten minutes each. `npm run bench -- failover-filtered`: only the deaths where every
// member filters (A13).
import { FLOODED_METHODS } from "#base/delivery.ts";
import type { SuiteOptions } from "./lib/options.ts";
import { type Change, changesInService } from "./failover-changes.ts";
import { type Death, panoplyDeaths } from "./failover-deaths.ts";
import { falseDetections, type Soak, type SoakOptions } from "./failover-false-detections.ts";
import { keepalivedDeaths, type VrrpSettings } from "./failover-keepalived.ts";
import { outageRows, renderCounts, renderOutages, type Timed } from "./failover-report.ts";
import type { Row, Suite } from "./suite.ts";

const MEMBERS = 4;
const PROMISED_MS = 300;
const FULL = { deaths: 20, compared: 10, filtering: 8, connections: 200, soakSeconds: 30 };
const QUICK = { deaths: 2, compared: 2, filtering: 2, connections: 60, soakSeconds: 10 };
const SOAK_SECONDS = 600;
/** What a network without loss and a machine with CPUs to spare can bear. */
const FAST_DETECTION_MS = 50;

/** Every lab has a few, for the case that this process is interrupted. */
const MOST_EXIT_LISTENERS = 100;

type Plan = typeof FULL;
type Say = SuiteOptions["say"];

const KEEPALIVED: readonly (VrrpSettings & { readonly name: string })[] = [
  { name: "keepalived, default (advert_int 1), a master dies", version: 2, advertInterval: 1 },
  { name: "keepalived, advert_int 0.1 (VRRP 3), a master dies", version: 3, advertInterval: 0.1 },
  {
    name: "keepalived, advert_int 0.01 (VRRP 3, its fastest), a master dies",
    version: 3,
    advertInterval: 0.01,
  },
];

export async function failover({
  quick,
  say,
}: SuiteOptions): Promise<Suite & { readonly text: string }> {
  const plan = quick ? QUICK : FULL;
  process.setMaxListeners(MOST_EXIT_LISTENERS);
  const own = await ownDeaths(plan, say);
  const filtered = await filteredDeaths(plan, say);
  const timed = [...own, ...filtered.timed, ...(await comparedDeaths(plan, say))];
  const { connections, soakSeconds: seconds } = plan;
  const changes = await changesInService({ members: MEMBERS, connections, say });
  const counts = [
    ...filtered.counts,
    ...changes.map(changeRow),
    ...(await soaks({ members: MEMBERS, seconds, say })),
  ];
  return {
    name: "failover",
    title: "Failover as the client sees it",
    method: method(plan),
    rows: [...timed.flatMap(outageRows), ...counts],
    text: `${renderOutages(timed)}\n\n${renderCounts(counts)}`,
  };
}

export async function failoverSoak({ quick, say }: SuiteOptions): Promise<Suite> {
  const seconds = quick ? QUICK.soakSeconds : SOAK_SECONDS;
  const rows = await soaks({ members: MEMBERS, seconds, say });
  const method = [`${MEMBERS} members, default settings; each trouble lasts ${seconds} s.`];
  return { name: "failover-soak", title: "False detections", method, rows };
}

export async function failoverFiltered({
  quick,
  say,
}: SuiteOptions): Promise<Suite & { readonly text: string }> {
  const plan = quick ? QUICK : FULL;
  process.setMaxListeners(MOST_EXIT_LISTENERS);
  const { timed, counts } = await filteredDeaths(plan, say);
  return {
    name: "failover-filtered",
    title: "Failover where every member filters, as the client sees it",
    method: method(plan).slice(0, 7),
    rows: [...timed.flatMap(outageRows), ...counts],
    text: `${renderOutages(timed)}\n\n${renderCounts(counts)}`,
  };
}

const method = ({ deaths, compared, filtering, connections, soakSeconds }: Plan): string[] => [
  "Every 2 ms a client opens a new TCP connection to each VIP and asks for a tiny page; an attempt that is not",
  "answered within 150 ms has failed. Time of a failover: from the death (the command that takes the machine's link",
  "down, then ends all its processes) until the start of the first attempt from which on every one succeeded.",
  `A dead member of ${MEMBERS} concerns every ${MEMBERS}th attempt, a dead master all.`,
  `${deaths} deaths of each kind with default settings, ${filtering} with unicast, multicast and igmp, ${compared} in every other comparison.`,
  "p99 by nearest rank: of fewer than 100 deaths it is the longest. unicast, multicast, igmp: the client's neighbour entries are fixed,",
  "so that no announcement can help; a death counts once for each VIP, and the 2.5 s after the first 1.5 s, in which slots move, are counted apart. keepalived: two servers, the VIP moves by VRRP; only its master's death is seen.",
  `Connections: ${connections} open before each change and 50 a second more while it is under way, each saying a line`,
  "every 200 ms and waiting for its echo; broken: reset, closed, or silent for 5 s.",
  `False detections: nobody dies for ${soakSeconds} s; departures are counted at every member.`,
];

async function ownDeaths(plan: Plan, say: Say): Promise<Timed[]> {
  const victims = ["member", "master"] as const;
  const deaths = await panoplyDeaths({ victims, deaths: plan.deaths, members: MEMBERS, say });
  return victims.flatMap((victim) => {
    const own = deaths.filter((death) => death.victim === victim);
    const name = `Panoply, default, a ${victim} dies`;
    const [ipv4, ipv6] = [own.map((death) => death.ipv4), own.map((death) => death.ipv6)];
    return [
      { name: `${name}, IPv4`, outages: ipv4, promisedMs: PROMISED_MS },
      { name: `${name}, IPv6`, outages: ipv6, promisedMs: PROMISED_MS },
    ];
  });
}

/**
 * Where every member receives everything, the client's neighbour entries are fixed, so that announcements are of no use. Slots move
 * when service is back: attempts that fail then count by themselves.
 */
async function filteredDeaths(
  { filtering: deaths }: Plan,
  say: Say,
): Promise<{ readonly timed: Timed[]; readonly counts: Row[] }> {
  const [timed, counts] = [[] as Timed[], [] as Row[]];
  const victims = ["member", "master"] as const;
  for (const method of FLOODED_METHODS) {
    const extraConfig = `delivery: { method: ${method} }\n`;
    const watched = { extraConfig, pinned: true, watchMoves: true };
    const all = await panoplyDeaths({ victims, deaths, members: MEMBERS, ...watched, say });
    for (const victim of victims) {
      const own = all.filter((death) => death.victim === victim);
      const outages = own.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]);
      const name = `Panoply, ${method}, a ${victim} dies`;
      timed.push({ name: `${name}, IPv4 and IPv6`, outages, promisedMs: PROMISED_MS });
      counts.push(movesRow(name, own));
    }
  }
  return { timed, counts };
}

function movesRow(name: string, deaths: readonly Death[]): Row {
  const sum = (of: (death: Death) => number): number =>
    deaths.reduce((total, death) => total + of(death), 0);
  return {
    name: `${name}: failed of ${sum(({ moves }) => moves.attempted)} attempts after the first 1.5 s`,
    value: sum(({ moves }) => moves.failed),
    unit: "attempts",
  };
}

async function comparedDeaths({ compared: deaths }: Plan, say: Say): Promise<Timed[]> {
  const intervalMs = FAST_DETECTION_MS;
  const fast = await panoplyDeaths({
    victims: ["master"],
    deaths,
    members: MEMBERS,
    extraConfig: `detection: { intervalMs: ${intervalMs}, offerMs: ${intervalMs / 2} }\n`,
    say,
  });
  const outages = fast.map(({ ipv4 }) => ipv4);
  const timed: Timed[] = [{ name: `Panoply, intervalMs ${intervalMs}, a master dies`, outages }];
  for (const { name, ...settings } of KEEPALIVED) {
    timed.push({ name, outages: await keepalivedDeaths({ ...settings, deaths, say }) });
  }
  return timed;
}

const changeRow = ({ name, findings: { broken, opened } }: Change): Row => ({
  name: `Connections broken (of ${opened}): ${name}`,
  value: broken.length,
  unit: "connections",
  target: { text: "none", met: broken.length === 0 },
});

async function soaks(options: SoakOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const trouble of ["busy", "loss"] as const) {
    rows.push(...soakRows(await falseDetections(trouble, options), options.seconds));
  }
  return rows;
}

function soakRows({ name, departures, elections }: Soak, seconds: number): Row[] {
  const promise = (value: number): Pick<Row, "target"> => ({
    target: { text: "none", met: value === 0 },
  });
  const during = `in ${seconds} s with ${name}`;
  return [
    {
      name: `False departures ${during}`,
      value: departures,
      unit: "departures",
      ...promise(departures),
    },
    {
      name: `Needless elections ${during}`,
      value: elections,
      unit: "elections",
      ...promise(elections),
    },
  ];
}
