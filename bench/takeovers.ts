// `npm run bench -- takeovers`: members fail in every way, again and again, at random moments of dialogues and downloads whose every byte is
// checked (A16). Counted: sessions that moved, connections that broke, wrong bytes.
import path from "node:path";
import { STANDARD } from "#lab/standard.ts";
import { root } from "#tools/steps.ts";
import type { SuiteOptions } from "./lib/options.ts";
import { pause } from "./failover-client.ts";
import { returns } from "./sessions/deaths.ts";
import { SessionsClient, SessionsLab } from "./sessions/lab.ts";
import type { Report } from "./sessions/ports.ts";
import type { Row, Suite } from "./suite.ts";

const MEMBERS = 3;
/** Of frames, on every link and in each direction by itself. */
const LOSSES = [0, 1, 5] as const;
/** How often each way to fail is tried at each share of loss. */
const FULL = { rounds: 6 };
const QUICK = { rounds: 1 };
const DIALOGUES = 24;
const DOWNLOADS = 6;
/** Until what was under way at the last fault has been answered, whatever was lost. */
const LAST_WORDS_MS = 5000;
const CALM_MS = 500;
const PAN = path.join(root, "src/cli/main.ts");

export interface Counted {
  faults: number;
  moved: number;
  bytes: number;
  lines: number;
  readonly broken: string[];
}

const random = (from: number, to: number): number => from + Math.random() * (to - from);

async function masterOf({ cluster }: SessionsLab): Promise<string> {
  return cluster.master();
}

async function anyOf({ cluster }: SessionsLab): Promise<string> {
  return cluster.members[Math.floor(Math.random() * cluster.members.length)] ?? "";
}

async function otherThanMaster(lab: SessionsLab): Promise<string> {
  const master = await masterOf(lab);
  const others = lab.cluster.members.filter((member) => member !== master);
  return others[Math.floor(Math.random() * others.length)] ?? master;
}

async function pan(lab: SessionsLab, member: string, ...words: string[]): Promise<void> {
  const socket = path.join(lab.cluster.lab.folder(member), "agent.sock");
  const argv = [process.execPath, PAN, "--socket", socket, ...words];
  const { status, stderr } = await lab.cluster.lab.exec(member, argv);
  if (status !== 0) throw new Error(`pan ${words.join(" ")}: ${stderr}`);
}

async function killed(lab: SessionsLab, victim: string): Promise<void> {
  await lab.cluster.lab.faults.kill(victim);
  await pause(random(1000, 2000));
  await returns(lab, victim);
}

/** Each ends when the cluster is whole again. */
const FAULTS: Readonly<Record<string, (lab: SessionsLab) => Promise<void>>> = {
  "a member is killed": async (lab) => killed(lab, await otherThanMaster(lab)),
  "the master is killed": async (lab) => killed(lab, await masterOf(lab)),
  "a member is frozen": async (lab) => {
    const { faults } = lab.cluster.lab;
    const victim = await anyOf(lab);
    await faults.freeze(victim);
    await pause(random(300, 3000));
    await faults.thaw(victim);
  },
  "a member is cut off": async (lab) => {
    const { faults } = lab.cluster.lab;
    const victim = await anyOf(lab);
    await faults.link(victim, "down");
    await pause(random(300, 3000));
    await faults.link(victim, "up");
  },
  "a member and the others do not hear each other, the client hears all": async (lab) => {
    const { faults } = lab.cluster.lab;
    const victim = await anyOf(lab);
    await faults.estrange([[victim], lab.cluster.members.filter((member) => member !== victim)]);
    await pause(random(300, 3000));
    await faults.estrange([]);
  },
  "work sets move": async (lab) => {
    const victim = await anyOf(lab);
    await pan(lab, victim, "drain", victim);
    await pause(random(1000, 3000));
    await pan(lab, victim, "undrain", victim);
  },
};

async function calm(lab: SessionsLab): Promise<void> {
  await lab.cluster.settled();
  await lab.linked();
  await pause(CALM_MS);
}

