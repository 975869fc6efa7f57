// An agent port for tests: a fixed status, a list of what it was asked, failures on demand.
import { PanError } from "#base/error-codes.ts";
import type { AgentPort } from "../agent-port.ts";
import type { ApplicationsStatus } from "../applications.ts";
import { DIAGNOSIS, PEERS } from "./fake-peers.ts";
import { listEvents } from "../event-route.ts";
import { fakeEvents, type FakeEvents } from "./fake-events.ts";
import type { Changed, Operation, Status } from "../contract.ts";

const tables = { epoch: 3, counter: 12, master: 1 };
const web = { protocol: "tcp", vip: "10.77.0.100", port: 80 } as const;
const ftp = { protocol: "tcp", vip: "fd77::100", port: "any" } as const;

export const APPLICATIONS: ApplicationsStatus = {
  socket: "/run/panoply/applications.sock",
  applications: [
    {
      name: "ipsec",
      votes: true,
      connectedMs: 65_000,
      events: 12,
      asked: 2,
      answered: 1,
      queuedBytes: 0,
    },
  ],
  hooks: {
    folder: "/etc/panoply/hooks.d",
    files: [
      { file: "/etc/panoply/hooks.d/10-log", use: "events" },
      { file: "/etc/panoply/hooks.d/20-open", use: "refused", problem: "chmod go-w it" },
    ],
    waiting: 3,
  },
  counts: [{ reason: "votes-unanswered", count: 1 }],
};

export const STATUS: Status = {
  node: { id: 2, name: "beta", address: "10.77.0.2", role: "member" },
  cluster: {
    name: "demo",
    master: "alpha",
    secondary: "beta",
    epoch: 3,
    config: { counter: 7, digest: "00112233aabbccdd" },
    tables,
    delivery: { method: "unicast", mac: "02:bf:0a:4d:00:64" },
    peerMacs: "masked",
    keepaliveIntervalMs: 66.7,
  },
  members: [
    {
      id: 1,
      name: "alpha",
      address: "10.77.0.1",
      mac: "02:00:00:00:00:01",
      state: "master",
      drained: false,
      maintenance: false,
      lossEstimate: 0.0125,
      lastHeardMs: 31,
      packets: 1_500_000,
      bytes: 2_000_000_000,
      packetsPerSecond: 1234,
      bytesPerSecond: 5_600_000,
      connections: 41,
    },
    {
      id: 2,
      name: "beta",
      address: "10.77.0.2",
      mac: "02:00:00:00:00:02",
      state: "member",
      drained: true,
      maintenance: false,
      packets: 0,
      bytes: 0,
      packetsPerSecond: 0,
      bytesPerSecond: 0,
    },
    {
      id: 3,
      name: "gamma",
      address: "10.77.0.3",
      state: "departed",
      drained: false,
      maintenance: false,
      packets: 12,
      bytes: 840,
      packetsPerSecond: 0,
      bytesPerSecond: 0,
    },
  ],
  groups: [
    {
      name: "web",
      policy: "weighted",
      slots: 1024,
      assignment: "eager",
      balance: "weights",
      unassigned: 0,
      services: [web, ftp],
      shares: [
        {
          node: "alpha",
          slots: 1024,
          home: 512,
          weight: 1,
          health: { state: "up", part: 30, reason: "" },
        },
        {
          node: "beta",
          slots: 0,
          home: 512,
          weight: 1,
          health: { state: "down", part: 100, reason: "http: status 503" },
        },
      ],
      packets: 1_500_012,
      packetsPerSecond: 1234,
    },
  ],
  vips: {
    spread: false,
    addresses: [
      { vip: "10.77.0.100", node: "alpha", backups: ["beta"] },
      { vip: "fd77::100", node: "alpha", backups: ["beta"] },
    ],
  },
  datapath: {
    hook: "tc",
    interface: "eth0",
    arms: [],
    counters: [
      { reason: "forward-owner", count: 1_500_012 },
      { reason: "drop-announce", count: 0 },
    ],
    leaseValid: true,
    version: tables,
  },
  membership: {
    keepalivesSent: 900,
    keepalivesReceived: 1800,
    together: ["m1", "m2", "m3"],
    sessionsMaySpeak: true,
    watchdogExpiries: 1,
    drops: [{ reason: "bad-signature", count: 4 }],
  },
  control: {
    connected: 1,
    counts: [
      { reason: "accepted", count: 3 },
      { reason: "refused-not-admitted", count: 2 },
    ],
  },
  assignment: {
    movesWaiting: 3,
    exceptions: 40,
    exceptionsRefused: 0,
    heldNow: 2,
    heldBytes: 148,
    held: [
      { reason: "held", count: 12 },
      { reason: "released", count: 9 },
      { reason: "refused", count: 0 },
      { reason: "expired", count: 1 },
    ],
  },
  checks: [
    {
      group: "web",
      check: "http",
      state: "fails",
      finding: "status 503",
      passed: 40,
      failed: 3,
    },
  ],
  drain: { endsInMs: 34_000, closed: 0 },
  sessions: [
    {
      ...{ application: "relay", reportedMs: 400, served: 12, withoutReplica: 2, beyondLimit: 1 },
      ...{ untold: 0, held: 25, replicas: 1, others: 2, waitingBytes: 700, lagMs: 2 },
      ...{ takenOver: 4, lost: 0, abandoned: 0, commitMedianMs: 0.4, commitHighMs: 2.1 },
      ...{ pauseMedianMs: 3.5, pauseWorstMs: 250 },
    },
    {
      ...{ application: "files", reportedMs: 11_000, served: 0, withoutReplica: 0, beyondLimit: 0 },
      ...{ untold: 0, held: 0, replicas: 2, others: 2, waitingBytes: 0, lagMs: 0 },
      ...{ takenOver: 0, lost: 0, abandoned: 0 },
      ...{ wanted: 1, underReplicated: 3, noted: 7, fetched: 0 },
    },
  ],
  failovers: [{ at: "2026-11-21T09:00:00.000Z", node: "gamma", reason: "silent", tookMs: 212.4 }],
  events: { kept: 1200, dropped: 300, lost: 2, followers: 1 },
  uptimeMs: 3_723_000,
};

