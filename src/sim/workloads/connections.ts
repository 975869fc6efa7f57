// Clients with TCP connections, and UDP sessions that are pinned, that are opened, used and closed while the cluster changes under them.
// A connection is known to the node that took its SYN; whoever else takes one of its later segments would answer with a reset. A session
// is at the node that took its first packet (B12).
import type { IpAddress } from "#base/address.ts";
import type { TableVersion } from "#base/ids.ts";
import type { Delivery } from "#core/steering/tables.ts";
import { Prng } from "#base/prng.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import type { FlowKey } from "#wire/flow-key.ts";
import { NAME_PORT, VIP, WEB_PORT } from "../cluster-spec.ts";
import { type ClientFrame, clientFrame, flowOfClient } from "../client-frame.ts";
import { type DataPlane, type Fate, floodedMac } from "../data-plane.ts";
import { SAMPLE_FLOWS } from "../flows.ts";
import type { SimNode } from "../node.ts";
import { connectionKey, connectionOf, type PacketProgram } from "../packet-program.ts";
import type { Observer } from "../probes.ts";
import type { World } from "../world.ts";

const CLIENTS = 8;
const MOST_SESSIONS = 6;
const SESSION_EVERY_MS = 3000;
const MOST_OPEN = 48;
const OPEN_EVERY_MS = 700;
const SHORTEST_MS = 3000;
const LONGEST_MS = 60_000;
/** A client whose question was not answered asks again. */
const RESOLVE_EVERY_MS = 1000;
/** After two clusters have met, clients come back once they have heard of the one that stays. */
const UNITED_MS = 2000;

export interface Connection {
  /** TCP or UDP. */
  readonly protocol: number;
  readonly client: number;
  readonly port: number;
  readonly flow: FlowKey;
  /** A frame of it that does not open it. */
  readonly segment: ClientFrame;
  readonly server: SimNode;
  /** The server's kernel in which it lives. */
  readonly program: PacketProgram;
  readonly openedMs: number;
  /** By which its server took it. */
  readonly tables: TableVersion;
  readonly closeMs: number;
  /** Why nothing is promised to it any more. */
  excuse: string | undefined;
  /** Since when its segments have reached nobody. */
  stuckSinceMs: number | undefined;
}

