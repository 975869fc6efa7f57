// The main thread of a simulated node: daemon/node-runtime.ts, perform.ts, from-heart.ts and followers.ts on virtual time. The
// decisions are the real Controller's; what it asks for is done to the simulated kernel, disk and control channel.
import type { NodeId } from "#base/ids.ts";
import type { View } from "#core/membership/types.ts";
import { upToDate } from "#core/node/backlog.ts";
import { Controller } from "#core/node/controller.ts";
import type { Effect, Input } from "#core/node/protocol.ts";
import { Followers } from "./followers.ts";
import { bytesOf, tablesRead } from "./tables-bytes.ts";
import { FormerSlots, LOOK_SOON_MS, type UnusedSlots } from "#core/steering/former-slots.ts";
import type { Tables } from "#core/steering/tables.ts";
import { type ClusterConfig, edited, names, type ConfigContent } from "./cluster-config.ts";
import {
  type Attempt,
  connect,
  type Connection,
  type ControlEnd,
  type ControlMessage,
  type Report,
} from "./control.ts";
import { GroupKeys } from "./group-keys.ts";
import type { Heart, MembershipEvent } from "./heart.ts";
import type { SimNode } from "./node.ts";
import { HeldFrames } from "./held-frames.ts";
import { Instance } from "./instance.ts";
import { TaskQueue } from "./task-queue.ts";
import type { World } from "./world.ts";
import type { SlotReport } from "#wire/control/slot-report.ts";

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 2000;
const REPAIR_EVERY_MS = 2000;
const REPORT_EVERY_MS = 2000;

export class MainThread {
  readonly tasks: TaskQueue;
  readonly controller: Controller;
  readonly keys: GroupKeys;
  readonly instance: Instance;
  readonly followers: Followers;
  readonly held: HeldFrames;
  readonly #world: World;
  readonly #node: SimNode;
  readonly #formerSlots: FormerSlots;
  #heart: Heart | undefined;
  #config: ClusterConfig;
  #view: View | undefined;
  #news: MembershipEvent[] = [];
  #following: NodeId | undefined;
  #attempt: Attempt | undefined;
  #client: Connection | undefined;
  #retryMs = FIRST_RETRY_MS;
  #unpublished: Tables | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  #closed = false;
  readonly #clientEnd: ControlEnd;
  readonly serverEnd: ControlEnd;

  constructor(world: World, node: SimNode, config: ClusterConfig, tables: Tables | undefined) {
    this.#world = world;
    this.#node = node;
    this.#config = config;
    this.#formerSlots = new FormerSlots(node.id);
    this.tasks = new TaskQueue(world);
    this.keys = this.#makeKeys();
    this.instance = new Instance(this.tasks, node.isWell, (report) =>
      this.#tell({ type: "health-report", report }),
    );
    this.controller = new Controller({
      self: node.id,
      spec: config.spec,
      tables,
      hashKey: [world.prng.uint32(), world.prng.uint32()],
    });
    const end = {
      node: node.id,
      responds: () => !this.#closed && node.responds,
      post: (task: () => void) => this.tasks.post(task),
    };
    this.#clientEnd = {
      ...end,
      received: (connection, message) => {
        if (connection === this.#client) this.#fromMaster(message);
      },
      closed: (connection) => {
        if (connection === this.#client) this.#lost();
      },
    };
    this.serverEnd = {
      ...end,
      received: (connection, message) => this.followers.received(connection, message),
      closed: (connection) => this.followers.closed(connection),
    };
    this.followers = this.#makeFollowers();
    this.held = this.#makeHeld();
  }

  #makeFollowers(): Followers {
    return new Followers({
      end: this.serverEnd,
      tasks: this.tasks,
      isMaster: () => this.isMaster,
      config: () => this.#config,
      isTrusted: (id, config) => this.#isTrusted(id, config),
      keys: () => this.keys,
      hello: () => this.#hello(),
      tables: () => this.controller.tables,
      acknowledged: (id, version) => this.step({ type: "tables-acknowledged", id, version }),
      wanted: (slots) => this.step({ type: "slots-wanted", slots }),
      reported: (id, message) => this.#reported(id, message),
    });
  }

