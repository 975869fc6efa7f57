// One running node: the heart's events and the control channel's messages go into the controller, its effects
// into the world. Also the housekeeping: key rotation, samples, the failover log.
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { PanError } from "#base/error-codes.ts";
import { NO_TABLES, NO_NODE, type NodeId } from "#base/ids.ts";
import { instant, type Instant } from "#base/time.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import { Controller, type Input } from "#core/node/controller.ts";
import type { View } from "#core/membership/types.ts";
import { decodeTables } from "#core/steering/tables-codec.ts";
import { AnswerLease } from "#driver/bpf/lease.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { Announcer } from "#driver/host/announcer.ts";
import { HostState } from "#driver/host/host-state.ts";
import { revocationSet } from "#driver/identity/certificate.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import type { ControlMessage, Hello } from "#wire/control/message.ts";
import { clusterSpec, waitingForRestart } from "./cluster-spec.ts";
import type { ConfigInForce, ConfigStore } from "./config-store.ts";
import { FailoverLog } from "./failover-log.ts";
import { essence, plain } from "./event-log.ts";
import { certificateWarning, requireInterface, requireNotRevoked } from "./fitness.ts";
import { Followers } from "./followers.ts";
import { Following } from "./following.ts";
import { ACTIVATE_AFTER_MS, GroupKeys, ROTATE_EVERY_MS } from "./group-keys.ts";
import { Heart } from "./heart.ts";
import type { HeartCounters, HeartEvent } from "./heart-protocol.ts";
import type { HostFacts } from "./host-facts.ts";
import { Operator } from "./operator.ts";
import { Performer, type World } from "./perform.ts";
import type { StateFolder } from "./state-folder.ts";
import { buildStatus } from "./status.ts";
import { Traffic } from "./traffic.ts";
import { messageOf, Trouble } from "./trouble.ts";

export interface RuntimeOptions {
  readonly state: StateFolder;
  readonly store: ConfigStore;
  readonly identity: NodeIdentity;
  readonly self: NodeConfig;
  readonly facts: HostFacts;
  readonly log: Logger;
}