export class Connections implements Observer {
  readonly open: Connection[] = [];
  /** UDP sessions included. */
  opened = 0;
  sessions = 0;
  /** How many, by reason. */
  readonly excused = new Map<string, number>();
  #delivery: Delivery = { method: "forward", primary: undefined };
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #prng: Prng;
  readonly #sessionPrng: Prng;
  /** Whose MAC the clients have for the VIPs. */
  entry: SimNode | undefined;
  #ambiguousMs = Number.NEGATIVE_INFINITY;
  #nextPort = 1024;
  /** Those that are free, of the frames of connections. */
  readonly #seats = Array.from(
    { length: MOST_OPEN + MOST_SESSIONS },
    (_, index) => SAMPLE_FLOWS.length + index,
  );
  #openAtMs = 0;
  #sessionAtMs = 0;
  #sessions = 0;
  #resolveAtMs = 0;

  constructor(world: World, plane: DataPlane, seed: number) {
    this.#world = world;
    this.#plane = plane;
    this.#prng = new Prng(seed ^ 0xc1e);
    this.#sessionPrng = new Prng(seed ^ 0x0dd5);
  }

  announced(node: SimNode, vips: readonly IpAddress[], delivery: Delivery): void {
    if (!node.isUp || !vips.includes(VIP)) return;
    this.entry = node;
    this.#delivery = delivery;
  }

  /** Clients' frames reach every member. */
  get isFlooded(): boolean {
    return floodedMac(this.#delivery) !== undefined;
  }

  /** All that becomes of a frame that a client sends to the MAC that it has for the VIPs. */
  fates(frame: ClientFrame): Fate[] {
    const mac = floodedMac(this.#delivery);
    if (mac !== undefined) return this.#plane.flood(mac, frame);
    return this.entry === undefined ? [] : [this.#plane.walk(this.entry, frame)];
  }

  /** What becomes of a frame that a client sends to the MAC that it has for the VIPs. */
  send(frame: ClientFrame, server: number): Fate | undefined {
    const mac = floodedMac(this.#delivery);
    if (mac === undefined) return this.entry && this.#plane.walk(this.entry, frame);
    const fates = this.#plane.flood(mac, frame);
    const wrong = fates.find((fate) => fate.what === "taken" && fate.by !== server);
    return (server === 0 ? fates[0] : (wrong ?? fates[0])) ?? { what: "lost" };
  }

  /** A client that gets no answer from there asks again. */
  nodeChanged(node: SimNode): void {
    const isGone = node.state === "machine-down" || node.state === "paused";
    if (isGone && this.entry === node) this.entry = undefined;
  }

  /** Two clusters where there should be one: a client may talk to either. */
  get #isAmbiguous(): boolean {
    const masters = this.#world.masters.filter(({ state }) => state === "running");
    return masters.length > 1 || !this.#world.network.isWhole;
  }

  /** Nothing is promised to it any more (excuses.ts). */
  excuse(connection: Connection, why: string): void {
    connection.excuse = why;
    this.excused.set(why, (this.excused.get(why) ?? 0) + 1);
  }

  sample(): void {
    const { nowMs } = this.#world;
    if (nowMs >= this.#resolveAtMs) this.#resolve();
    if (this.#isAmbiguous) this.#ambiguousMs = nowMs;
    for (let at = this.open.length - 1; at >= 0; at--) {
      const connection = this.open[at];
      if (connection === undefined) continue;
      if (nowMs < connection.closeMs && connection.excuse === undefined) continue;
      connection.program.forget(connectionKey(connection.client, connection.port));
      if (connection.protocol === PROTOCOL_UDP) this.#sessions -= 1;
      this.open.splice(at, 1);
      if (connection.segment.seat !== undefined) this.#seats.push(connection.segment.seat);
    }
    if (nowMs - this.#ambiguousMs < UNITED_MS) return;
    const connections = this.open.length - this.#sessions;
    if (nowMs >= this.#openAtMs && connections < MOST_OPEN) {
      this.#openAtMs = nowMs + this.#prng.below(2 * OPEN_EVERY_MS);
      this.#tryToOpen(PROTOCOL_TCP, this.#prng);
    }
    if (nowMs >= this.#sessionAtMs && this.#sessions < MOST_SESSIONS) {
      this.#sessionAtMs = nowMs + this.#sessionPrng.below(2 * SESSION_EVERY_MS);
      this.#tryToOpen(PROTOCOL_UDP, this.#sessionPrng);
    }
  }

  #resolve(): void {
    this.#resolveAtMs = this.#world.nowMs + RESOLVE_EVERY_MS;
    const answering = this.#plane.answering(VIP);
    if (this.entry !== undefined && answering.includes(this.entry)) return;
    const [entry] = answering;
    if (entry === undefined) return;
    this.entry = entry;
    // the answer names the MAC by which frames come to whoever gives it
    this.#delivery = entry.program.installed.delivery;
  }

  #tryToOpen(protocol: number, prng: Prng): void {
    const { nowMs } = this.#world;
    if (this.entry === undefined) return;
    const client = 1 + prng.below(CLIENTS);
    const port = this.#nextPort;
    this.#nextPort = port >= 60_000 ? 1024 : port + 1;
    const flow = {
      protocol,
      client,
      from: port,
      to: protocol === PROTOCOL_UDP ? NAME_PORT : WEB_PORT,
    };
    const fate = this.send(clientFrame(VIP, flow, true), 0);
    if (fate?.what !== "taken" || fate.reason !== "pass-local") return;
    const server = this.#world.node(fate.by);
    server.program.connections.set(connectionKey(client, port), connectionOf(flow));
    if (protocol === PROTOCOL_UDP) {
      this.#sessions += 1;
      this.sessions += 1;
    }
    const lastsMs = SHORTEST_MS + prng.below(LONGEST_MS - SHORTEST_MS);
    const { program } = server;
    this.open.push({
      protocol,
      flow: flowOfClient(flow),
      segment: clientFrame(VIP, flow, false, this.#seats.pop()),
      ...{ client, port, server, program, openedMs: nowMs, closeMs: nowMs + lastsMs },
      tables: program.version,
      excuse: undefined,
      stuckSinceMs: undefined,
    });
    this.opened += 1;
  }
}
