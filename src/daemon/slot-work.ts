// What a node does for single slots while it runs: frames that its packet program holds wait here for an owner of their slot (A15), and
// the master is told what this node's slots carry and which ones it needs not be asked about any more (A8, B4).
import { ipBytes, macBytes, type MacAddress } from "#base/address.ts";
import type { Measure } from "#base/assignment.ts";
import type { NodeId } from "#base/ids.ts";
import { instant, type Instant } from "#base/time.ts";
import type { Input } from "#core/node/protocol.ts";
import type { SlotRef } from "#core/steering/assignment.ts";
import { LOOK_SOON_MS, type Connection } from "#core/steering/former-slots.ts";
import { Holding, type HeldCounts, type HeldFrame, type SentOn } from "#core/steering/holding.ts";
import { completeChecksum } from "#core/steering/partial-checksum.ts";
import { type RefusalCounts, Refusals } from "#core/steering/refusal.ts";
import type { Tables } from "#core/steering/tables.ts";
import { TooBig, type TooBigCounts } from "#core/steering/too-big.ts";
import { encapsulate } from "#core/steering/tunnels.ts";
import type { Datapath } from "#driver/bpf/datapath.ts";
import { fragmentKey } from "#driver/bpf/fragment-lookup.ts";
import { HeldFrames, type HeldRecord } from "#driver/bpf/held-frames.ts";
import { PacketSocket } from "#driver/host/packet-socket.ts";
import { RawSocket } from "#driver/host/raw-socket.ts";
import { TcpConnections } from "#driver/netlink/tcp-connections.ts";
import { EthernetView } from "#wire/ethernet.ts";
import { hopMac, wayByte } from "#wire/ethernet-hop.ts";
import type { Following } from "./following.ts";
import { SlotReports } from "./slot-reports.ts";
import { SlotRequests } from "#core/steering/slot-requests.ts";
import type { Trouble } from "./trouble.ts";
import type { NodeTunnels } from "./tunnels/node-tunnels.ts";

/** As often as the master balances (A8). */
export const REPORT_EVERY_MS = 2000;
const XDP_TX = 3;
const XDP_REDIRECT = 4;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const clock = (): Instant => instant(performance.now());

export interface SlotWorkOptions {
  readonly self: NodeId;
  readonly mac: MacAddress;
  /** Index of the cluster's interface. */
  readonly link: number;
  readonly isMaster: () => boolean;
  /** The newest tables known here. */
  readonly tables: () => Tables | undefined;
  /** Groups that are balanced by measured load. */
  readonly measured: () => ReadonlyMap<string, Measure>;
  readonly datapath: Datapath;
  /** Nodes beyond this segment (B11). */
  readonly tunnels: Pick<NodeTunnels, "to">;
  readonly following: Pick<Following, "send">;
  readonly step: (input: Input) => void;
  readonly trouble: Trouble;
}

const isTooBig = ({ reason }: HeldRecord): boolean => reason === "drop-too-big";

export class SlotWork {
  readonly #options: SlotWorkOptions;
  readonly #connections: TcpConnections;
  readonly #socket: PacketSocket;
  readonly #frames: HeldFrames;
  readonly #holding: Holding;
  readonly #reports: SlotReports;
  readonly #requests: SlotRequests;
  readonly #refusals = new Refusals();
  readonly #tooBig = new TooBig();
  readonly #raw: RawSocket;
  #installed: Tables | undefined;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #isMeasuring: boolean | undefined;
  #counted: { readonly atMs: number; readonly connections: number } | undefined;