  #makeHeld(): HeldFrames {
    return new HeldFrames({
      self: this.#node.id,
      tasks: this.tasks,
      now: () => this.#node.now,
      isMaster: () => this.isMaster,
      take: (slots) => this.step({ type: "slots-wanted", slots }),
      send: (slots) => void this.#client?.send(this.#clientEnd, { type: "slots-wanted", slots }),
      sendOn: (frame, to) => this.#world.sendOn(this.#node, frame, to),
    });
  }

  #makeKeys(): GroupKeys {
    return new GroupKeys({
      prng: this.#world.prng,
      isMaster: () => this.isMaster,
      config: () => this.#config,
      heart: (order) => this.#order(order),
      sendToAll: () => this.followers.sendKeys(),
      later: (delayMs, act) => this.tasks.later(delayMs, act),
    });
  }

  get isMaster(): boolean {
    return this.#view?.role === "master";
  }

  get config(): ClusterConfig {
    return this.#config;
  }

  get view(): View | undefined {
    return this.#view;
  }

  open(heart: Heart): void {
    this.#heart = heart;
    this.#perform(this.controller.open(this.#node.now));
    // those that were in force before this start
    this.#order({ type: "tables-published", version: this.#node.program.version });
    this.#repairLater();
    this.#reportLater();
    this.instance.open();
  }

  /** daemon/slot-reports.ts: what this node finds among its connections, and what its slots carry. */
  #reportLater(): void {
    this.tasks.later(REPORT_EVERY_MS, () => {
      this.#reportLater();
      this.#look(true);
    });
  }

  #look(isRound: boolean): void {
    const { installed, version: tables } = this.#node.program;
    const connections = () => this.#node.program.listConnections();
    const look = this.#formerSlots.look(this.#node.now, installed, connections);
    const { established, ended } = look;
    const report = isRound ? this.#slotReport(look.unused) : undefined;
    if (report !== undefined) this.#tell({ type: "slot-report", report });
    if (established.length + ended.length === 0) return;
    this.#tell({ type: "flow-report", report: { tables, established, ended } });
  }

  #slotReport(found: readonly UnusedSlots[]): SlotReport | undefined {
    const { installed, version } = this.#node.program;
    const { load } = this.#world;
    if (found.length === 0 && load === undefined) return undefined;
    const groups = installed.groups.map((group) => ({
      name: group.name,
      unused: found.find(({ name }) => name === group.name)?.unused ?? [],
      rates: load?.measuredBy(this.#node.id, group) ?? [],
    }));
    const telling = groups.filter(({ unused, rates }) => unused.length + rates.length > 0);
    return { tables: version, groups: telling };
  }

  /** The master, or this node as master. */
  #tell(message: Report): void {
    if (!this.isMaster) return void this.#client?.send(this.#clientEnd, message);
    return this.#reported(this.#node.id, message);
  }

  #reported(id: NodeId, message: Report): void {
    switch (message.type) {
      case "slot-report":
        return this.step({ type: "slots-reported", id, report: message.report });
      case "flow-report":
        return this.step({ type: "flows-reported", id, report: message.report });
      case "health-report":
        return this.step({ type: "health-reported", id, report: message.report });
    }
  }

  #order(order: Parameters<Heart["order"]>[0]): void {
    const heart = this.#heart;
    this.#world.queue.add(this.#world.nowMs + 0.02, () => heart?.order(order));
  }

  /** What the heart reports: all that waits is taken at once, as by daemon/heart.ts. */
  fromHeart(event: MembershipEvent): void {
    this.#news.push(event);
    if (this.#news.length > 1) return;
    this.tasks.post(() => {
      const news = this.#news;
      this.#news = [];
      for (const each of upToDate(news)) if (!this.#closed) this.#takeFromHeart(each);
    });
  }

  #takeFromHeart(event: MembershipEvent): void {
    switch (event.type) {
      case "view-changed":
        return this.#viewChanged(event.view);
      case "became-master":
        this.keys.becameMaster(event.keyId);
        this.#node.disk.epoch = event.epoch;
        return;
      case "lost-mastership":
        return this.followers.close(true);
      case "announce-wanted":
        return this.step({ type: "announce-wanted" });
      case "departure-confirmed":
        return this.step(event);
      case "machine-gone":
        return this.step({ type: "departure-confirmed", id: event.id, reason: "silent" });
      case "admitted-by":
        return this.#follow(event.master);
      case "config-wanted":
        return this.#follow(event.from);
      case "left":
        return this.#node.agentEnded();
      case "member-departed":
      case "member-joined":
      case "refused":
      case "join-denied":
      case "address-conflict":
      case "vote-wanted":
      case "vote-unanswered":
        return;
    }
  }

  #viewChanged(view: View): void {
    const wasMaster = this.isMaster;
    this.#view = view;
    this.step({ type: "view-changed", view });
    if (this.isMaster !== wasMaster) this.instance.tell();
  }

  step(input: Input): void {
    this.#perform(this.controller.step(this.#node.now, input));
    this.#arm();
  }

  #arm(): void {
    const { deadline } = this.controller;
    if (deadline === undefined) return;
    const atMs = Math.max(this.#node.clock.whenPast(deadline), this.#world.nowMs);
    if (atMs >= this.#timerMs) return;
    this.#timerMs = atMs;
    this.#world.queue.add(atMs, () => {
      if (this.#timerMs !== atMs) return;
      this.tasks.post(() => this.#deadline());
      this.#timerMs = Number.POSITIVE_INFINITY;
    });
  }

  #deadline(): void {
    const { deadline } = this.controller;
    if (deadline !== undefined && deadline <= this.#node.now) {
      return this.step({ type: "deadline-reached" });
    }
    this.#arm();
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: Effect): void {
    switch (effect.type) {
      case "place-vips":
        return this.#node.placeVips(effect);
      case "announce-vips":
        return this.#node.announce(effect);
      case "report-group":
        return;
      case "install-tables":
        return this.#publish(effect.tables);
      case "replicate-tables":
        return this.followers.sendTables(effect.tables, (id) => !effect.withheld.includes(id));
      case "release-tables":
        return this.followers.sendTables(effect.tables, (id) => effect.to.includes(id));
      case "acknowledge-tables":
        if (this.#unpublished === undefined) {
          this.#client?.send(this.#clientEnd, { type: "tables-ack", version: effect.version });
        }
        return;
      case "follow":
        if (effect.master === undefined) this.#unfollow();
        else this.#follow(effect.master.id);
        return;
    }
  }

  #publish(tables: Tables): void {
    this.#unpublished = tables;
    if (!this.#node.program.publish(tables)) {
      return this.#world.probes.tablesRefused(this.#node.id, tables);
    }
    this.#unpublished = undefined;
    this.#world.probes.installed(this.#node, tables);
    this.held.installed(tables);
    if (this.#formerSlots.isAsked(tables)) this.tasks.later(LOOK_SOON_MS, () => this.#look(false));
    this.#order({ type: "tables-published", version: tables.version });
    this.#node.disk.tables = bytesOf(tables);
  }

  #repairLater(): void {
    this.tasks.later(REPAIR_EVERY_MS, () => {
      this.#repairLater();
      const tables = this.#unpublished;
      if (tables === undefined) return;
      this.#publish(tables);
      this.#client?.send(this.#clientEnd, { type: "tables-ack", version: tables.version });
    });
  }

  // ---- following a master

  #follow(master: NodeId): void {
    if (this.#following === master) return;
    this.#unfollow();
    this.#following = master;
    this.#connect(master);
  }

  #unfollow(): void {
    this.#following = undefined;
    this.#retryMs = FIRST_RETRY_MS;
    if (this.#attempt !== undefined) this.#attempt.cancelled = true;
    const client = this.#client;
    this.#client = undefined;
    client?.close(this.#clientEnd, true);
  }

  #connect(master: NodeId): void {
    this.#attempt = connect(this.#world, this.#clientEnd, master, (connection) => {
      if (connection === undefined) return this.#lost();
      this.#client = connection;
      this.#retryMs = FIRST_RETRY_MS;
      connection.send(this.#clientEnd, this.#hello());
      this.instance.tell();
    });
  }

  #lost(): void {
    this.#client = undefined;
    const master = this.#following;
    if (master === undefined) return;
    this.tasks.later(this.#retryMs, () => {
      if (this.#following === master && this.#client === undefined) this.#connect(master);
    });
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
  }

  #hello(): ControlMessage {
    const { version } = this.#config;
    return { type: "hello", config: version, tables: this.#node.program.version };
  }

  #fromMaster(message: ControlMessage): void {
    switch (message.type) {
      case "group-key":
        return this.keys.adopt(message.newest, message.before);
      case "config":
        return this.#adopt(message.config);
      case "tables":
        return this.#takeTables(message.bytes);
      case "hello":
      case "slot-report":
      case "flow-report":
      case "health-report":
      case "tables-ack":
      case "tables-wanted":
      case "slots-wanted":
        return;
    }
  }

  /** daemon/from-master.ts */
  #takeTables(bytes: Uint8Array): void {
    const read = tablesRead(this.controller.tables, bytes);
    if ("tables" in read) return this.step({ type: "tables-received", tables: read.tables });
    this.#world.probes.tablesWanted(this.#node);
    this.#client?.send(this.#clientEnd, { type: "tables-wanted", held: read.wanted });
  }

  #adopt(config: ClusterConfig): void {
    this.#inForce(config);
    if (!this.#isTrusted(this.#node.id, config)) this.#node.agentOut();
  }

  // ---- being followed

  /** Whether a node's certificate and address let it in. */
  admits(id: number): boolean {
    return this.#isTrusted(id as NodeId, this.#config);
  }

  #isTrusted(id: NodeId, config: ClusterConfig): boolean {
    return names(config, id) && !config.revoked.includes(this.#world.node(id).serial);
  }

  // ---- configuration

  /** An operator's change, at the master. */
  edit(change: Partial<ConfigContent>): void {
    const config = edited(this.#config, change);
    this.followers.sendConfig(config);
    this.#inForce(config);
    if (!this.#isTrusted(this.#node.id, config)) this.#node.agentOut();
  }

  #inForce(config: ClusterConfig): void {
    this.#config = config;
    this.#node.disk.config = config;
    const { version, admitted, revoked, detection, spec } = config;
    this.#order({ type: "config-changed", config: version, admitted, revoked, detection });
    this.step({ type: "spec-changed", spec });
    if (this.isMaster) {
      for (const { id } of admitted) {
        if (revoked.includes(this.#world.node(id).serial)) this.#order({ type: "expel", id });
      }
    }
    this.keys.trustChanged();
  }

  close(isMachineUp: boolean): void {
    this.#closed = true;
    this.tasks.close();
    this.held.close();
    this.#client?.close(this.#clientEnd, isMachineUp);
    this.followers.close(isMachineUp);
    if (this.#attempt !== undefined) this.#attempt.cancelled = true;
  }
}
