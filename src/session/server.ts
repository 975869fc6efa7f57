// `panoply/session`: a TCP server whose connections outlive the machine that serves them (A16). Looks like net.createServer; each
// member of the cluster runs the same program, and whoever a connection falls to after a death goes on with it.
//
//   const server = await createSessionServer({ interface: "eth0", bundle: "/etc/panoply/node.bundle" }, (session) => { … });
//   await server.listen("10.0.0.100", 80);
//
// Needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_SYS_ADMIN, and the agent of this node.
import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { type Application, type Event, joinIn, type NodeName, type Rules } from "#apps/client.ts";
import { familyOf, type IpAddress, parseIp } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { type NodeId, nodeId } from "#base/ids.ts";
import { netdev } from "#driver/bpf/netdev.ts";
import { steeringId } from "#driver/bpf/predecessor.ts";
import { SessionProgram } from "#driver/bpf/session-program.ts";
import { relianceMs } from "#core/takeover/reliance.ts";
import { openBundle } from "#driver/identity/open-bundle.ts";
import { RawPackets } from "#driver/tcp/raw-packets.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { REAL_CLOCK } from "./clock.ts";
import { Engine } from "./engine.ts";
import type { EngineCounts } from "./engine-parts.ts";
import { keyOf } from "./key-text.ts";
import { Links, type MemberAddress } from "./links.ts";
import { Placement } from "./placement.ts";
import { isReplicaCount, type ReplicaCount } from "./replicas.ts";
import type { Session } from "./session.ts";
import { KERNEL_SOCKETS } from "./sockets.ts";
import { Tenure } from "./tenure.ts";
import { WorkSets } from "./work-sets.ts";

export { type CommitOptions, MAX_STATE_BYTES, type SaveOptions, type Session } from "./session.ts";

export type { ReplicaCount } from "./replicas.ts";

export const DEFAULT_SESSION_PORT = 7948;
/** Connections of a dead owner that nobody here was to take: others have them by then. */
const FORGET_MS = 10_000;
const RETRY_LISTEN_MS = 200;
const REPORT_MS = 1000;
/** What was being set up when a work set moved goes later. */
const HAND_OVER_AGAIN_MS: readonly number[] = [1000, 4000];
/** A session server that has just started takes sessions that its node's work sets brought, when it has had time to hear of all. */
const HAND_OVER_JOINED_MS = 500;

export interface SessionServerOptions {
  /** Where the clients' packets come in. */
  readonly interface: string;
  /** This node's bundle; streams between members are authenticated by it. */
  readonly bundle: string;
  readonly applicationsSocket?: string;
  /** Of the streams between members. */
  readonly port?: number;
  /** How many other members hold each session, and so how many may be lost with its server; all of them, unless it is said. */
  readonly replicas?: ReplicaCount;
  /** For `pan apps` and `pan status`. */
  readonly name?: string;
  readonly onTrouble?: (error: Error) => void;
}

/** Starts everything but listening; waits for the agent to have come up. Errors: PanError. */
export async function createSessionServer(
  options: SessionServerOptions,
  onSession: (session: Session) => void,
): Promise<SessionServer> {
  if (!isReplicaCount(options.replicas ?? "all")) {
    throw new RangeError(
      `${options.replicas} replicas are none. Give "all", or a whole number, 1 or more.`,
    );
  }
  // The agent's packet program comes first: sessions speak only under its lease.
  while (steeringId(netdev(options.interface)) === undefined) await pause(RETRY_LISTEN_MS);
  return SessionServer.start(options, onSession);
}

export class SessionServer {
  readonly #options: SessionServerOptions;
  readonly #program: SessionProgram;
  readonly #raw: RawPackets;
  readonly #links: Links;
  readonly #engine: Engine;
  readonly #tenure: Tenure;
  readonly #listeners: net.Server[] = [];
  #application: Application | undefined;
  readonly #reporter = setInterval(() => this.#report(), REPORT_MS).unref();
  #placement: Placement | undefined;
  /** Of the cluster, this node among them. */
  #members: readonly MemberAddress[] = [];
  readonly #self: NodeId;
  /** Of this node. */
  #role = "joining";
  readonly #workSets: WorkSets;
  readonly #names = new Map<string, NodeId>();
  /** Members that left, and for whose connections slots may still be gained. */
  readonly #gone = new Set<NodeId>();
  /** What members that left had told is forgotten then, unless they tell anew before. */
  readonly #forgetting = new Map<NodeId, NodeJS.Timeout>();
  /** Hand-overs to come: of what was being set up, and to members whose session server is not connected yet. */
  readonly #later = new Set<NodeJS.Timeout>();