const movedSoFar = (lab: SessionsLab): number =>
  lab.cluster.members.reduce(
    (sum, member) => sum + lab.said(member).filter(({ what }) => what === "resumed").length,
    0,
  );

function add(counted: Counted, report: Report): void {
  counted.bytes += report.bytes;
  counted.lines += report.lines;
  counted.broken.push(...report.broken);
}

async function oneLoss(
  lab: SessionsLab,
  { percent, rounds }: { readonly percent: number; readonly rounds: number },
  say: SuiteOptions["say"],
): Promise<Counted> {
  const counted: Counted = { faults: 0, moved: 0, bytes: 0, lines: 0, broken: [] };
  await lab.cluster.lab.faults.loss("all", percent);
  const settings = {
    ...{ dialogues: DIALOGUES, thinkMs: 10, window: 3 },
    ...{ downloads: DOWNLOADS, rate: 3e6, lastMs: 20_000 },
  };
  const clients = [
    await SessionsClient.open(lab, { address: STANDARD.vip4, ...settings }),
    await SessionsClient.open(lab, { address: STANDARD.vip6, ...settings }),
  ];
  const before = movedSoFar(lab);
  for (let round = 0; round < rounds; round++) {
    for (const [name, fault] of Object.entries(FAULTS)) {
      await calm(lab);
      const moved = movedSoFar(lab);
      await fault(lab);
      await calm(lab);
      counted.faults += 1;
      const reports = await Promise.all(clients.map((client) => client.report()));
      for (const report of reports) add(counted, report);
      const broken = reports.flatMap((report) => report.broken);
      const words = `${percent} % loss, ${name}: ${movedSoFar(lab) - moved} sessions moved`;
      say(`${words}, ${broken.length} broken${broken.map((one) => `\n    ${one}`).join("")}`);
    }
  }
  await pause(LAST_WORDS_MS);
  for (const client of clients) {
    const report = await client.report();
    add(counted, report);
    for (const broken of report.broken) say(`${percent} % loss, at the end: ${broken}`);
    client.end();
  }
  counted.moved = movedSoFar(lab) - before;
  await lab.cluster.lab.faults.loss("all", 0);
  return counted;
}

export async function takeovers({ quick, say }: SuiteOptions): Promise<Suite> {
  const { rounds } = quick ? QUICK : FULL;
  const lab = await SessionsLab.up({ name: `bt${process.pid}`, members: MEMBERS, largeBytes: 1 });
  try {
    const rows: Row[] = [];
    for (const percent of LOSSES) {
      const counted = await oneLoss(lab, { percent, rounds }, say);
      rows.push(...rowsOf(`${percent} % loss`, counted));
    }
    return { name: "takeovers", title: "Takeovers at random moments", method: METHOD, rows };
  } finally {
    await lab.down();
  }
}

const METHOD = [
  `${MEMBERS} members, the master among them; by IPv4 and by IPv6 each ${DIALOGUES} dialogues (three lines of random length under way at once) and`,
  `${DOWNLOADS} downloads of 3 MB/s that begin anywhere in a file of random bytes. Every byte is compared. Connections last 10 to 30 s.`,
  "Frames are lost on every link, each direction by itself. A fault comes when the cluster is whole: a member or the master loses power",
  "without a word, a member is frozen and thawed or cut off and connected again after 0.3 to 3 s, or does not hear",
  "the others nor they it, while the client hears all; or its work sets move away and back.",
];

function rowsOf(name: string, { faults, moved, bytes, lines, broken }: Counted): Row[] {
  return [
    { name: `${name}: faults`, value: faults, unit: "" },
    { name: `${name}: sessions that moved`, value: moved, unit: "" },
    { name: `${name}: checked`, value: bytes / 1e6, unit: `MB, among them ${lines} lines` },
    {
      ...{ name: `${name}: broken or wrong`, value: broken.length, unit: "connections" },
      target: { text: "none", met: broken.length === 0 },
    },
  ];
}