const SAMPLE_EVERY_MS = 1000;
const REPAIR_EVERY_MS = 2000;
const DAY_MS = 86_400_000;
const GOODBYE_MS = 300;
/** setTimeout takes no longer delays. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const clock = (): Instant => instant(performance.now());

export class NodeRuntime {
  readonly operator: Operator;
  /** Rejects when the node cannot go on. */
  readonly failure: Promise<never>;
  readonly #options: RuntimeOptions;
  readonly #bootId = randomBytes(8).toString("hex");
  readonly #keys = new GroupKeys();
  readonly #traffic = new Traffic();
  readonly #failovers = new FailoverLog();
  readonly #trouble: Trouble;
  readonly #world: World;
  readonly #performer: Performer;
  readonly #lease: AnswerLease;
  readonly #controller: Controller;
  readonly #intervals: NodeJS.Timeout[] = [];
  #fail: (cause: unknown) => void = () => {};
  #heart: Heart | undefined;
  #left: () => void = () => {};
  #counters: HeartCounters | undefined;
  #view: View | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #startedAt = clock();
  readonly #startedWith: ClusterConfig;
  readonly #isFirst: boolean;

  static async start(options: RuntimeOptions): Promise<NodeRuntime> {
    const runtime = new NodeRuntime(options);
    try {
      await runtime.#open();
    } catch (error) {
      runtime.#undo();
      await runtime.stop();
      throw error;
    }
    return runtime;
  }

  /** A start that fails leaves a host on which no agent was before as it was. */
  #undo(): void {
    if (!this.#isFirst) return;
    this.#trouble.guard("undo", () => this.#world.host.revert());
    this.#trouble.guard("undo", () => Datapath.teardown(this.#options.facts.interface));
  }

  private constructor(options: RuntimeOptions) {
    this.#options = options;
    const { state, store, self, facts } = options;
    this.#startedWith = store.current.config;
    this.failure = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    this.failure.catch(() => {}); // whoever waits for it is told; nobody may be waiting yet
    this.#trouble = new Trouble(options.log);
    this.operator = this.#makeOperator();
    state.saveInterface(facts.interface); // --teardown goes by it
    this.#world = this.#openWorld();
    const { addresses, sysctls } = this.#world.host.journal;
    this.#isFirst = addresses.length + sysctls.length === 0 && !this.#world.datapath.reused;
    this.#performer = new Performer(this.#world, options.log, this.#trouble);
    this.#lease = new AnswerLease(this.#world.datapath.stateFd);
    this.#controller = new Controller({
      self: self.id,
      spec: clusterSpec(store.current.config),
      tables: state.tables(),
      hashKey: [randomBytes(4).readUInt32LE(), randomBytes(4).readUInt32LE()],
    });
  }

  get #config(): ConfigInForce {
    return this.#options.store.current;
  }

  /** Serial numbers, of the configuration and of the bundle. */
  get #revoked(): string[] {
    return [...this.#config.config.revoked, ...this.#options.identity.personality.security.revoked];
  }

  get #isMaster(): boolean {
    return this.#view?.role === "master";
  }

  #openWorld(): World {
    const { facts, self, state, identity, log } = this.#options;
    const { datapath, cluster } = this.#config.config;
    const revoked = (): ReadonlySet<string> => revocationSet(this.#revoked);
    const hello = (): Hello => this.#hello();
    return {
      mac: facts.mac,
      state,
      // in this order: what can be refused without a trace comes first
      host: HostState.open({ interface: facts.interface, stateFolder: state.path }),
      announcer: Announcer.open({ interface: facts.interface }),
      datapath: Datapath.open({
        interface: facts.interface,
        hook: datapath.hook,
        self: self.id,
        mac: facts.mac,
        slotCapacity: datapath.slotCapacity,
      }),
      followers: new Followers({
        identity,
        address: self.address,
        port: cluster.port,
        keys: this.#keys,
        isMaster: () => this.#isMaster,
        hello,
        config: () => this.#config,
        tables: () => this.#controller.tables,
        revoked,
        onAcknowledged: (id, version) =>
          this.#trouble.guard("tables-ack", () =>
            this.#step({ type: "tables-acknowledged", id, version }),
          ),
        onRequest: (method, body) => this.operator.answer(method, body),
      }),
      following: new Following({
        identity,
        port: cluster.port,
        hello,
        revoked,
        onMessage: (message) =>
          this.#trouble.guard(`${message.type} from the master`, () => this.#fromMaster(message)),
        onTrouble: (master, cause) =>
          log.warn({ master, cause: messageOf(cause) }, "control channel"),
      }),
      heart: (command) => this.#heart?.command(command),
    };
  }

  #makeOperator(): Operator {
    return new Operator({
      isMaster: () => this.#isMaster,
      config: () => this.#config,
      edit: (change) => this.#changed(this.#options.store.edit(change)),
      replace: (yaml) => this.#changed(this.#options.store.replace(yaml)),
      status: () => this.#status(),
      askMaster: (method, body) => this.#world.following.request(method, body),
      report: (error) => this.#trouble.report("change for a member", error),
    });
  }

  async #open(): Promise<void> {
    await this.#world.followers.listen();
    this.#performer.open(this.#controller.open());
    this.#heart = await Heart.start(this.#heartSettings(), (event) =>
      this.#trouble.guard(event.type, () => this.#fromHeart(event)),
    );
    this.#every(SAMPLE_EVERY_MS, "sample traffic", () =>
      this.#traffic.sample(clock(), this.#world.datapath.counters()),
    );
    this.#every(REPAIR_EVERY_MS, "repair", () => this.#repair());
    this.#every(ROTATE_EVERY_MS, "rotate the group key", () => this.#rotateKey());
    this.#every(DAY_MS, "watch the certificate", () => this.#watchCertificate());
    this.#watchCertificate();
  }

  #every(periodMs: number, action: string, act: () => void): void {
    this.#intervals.push(setInterval(() => this.#trouble.guard(action, act), periodMs));
  }

  #heartSettings(): Parameters<typeof Heart.start>[0] {
    const { self, facts, identity, state } = this.#options;
    const { config, version } = this.#config;
    const lastBoot = state.boot();
    return {
      self: { id: self.id, name: self.name, address: self.address, mac: facts.mac },
      interface: facts.interface,
      port: config.cluster.port,
      // an agent that was killed may have left more than it could save
      epoch: Math.max(
        state.epoch(),
        this.#controller.tables?.version.epoch ?? 0,
        this.#world.datapath.version().epoch,
      ),
      config: version,
      detection: config.detection,
      admitted: config.nodes.map(({ id, name, address }) => ({ id, name, address })),
      credentials: {
        certificate: identity.certificatePem,
        privateKey: identity.privateKeyPem,
        caCertificate: identity.caPem,
      },
      revoked: this.#revoked,
      stateFd: this.#world.datapath.stateFd,
      ...(lastBoot === undefined ? {} : { lastBoot }),
    };
  }

  #hello(): Hello {
    return {
      type: "hello",
      node: this.#options.self.id,
      bootId: this.#bootId,
      config: this.#config.version,
      tables: this.#controller.installedVersion ?? NO_TABLES,
    };
  }

  #step(input: Input): void {
    this.#performer.perform(this.#controller.step(clock(), input));
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { deadline } = this.#controller;
    if (deadline === undefined) return;
    const delay = Math.min(Math.max(0, deadline - clock()), LONGEST_TIMER_MS);
    this.#timer = setTimeout(
      () => this.#trouble.guard("deadline", () => this.#step({ type: "deadline-reached" })),
      delay,
    );
  }

  #fromHeart(event: HeartEvent): void {
    const { log, state } = this.#options;
    if (event.type !== "counters" && event.type !== "view-changed")
      log.info(plain(event), event.type);
    switch (event.type) {
      case "view-changed":
        this.#viewChanged(event.view);
        return;
      case "became-master":
        if (this.#keys.current === undefined) this.#newKey(true);
        state.saveEpoch(event.epoch);
        return;
      case "lost-mastership":
        this.#world.followers.dismiss();
        return;
      case "announce-wanted":
        this.#performer.perform([
          { type: "announce-vips", vips: clusterSpec(this.#config.config).vips },
        ]);
        return;
      case "member-departed":
        this.#failovers.departed(new Date(), event.id, event.reason);
        return;
      case "departure-confirmed":
        this.#failovers.confirmed(event.id, event.reason);
        this.#step(event);
        return;
      case "admitted-by":
        this.#world.following.follow({ id: event.master, address: event.address });
        return;
      case "config-wanted":
        this.#followNode(event.from);
        return;
      case "counters":
        this.#counters = event.counters;
        return;
      case "left":
        this.#left();
        return;
      case "failed":
        this.#fail(new PanError(event.code, `Membership ended: ${event.message}`));
        return;
      case "started":
        state.saveBoot(event.boot);
        return;
      case "member-joined":
      case "refused":
      case "join-denied":
      case "address-conflict":
        return;
    }
  }

  #viewChanged(view: View): void {
    const [shown, before] = [view, this.#view].map((each) => each && essence(each));
    this.#view = view;
    if (JSON.stringify(shown) !== JSON.stringify(before)) this.#options.log.info(shown, "view");
    this.#step({ type: "view-changed", view });
  }

  #followNode(id: NodeId): void {
    const node = this.#config.config.nodes.find((candidate) => candidate.id === id);
    if (node !== undefined) this.#world.following.follow(node);
  }

  #fromMaster(message: ControlMessage): void {
    switch (message.type) {
      case "group-key": {
        const { keyId, key } = message;
        if (this.#keys.adopt({ keyId, key }, message.previous)) {
          this.#world.heart({ type: "group-key", keyId, key, activate: false });
        }
        return;
      }
      case "config":
        this.#adopt(message);
        return;
      case "tables": {
        const tables = decodeTables(message.bytes);
        if (!tables.ok) throw new Error(`they are ${tables.reason}`);
        this.#step({ type: "tables-received", tables: tables.value });
        return;
      }
      case "hello":
      case "ping":
      case "pong":
        return;
      case "config-ack":
      case "tables-ack":
      case "tables-wanted":
      case "request":
      case "response":
        this.#options.log.warn({ type: message.type }, "not for a member");
        return;
    }
  }

  #adopt({ version, yaml }: Extract<ControlMessage, { type: "config" }>): void {
    this.#inForce(this.#options.store.adopt(version, yaml).config);
    this.#world.following.send({ type: "config-ack", version });
  }

  /** At the master: an operator's change is stored; now everybody gets it. */
  #changed(next: ConfigInForce): ConfigInForce {
    this.#world.followers.sendConfigToAll(next);
    this.#inForce(next.config);
    return next;
  }

  #inForce(config: ClusterConfig): void {
    const waiting = waitingForRestart(this.#startedWith, config);
    if (waiting.length > 0) {
      this.#options.log.warn({ settings: waiting }, "in force when this agent starts again");
    }
    this.#world.heart({
      type: "config-changed",
      config: this.#config.version,
      admitted: config.nodes.map(({ id, name, address }) => ({ id, name, address })),
      revoked: this.#revoked,
      detection: config.detection,
    });
    this.#step({ type: "spec-changed", spec: clusterSpec(config) });
    this.#revoke();
  }

  /** A2: whoever runs with a certificate that is revoked now goes, also when that is this node. */
  #revoke(): void {
    this.#orFail(() => requireNotRevoked(this.#options.identity, revocationSet(this.#revoked)));
    if (!this.#isMaster) return;
    const revoked = this.#world.followers.revokedNodes();
    for (const id of revoked) this.#world.heart({ type: "expel", id });
    if (revoked.length > 0) this.#rotateKey(); // they know the present one
  }

  /** Something without which the node cannot go on. */
  #orFail(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#fail(error);
    }
  }

  #watchCertificate(): void {
    const warning = certificateWarning(this.#options.identity, new Date());
    if (warning !== undefined) this.#options.log.warn(warning);
  }

  #repair(): void {
    const { facts } = this.#options;
    this.#orFail(() => requireInterface(facts, this.#world.datapath.ifindex));
    this.#performer.repair();
  }

  #newKey(activate: boolean): void {
    const { keyId, key } = this.#keys.rotate();
    this.#world.heart({ type: "group-key", keyId, key, activate });
  }

  #rotateKey(): void {
    if (!this.#isMaster) return;
    this.#newKey(false);
    this.#world.followers.sendKeyToAll();
    setTimeout(() => {
      const { current } = this.#keys;
      if (current !== undefined && this.#isMaster) {
        this.#world.heart({ type: "group-key", ...current, activate: true });
      }
    }, ACTIVATE_AFTER_MS).unref();
  }

  #status(): ReturnType<typeof buildStatus> {
    const { self, facts, store } = this.#options;
    const { datapath } = this.#world;
    this.#traffic.refresh(datapath.counters());
    const current = store.current.config.nodes.find(({ id }) => id === self.id) ?? self;
    return buildStatus({
      self: current,
      config: store.current.config,
      configVersion: store.current.version,
      view: this.#view,
      tables: this.#controller.tables,
      traffic: this.#traffic,
      heart: this.#counters,
      failovers: this.#failovers,
      datapath: {
        hook: datapath.hook,
        interface: facts.interface,
        leaseValid: this.#lease.untilNs > process.hrtime.bigint(),
        version: datapath.version(),
      },
      uptimeMs: clock() - this.#startedAt,
    });
  }

  /** Says goodbye, so that the others act at once. Forwarding goes on. */
  async stop(): Promise<void> {
    for (const interval of this.#intervals) clearInterval(interval);
    if (this.#heart !== undefined) {
      const left = new Promise<void>((resolve) => {
        this.#left = resolve;
        setTimeout(resolve, GOODBYE_MS).unref();
      });
      if (this.#view !== undefined && this.#view.master !== NO_NODE) {
        this.#heart.command({ type: "leave" });
        await left;
      }
      await this.#heart.stop();
    }
    clearTimeout(this.#timer);
    this.#world.following.stop();
    await this.#world.followers.close();
    this.#world.announcer.close();
    this.#world.host.close();
    this.#lease.close();
    this.#world.datapath.close();
  }
}