  /** Its port comes first: it is the proof that no other session server on this machine has the interface. */
  static async start(
    options: SessionServerOptions,
    onSession: (session: Session) => void,
  ): Promise<SessionServer> {
    const identity = openBundle(options.bundle, { now: new Date(), revoked: [] });
    const port = options.port ?? DEFAULT_SESSION_PORT;
    // Nobody is a member, so nobody is listened to, before the server is there.
    const engine = (): Engine => server.#engine;
    const links = new Links({
      identity,
      port,
      events: {
        replica: (id, isThere) => server.#replica(id, isThere),
        released: (id) => engine().replicaReleased(id),
        dropped: (id, limitMs) => server.#dropped(id, limitMs),
        answered: (from, message) => engine().answered(from, message),
        ownerBegan: (owner) => {
          server.#tenure.begun();
          server.#forget(owner);
        },
        told: (owner, messages) => engine().heard(owner, messages),
        trouble: options.onTrouble ?? (() => {}),
      },
    });
    await links.listen().catch((error: unknown) => {
      throw portTaken(error, identity.address, port);
    });
    const server: SessionServer = new SessionServer(options, identity.id, links, onSession);
    server.#join();
    return server;
  }

  private constructor(
    options: SessionServerOptions,
    self: NodeId,
    links: Links,
    onSession: (session: Session) => void,
  ) {
    this.#options = options;
    this.#self = self;
    this.#workSets = new WorkSets(self);
    this.#raw = new RawPackets();
    this.#links = links;
    this.#program = SessionProgram.attach(netdev(options.interface), (events) =>
      this.#engine.told(events),
    );
    this.#engine = new Engine({
      program: this.#program,
      raw: this.#raw,
      links: this.#links,
      sockets: KERNEL_SOCKETS,
      clock: REAL_CLOCK,
      replicas: options.replicas ?? "all",
      trouble: options.onTrouble ?? (() => {}),
      onSession,
    });
    this.#tenure = new Tenure(REAL_CLOCK, {
      right: () => this.#program.right(),
      hearAgain: () => this.#links.hearAgain(),
      isWhole: () => this.#isTogether && this.#links.unheard.length === 0,
      waits: () => this.#waits(),
      grant: (tenure) => {
        this.#program.grant(tenure);
        this.#takeOver();
        this.#handOver(); // what was to go while nobody knew whose it is
      },
    });
  }

  get counts(): EngineCounts {
    return this.#engine.counts;
  }

  #join(): void {
    const { applicationsSocket } = this.#options;
    this.#application = joinIn({
      name: this.#options.name ?? "sessions",
      ...(applicationsSocket === undefined ? {} : { socketPath: applicationsSocket }),
      onSnapshot: ({ role, members, groups }) => {
        this.#role = role;
        for (const { id, name } of members) this.#names.set(name, nodeId(id));
        this.#know(members.flatMap((member) => addressOf(member) ?? []));
        this.#workSets.begin(groups);
      },
      onRules: (rules: Rules) => {
        this.#placement = new Placement(rules);
        this.#links.limitMs = relianceMs(rules.detectionMs);
      },
      onEvent: (event) => this.#event(event),
      onTrouble: (error) => this.#options.onTrouble?.(inWords(error)),
    });
  }

  #report(): void {
    this.#program.follow();
    this.#application?.report({ ...this.#engine.figures(), ...this.#links.counts });
  }

  #know(members: readonly MemberAddress[]): void {
    this.#members = members;
    this.#links.setMembers(members);
  }

  #event(event: Event): void {
    switch (event.type) {
      case "member-joined": {
        // It speaks for what it still serves; what it does not, its next stream says by not naming it.
        this.#gone.delete(nodeId(event.member.id));
        this.#names.set(event.member.name, nodeId(event.member.id));
        const joined = addressOf(event.member);
        if (joined === undefined) return;
        this.#know([...this.#members.filter(({ id }) => id !== joined.id), joined]);
        return;
      }
      case "member-left":
        return this.#left(nodeId(event.member.id));
      case "work-sets-gained":
        this.#workSets.set(event.group, event.slots, this.#self);
        return this.#takeOver();
      case "work-sets-lost":
      case "work-sets-passed-on":
        this.#workSets.set(event.group, event.slots, this.#names.get(event.to ?? ""));
        this.#engine.stopTaking((key) => this.#isMine(key));
        return this.#handOver();
      case "role-changed":
        this.#role = event.role;
        return;
    }
  }

  /** With others, or sure that there are none. */
  get #isTogether(): boolean {
    return this.#role === "master" || (this.#role === "member" && this.#members.length > 1);
  }

  /** Planned: sessions go where their work sets went. */
  #handOver(): void {
    this.#engine.handOver((key) => this.#workSets.otherOwner(this.#placement?.of(key)));
    for (const ms of HAND_OVER_AGAIN_MS) this.#handOverIn(ms);
  }

  #handOverIn(ms: number): void {
    const timer = setTimeout(() => {
      this.#later.delete(timer);
      this.#engine.handOver((key) => this.#workSets.otherOwner(this.#placement?.of(key)));
    }, ms);
    this.#later.add(timer);
  }

  #dropped(id: NodeId, limitMs: number): void {
    this.#engine.replicaDropped();
    const words = `the session server of ${this.#nameOf(id)} has not answered for ${limitMs} ms: sessions go on without its copies until it does`;
    this.#options.onTrouble?.(new Error(words));
  }

  /** What holds this node's sessions up after it was away. */
  #waits(): void {
    const names = this.#links.unheard.map((id) => this.#nameOf(id)).join(", ");
    const words =
      names === ""
        ? "this node has not found the cluster: its sessions are silent until it has"
        : `this node was away, and ${names} has not said what it has taken over: sessions are silent until it does. Look at the session server there, and whether TCP port ${this.#options.port ?? DEFAULT_SESSION_PORT} is let through`;
    this.#options.onTrouble?.(new Error(words));
  }

  #nameOf(id: NodeId): string {
    const [name] = [...this.#names].find(([, known]) => known === id) ?? [];
    return name ?? `node ${id}`;
  }

  #replica(id: NodeId, isThere: boolean): void {
    this.#engine.replicaChanged(id, isThere);
    if (isThere) this.#handOverIn(HAND_OVER_JOINED_MS);
  }

  /** Whatever the reason: without its agent a member has no lease, and its sessions are silent. */
  #left(id: NodeId): void {
    this.#know(this.#members.filter((member) => member.id !== id));
    this.#gone.add(id);
    clearTimeout(this.#forgetting.get(id));
    this.#forgetting.set(
      id,
      setTimeout(() => this.#forget(id), FORGET_MS),
    );
    this.#takeOver();
    this.#engine.memberGone(id);
  }

  /** Its records are void. */
  #forget(id: NodeId): void {
    clearTimeout(this.#forgetting.get(id));
    this.#forgetting.delete(id);
    this.#gone.delete(id);
    this.#engine.ownerBegan(id);
  }

  #takeOver(): void {
    for (const id of this.#gone) this.#engine.takeOver(id, (key) => this.#isMine(key));
  }

  #isMine(key: ConnectionKey): boolean {
    return this.#workSets.isMine(this.#placement?.of(key));
  }

  /** Connections to this address and port are sessions. The address need not be on this machine yet. */
  async listen(address: string, port: number): Promise<void> {
    const vip = parseIp(address);
    if (vip === undefined) throw new RangeError(`"${address}" is not an IP address. Give a VIP.`);
    this.#program.protect(vip, port);
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#accepted(vip, port, socket),
    );
    this.#listeners.push(server);
    while (!(await this.#tryToListen(server, vip, port))) await pause(RETRY_LISTEN_MS);
  }

  /** False: the agent has not brought the VIP to this machine yet. */
  #tryToListen(server: net.Server, host: IpAddress, port: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        if (error.code === "EADDRNOTAVAIL") resolve(false);
        else reject(error);
      };
      server.once("error", failed);
      server.listen({ host, port, ipv6Only: familyOf(host) === 6 }, () => {
        server.off("error", failed);
        resolve(true);
      });
    });
  }

  #accepted(vip: IpAddress, port: number, socket: net.Socket): void {
    const key = keyOf(vip, port, socket);
    if (key === undefined) return void socket.destroy();
    this.#engine.accepted(key, socket);
  }

  /** Ends listening and every session, and lets go of everything; the interface is as before. */
  close(): void {
    for (const server of this.#listeners) server.close();
    for (const timer of [...this.#forgetting.values(), ...this.#later]) clearTimeout(timer);
    clearInterval(this.#reporter);
    this.#application?.close();
    this.#tenure.stop();
    this.#engine.close();
    this.#links.close();
    this.#raw.close();
    this.#program.detach();
  }
}

/** Of the connection to the agent: sessions go on without it, for as long as its lease does. */
const inWords = (error: Error): Error =>
  "syscall" in error
    ? new Error(`the agent does not answer, it is tried again (${error.message})`, { cause: error })
    : error;

/** What the operator can do about it. */
function portTaken(error: unknown, address: IpAddress, port: number): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "EADDRINUSE") return error;
  return new PanError(
    "PAN_CONFLICT",
    `TCP port ${port} of ${address} is in use: another session server, such as pan serve-files or pan relay, runs on this machine. There can be one; end it first.`,
    { cause: error },
  );
}

/** Undefined: an agent that speaks of addresses in another way. */
function addressOf({ id, address }: NodeName): MemberAddress | undefined {
  const parsed = parseIp(address);
  return parsed === undefined ? undefined : { id: nodeId(id), address: parsed };
}