export interface FakeAgent {
  readonly events: FakeEvents;
  readonly port: AgentPort;
  /** What was asked so far, in order. */
  readonly asked: readonly { readonly operation: Operation; readonly input: unknown }[];
  /** The next request of any operation fails with this. */
  failWith(error: unknown): void;
}

export function fakeAgent(): FakeAgent {
  const asked: { operation: Operation; input: unknown }[] = [];
  let failure: { readonly error: unknown } | undefined;
  const answer =
    <T>(operation: Operation, value: T) =>
    async (input: unknown): Promise<T> => {
      asked.push({ operation, input });
      const { error } = failure ?? { error: undefined };
      failure = undefined;
      if (error !== undefined) throw error;
      return value;
    };
  const eventSource = fakeEvents();
  const changed: Changed = {
    config: { counter: 8, digest: "ffeeddccbbaa9988" },
    waiting: [],
  };
  const port: AgentPort = {
    status: answer("status", STATUS),
    applications: answer("applications", APPLICATIONS),
    peers: answer("peers", PEERS),
    doctor: answer("doctor", DIAGNOSIS),
    services: answer("services", {
      groups: [
        {
          group: "web",
          policy: "weighted" as const,
          slots: 1024,
          services: [web, ftp],
          nodes: [
            { name: "alpha", weight: 1 },
            { name: "beta", weight: 1 },
          ],
        },
      ],
    }),
    addService: answer("addService", changed),
    removeService: answer("removeService", changed),
    setWeight: answer("setWeight", changed),
    drain: answer("drain", changed),
    drainWithin: answer("drainWithin", changed),
    undrain: answer("undrain", changed),
    setMaintenance: answer("setMaintenance", changed),
    setDelivery: answer("setDelivery", changed),
    moveVip: answer("moveVip", changed),
    releaseVip: answer("releaseVip", changed),
    events: async (input) => {
      asked.push({ operation: "events", input });
      return listEvents(eventSource, input.query);
    },
    eventSource,
    config: answer("config", { version: changed.config, yaml: "cluster: {name: demo}\n" }),
    putConfig: answer("putConfig", changed),
    version: answer("version", { panoply: "0.1.0", node: "24.21.0", kernel: "6.18.0" }),
  };
  return {
    port,
    events: eventSource,
    asked,
    failWith: (error): void => {
      failure = { error };
    },
  };
}

export const notFound = new PanError("PAN_NOT_FOUND", 'No node is called "delta".');