  private constructor(options: SlotWorkOptions) {
    const { self, datapath, trouble } = options;
    this.#options = options;
    this.#holding = new Holding(self);
    this.#connections = TcpConnections.open();
    this.#socket = PacketSocket.open(options.link);
    this.#raw = RawSocket.open();
    this.#frames = HeldFrames.open(datapath.held, (records) =>
      trouble.guard("hold frames", () => this.#hold(records)),
    );
    this.#reports = new SlotReports({
      ...options,
      version: () => datapath.version(),
      readLoads: () => datapath.slotCounters(),
      connections: () => this.#listed(),
    });
    this.#requests = new SlotRequests({
      isMaster: options.isMaster,
      take: (slots) => options.step({ type: "slots-wanted", slots }),
      send: (slots) => options.following.send({ type: "slots-wanted", slots }),
      later: (delayMs, act) => {
        const timer = setTimeout(() => trouble.guard("ask for slots", act), delayMs);
        return () => clearTimeout(timer);
      },
    });
  }

  /** Throws PAN_SYSCALL. */
  static open(options: SlotWorkOptions): SlotWork {
    return new SlotWork(options);
  }

  /** To VIPs, as of the last two seconds: the kernel is not asked for every reader anew. */
  connections(): number {
    const nowMs = performance.now();
    if (this.#counted === undefined || nowMs - this.#counted.atMs >= REPORT_EVERY_MS) {
      const vips = new Set((this.#installed?.vips ?? []).map((vip) => hex(ipBytes(vip))));
      const all = this.#connections.list().filter(({ destination }) => vips.has(hex(destination)));
      this.#counted = { atMs: nowMs, connections: all.length };
    }
    return this.#counted.connections;
  }

  get held(): HeldCounts & RefusalCounts & TooBigCounts {
    return { ...this.#holding.counts, ...this.#refusals.counts, ...this.#tooBig.counts };
  }

  /** TCP connections by the kernel, UDP sessions by the packet program where some group pins them (B12). */
  #listed(): Connection[] {
    const { tables, datapath } = this.#options;
    const hasSessions = tables()?.groups.some(({ udpIdleMs }) => udpIdleMs > 0) ?? false;
    const connections = this.#connections.list();
    return hasSessions ? [...connections, ...datapath.sessions()] : connections;
  }

  /** To be called every REPORT_EVERY_MS. */
  report(): void {
    const { measured, datapath } = this.#options;
    const isMeasured = measured().size > 0;
    if (isMeasured !== this.#isMeasuring) datapath.measureSlots(isMeasured);
    this.#isMeasuring = isMeasured;
    this.#look(true);
  }

  #look(isRound: boolean): void {
    const { self, isMaster, step, following } = this.#options;
    const { slots, flows } = this.#reports.next(performance.now(), isRound);
    if (slots !== undefined) {
      if (isMaster()) step({ type: "slots-reported", id: self, report: slots });
      else following.send({ type: "slot-report", report: slots });
    }
    if (flows === undefined) return;
    if (isMaster()) step({ type: "flows-reported", id: self, report: flows });
    else following.send({ type: "flow-report", report: flows });
  }

  /** Connections in slots that have moved are pinned before these move again (B4). */
  #lookSoon(tables: Tables): void {
    if (this.#soon !== undefined || !this.#reports.isAsked(tables)) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      this.#options.trouble.guard("look at connections", () => this.#look(false));
    }, LOOK_SOON_MS);
  }

  /**
   * The packet program goes by these tables. What it had held by those before is read first: read later, a frame would be taken for
   * one that was held by these.
   */
  installed(tables: Tables): void {
    const isNewMaster = this.#installed?.version.master !== tables.version.master;
    this.#installed = tables;
    const slots = this.#take(this.#frames.take());
    this.#send(this.#holding.installed(clock(), tables));
    this.#arm();
    this.#lookSoon(tables);
    const wanted = isNewMaster ? this.#holding.wanted : slots;
    if (wanted.length === 0) return;
    // effects are being performed
    setImmediate(() =>
      this.#options.trouble.guard("ask for slots", () => this.#requests.ask(wanted)),
    );
  }

  #take(records: readonly HeldRecord[]): SlotRef[] {
    const [told, held] = [records.filter(isTooBig), records.filter((each) => !isTooBig(each))];
    for (const { frame, slot: longest } of told) this.#tell(frame, longest);
    const frames = held.map((record) => this.#heldFrame(record));
    return this.#holding.hold(clock(), this.#waiting(frames));
  }

  #hold(records: readonly HeldRecord[]): void {
    this.#requests.ask(this.#take(records));
    this.#send(this.#holding.decided(clock()));
    this.#arm();
  }

  /** It does not fit into the tunnel to its node, and has been dropped: its sender hears what would have fitted. */
  #tell(frame: Uint8Array, longest: number): void {
    const answer = this.#tooBig.answer(clock(), frame, longest);
    if (answer !== undefined && this.#raw.send(answer) !== undefined) this.#holding.unsent();
  }

  /** Without those of groups that nobody serves: they are answered, not kept. */
  #waiting(frames: readonly HeldFrame[]): readonly HeldFrame[] {
    const groups = this.#installed?.groups ?? [];
    const answers = new Map(groups.map(({ name, answer }) => [name, answer]));
    return frames.filter((held) => {
      if (!("slot" in held)) return true;
      const how = answers.get(held.slot.group);
      if (how === undefined) return true;
      const answer = this.#refusals.answer(clock(), how, held.frame);
      if (answer !== undefined && this.#raw.send(answer) !== undefined) this.#holding.unsent();
      return false;
    });
  }

  #heldFrame({ reason, group, slot, frame }: HeldRecord): HeldFrame {
    const name = reason === "hold-unassigned" ? this.#options.datapath.heldGroup(group) : undefined;
    if (name !== undefined) return { frame, slot: { group: name, slot } };
    // also a frame whose group has gone meanwhile: nothing lets it go on, and it expires
    return { frame, datagram: fragmentKey(frame)?.toString("latin1") ?? "" };
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { deadline } = this.#holding;
    if (deadline === undefined) return;
    this.#timer = setTimeout(
      () => this.#options.trouble.guard("release frames", () => this.#deadlineReached()),
      Math.max(1, deadline - clock()),
    );
  }

  #deadlineReached(): void {
    const { datapath } = this.#options;
    const ready = this.#holding.deadlineReached(clock(), (frame) =>
      datapath.isFirstFragmentSeen(frame),
    );
    this.#send(ready.map((sent) => this.#steered(sent)));
    this.#arm();
  }

  /** XDP does not see what is turned round at egress, so its decision about a fragment is asked for here. */
  #steered(sent: SentOn): SentOn {
    const { datapath } = this.#options;
    if (datapath.hook !== "xdp") return sent;
    const { returned, bytes } = datapath.testRun(sent.frame);
    const leaves = returned === XDP_TX || returned === XDP_REDIRECT;
    return leaves ? { frame: bytes, to: undefined } : sent;
  }

  #send(frames: readonly SentOn[]): void {
    for (const sent of frames) {
      completeChecksum(sent.frame);
      const frame = this.#addressed(sent);
      const failure = frame === undefined ? "no MAC" : this.#socket.send(frame);
      if (failure !== undefined) this.#holding.unsent();
    }
  }

  /** With the MAC addresses by which it is to go on (B5). A frame to this node itself is turned round at egress. */
  #addressed({ frame, to }: SentOn): Uint8Array | undefined {
    const { self, mac } = this.#options;
    if (to === undefined) return frame;
    const view = new EthernetView(frame);
    if (to === self) {
      view.destination = macBytes(mac);
      return frame;
    }
    const row = this.#installed?.nodes.find(({ id }) => id === to);
    if (row === undefined) return undefined;
    const tunnel = this.#options.tunnels.to(to);
    if (tunnel !== undefined) {
      const sent = encapsulate(frame, tunnel, wayByte({ hop: 1, asked: 0 }), self);
      if ("frame" in sent) return tunnel.link === this.#options.link ? sent.frame : undefined;
      if (sent.reason === "drop-too-big") this.#tell(frame, sent.longest);
      return undefined;
    }
    view.destination = macBytes(row.mac);
    view.source = hopMac({ hop: 1, asked: 0 }, self);
    return frame;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#requests.close();
    clearTimeout(this.#soon);
    this.#frames.close();
    this.#socket.close();
    this.#raw.close();
    this.#connections.close();
  }
}
