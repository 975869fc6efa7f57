// One running node: the heart's events and the control channel's messages go into the controller, its effects
// into the world. Also the housekeeping: samples, repairs, the failover log.
import { randomBytes } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "pino";
import { NO_NODE } from "#base/ids.ts";
import { instant, type Instant } from "#base/time.ts";
import type { NodeConfig } from "#config/schema.ts";
import { Controller } from "#core/node/controller.ts";
import type { Input } from "#core/node/protocol.ts";
import type { View } from "#core/membership/types.ts";
import { AnswerLease } from "#driver/bpf/lease.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { revocationSet } from "#driver/identity/certificate.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import type { Hello } from "#wire/control/message.ts";
import { Applications } from "./applications/applications.ts";
import { clusterSpec, measuredGroups } from "./cluster-spec.ts";
import type { ConfigInForce, ConfigStore } from "./config-store.ts";
import { EventLog } from "./events/event-log.ts";
import { type Asked, Recorder } from "./events/recorder.ts";
import { FailoverLog } from "./failover-log.ts";
import { examine } from "./examination.ts";
import { essence } from "./event-log.ts";
import { certificateWarning, requireCarrier, requireInterface } from "./fitness.ts";
import { type HeartListener, takeFromHeart } from "./from-heart.ts";
import { takeFromMaster } from "./from-master.ts";
import { GroupKeys } from "./group-keys.ts";
import { REPORT_AGAIN_MS } from "./health-work.ts";
import { Heart } from "./heart.ts";
import type { HeartCounters } from "./heart-protocol.ts";
import { heartSettings } from "./heart-settings.ts";
import { everyPort, type HostFacts } from "./host-facts.ts";
import { InstanceWork } from "./instance-work.ts";
import { KeyRotation, ROTATE_EVERY_MS } from "./key-rotation.ts";
import { closeHost, openWorld, undoHost, worldConfigured } from "./open-world.ts";
import { Operator } from "./operator.ts";
import { panoplyVersion } from "./package-version.ts";
import { Performer, type World } from "./perform.ts";
import { Rehearsal } from "./rehearsal.ts";
import { Rollout } from "./rollout.ts";
import type { StateFolder } from "./state-folder.ts";
import { REPORT_EVERY_MS, SlotWork } from "./slot-work.ts";
import { buildStatus } from "./status.ts";
import { Traffic } from "./traffic.ts";
import { causeOfEnd, Trouble } from "./trouble.ts";
import { trustIn } from "./trust.ts";

export interface RuntimeOptions {
  readonly state: StateFolder;
  readonly store: ConfigStore;
  readonly identity: NodeIdentity;
  readonly self: NodeConfig;
  readonly facts: HostFacts;
  readonly log: Logger;
  readonly applicationsSocket: string;
  readonly hooksFolder: string;
}

const SAMPLE_EVERY_MS = 1000;
const REPAIR_EVERY_MS = 2000;
/** Silence tells the others when the cluster interface is dead; a dead arm has to be looked for. */
const ARMS_EVERY_MS = 100;
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
  readonly #eventLog: EventLog;
  readonly #events: Recorder;
  readonly #rotation: KeyRotation;
  readonly #rollout: Rollout;
  readonly #applications: Applications;
  readonly #world: World;
  readonly #performer: Performer;
  readonly #lease: AnswerLease;
  readonly #controller: Controller;
  readonly #slots: SlotWork;
  readonly #instances: InstanceWork;
  readonly #intervals: NodeJS.Timeout[] = [];
  #fail: (cause: unknown) => void = () => {};
  #heart: Heart | undefined;
  #left: () => void = () => {};
  #counters: HeartCounters | undefined;
  #view: View | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #startedAt = clock();
  readonly #isFirst: boolean;

  static async start(options: RuntimeOptions): Promise<NodeRuntime> {
    const runtime = new NodeRuntime(options);
    try {
      await runtime.#open();
    } catch (error) {
      runtime.#undo();
      await runtime.stop(error);
      throw error;
    }
    return runtime;
  }

  /** A start that fails leaves a host on which no agent was before as it was. */
  #undo(): void {
    if (this.#isFirst) undoHost(this.#world, this.#options.facts, this.#trouble);
  }

  private constructor(options: RuntimeOptions) {
    this.#options = options;
    const { state, store, self, facts } = options;
    this.failure = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    this.failure.catch(() => {}); // whoever waits for it is told; nobody may be waiting yet
    this.#trouble = new Trouble(options.log);
    this.#eventLog = EventLog.open(state.file("events.db"), this.#trouble);
    this.#events = Recorder.into(this.#eventLog, { ...options, trouble: this.#trouble, clock });
    this.#rotation = this.#makeRotation();
    this.#rollout = this.#makeRollout();
    this.#applications = this.#makeApplications();
    this.operator = this.#makeOperator();
    this.#instances = this.#makeInstances();
    this.#controller = new Controller({
      self: self.id,
      spec: clusterSpec(store.current.config),
      tables: state.tables(),
      hashKey: [randomBytes(4).readUInt32LE(), randomBytes(4).readUInt32LE()],
    });
    const names = everyPort(facts).map((port) => port.interface);
    const former = state.interfaces().filter((name) => !names.includes(name));
    state.saveInterfaces([...names, ...former]); // --teardown goes by it
    for (const name of former) Datapath.teardown(name);
    state.saveInterfaces(names);
    this.#world = this.#openWorld();
    this.#isFirst = this.#world.isFirst;
    this.#performer = new Performer(this.#world, options.log, this.#trouble);
    try {
      this.#lease = new AnswerLease(this.#world.datapath.stateFd);
      this.#slots = this.#openSlots();
    } catch (error) {
      this.#undo(); // nobody has this runtime yet and could stop it
      closeHost(this.#world, this.#eventLog);
      throw error;
    }
  }

  #openSlots(): SlotWork {
    const { self, facts } = this.#options;
    const { datapath, tunnels, following } = this.#world;
    return SlotWork.open({
      self: self.id,
      mac: facts.mac,
      link: datapath.ports.get(facts.interface) ?? 0,
      isMaster: () => this.#isMaster,
      tables: () => this.#controller.tables,
      measured: () => measuredGroups(this.#config.config),
      datapath,
      tunnels,
      following,
      step: (input) => this.#step(input),
      trouble: this.#trouble,
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
    return openWorld({
      ...this.#options,
      trouble: this.#trouble,
      keys: this.#keys,
      config: () => this.#config,
      tables: () => this.#controller.tables,
      tablesInForce: (tables) => {
        this.#slots.installed(tables);
        this.#applications.tablesInForce(tables);
        this.#events.tablesInForce(tables);
      },
      revoked: () => revocationSet(this.#revoked),
      isMaster: () => this.#isMaster,
      hello: () => this.#hello(),
      heart: (command) => this.#heart?.command(command),
      step: (input) => this.#step(input),
      onRequest: (method, body, from) => this.operator.answer(method, body, from),
      onRefused: (refusal) => this.#events.refused(refusal),
      record: (event) => this.#events.event(event),
      onMaster: (message) =>
        takeFromMaster(message, {
          log: this.#options.log,
          rotation: this.#rotation,
          rollout: this.#rollout,
          instances: this.#instances,
          following: this.#world.following,
          tables: () => this.#controller.tables,
          step: (input) => this.#step(input),
        }),
    });
  }

  #makeRotation(): KeyRotation {
    return new KeyRotation({
      keys: this.#keys,
      isMaster: () => this.#isMaster,
      trust: () => trustIn(this.#config.config, this.#revoked),
      heart: (command) => this.#heart?.command(command),
      sendToAll: () => this.#world.followers.sendKeyToAll(),
      later: (delayMs, act) => {
        const timer = setTimeout(() => this.#trouble.guard("rotate the group key", act), delayMs);
        return () => clearTimeout(timer);
      },
    });
  }

  #makeRollout(): Rollout {
    const { store, identity, log } = this.#options;
    return new Rollout({
      store,
      identity,
      log,
      trouble: this.#trouble,
      rotation: this.#rotation,
      revoked: () => this.#revoked,
      isMaster: () => this.#isMaster,
      followers: () => this.#world.followers,
      following: () => this.#world.following,
      heart: (command) => this.#heart?.command(command),
      step: (input) => this.#step(input),
      inForce: (next) => this.#events.configInForce(next),
      configured: (config) => this.#instances.configured(config),
      out: (cause) => {
        this.#performer.withdraw();
        this.#fail(cause);
      },
    });
  }

  #makeApplications(): Applications {
    const { self, log, applicationsSocket, hooksFolder } = this.#options;
    return new Applications({
      self,
      config: () => this.#config.config,
      socketPath: applicationsSocket,
      hooksFolder,
      log,
      trouble: this.#trouble,
      heart: (command) => this.#heart?.command(command),
    });
  }

  #makeInstances(): InstanceWork {
    return new InstanceWork({
      ...this.#options,
      trouble: this.#trouble,
      events: this.#events,
      controller: () => this.#controller,
      isMaster: () => this.#isMaster,
      following: () => this.#world.following,
      step: (input) => this.#step(input),
    });
  }

  #makeOperator(): Operator {
    return new Operator({
      isMaster: () => this.#isMaster,
      config: () => this.#config,
      edit: (change, asked) => this.#changed(asked, (store) => store.edit(change)),
      replace: (yaml, asked, check) => this.#changed(asked, (store) => store.replace(yaml, check)),
      agreed: (version) => this.#rollout.agreed(version),
      waiting: () => this.#rollout.waiting,
      status: () => this.#status(),
      events: this.#eventLog,
      applications: () => this.#applications.status(),
      peers: () => this.#world.peers,
      doctor: () =>
        examine({
          ...this.#options,
          ...this.#world,
          view: () => this.#view,
          waiting: this.#rollout.waiting,
          delivery: () => this.#controller.delivery,
        }),
      askMaster: (method, body) => this.#world.following.request(method, body),
      report: (error) => this.#trouble.report("change for a member", error),
    });
  }

  #changed(asked: Asked, make: (store: ConfigStore) => ConfigInForce): ConfigInForce {
    return this.#events.asked(asked, () => this.#rollout.changed(make(this.#options.store)));
  }

  async #open(): Promise<void> {
    this.#events.event({ type: "agent-started", version: panoplyVersion });
    await this.#world.followers.listen();
    this.#performer.open(this.#controller.open(clock()));
    const settings = heartSettings({
      ...this.#options,
      inForce: this.#config,
      revoked: this.#revoked,
      datapath: this.#world.datapath,
      tablesEpoch: this.#controller.tables?.version.epoch ?? 0,
    });
    const listener = this.#listener();
    this.#heart = await Heart.start(settings, (event) =>
      this.#trouble.guard(event.type, () => takeFromHeart(event, listener)),
    );
    // those that were in force before this start
    this.#heart.command({ type: "tables-published", version: this.#world.datapath.version() });
    await this.#applications.listen();
    this.#applications.refreshVoters();
    this.#every(SAMPLE_EVERY_MS, "sample traffic", () =>
      this.#traffic.sample(clock(), this.#world.datapath.counters()),
    );
    const rehearsal = new Rehearsal(() => this.#controller.rehearse(clock()), clock);
    this.#every(SAMPLE_EVERY_MS, "rehearse the master's death", () => rehearsal.perhaps());
    this.#every(REPORT_EVERY_MS, "report slots", () => this.#slots.report());
    this.#instances.configured(this.#config.config);
    this.#every(REPORT_AGAIN_MS, "tell health", () => this.#instances.tell());
    this.#every(REPAIR_EVERY_MS, "repair", () => this.#repair());
    if (this.#options.facts.arms.length > 0) {
      this.#every(ARMS_EVERY_MS, "watch the arms", () =>
        this.#orFail(() => requireCarrier(this.#options.facts.arms)),
      );
    }
    this.#every(ROTATE_EVERY_MS, "rotate the group key", () => this.#rotation.rotate());
    this.#every(DAY_MS, "watch the certificate", () => this.#watchCertificate());
    this.#watchCertificate();
  }

  #every(periodMs: number, action: string, act: () => void): void {
    this.#intervals.push(setInterval(() => this.#trouble.guard(action, act), periodMs));
  }

  #hello(): Hello {
    const [node, bootId, config] = [this.#options.self.id, this.#bootId, this.#config.version];
    // not what was decided: the kernel may have refused it
    const tables = this.#world.datapath.version();
    return { type: "hello", node, bootId, config, tables, deltas: true };
  }

  #step(input: Input): void {
    if (input.type === "spec-changed") worldConfigured(this.#world);
    const effects = this.#controller.step(clock(), input);
    this.#performer.perform(effects);
    this.#events.stepped(input, effects);
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

  #listener(): HeartListener {
    const { log, state } = this.#options;
    return {
      log,
      state,
      rotation: this.#rotation,
      failovers: this.#failovers,
      events: this.#events,
      applications: this.#applications,
      followers: this.#world.followers,
      following: this.#world.following,
      paths: this.#world.paths,
      viewChanged: (view) => this.#viewChanged(view),
      announce: () => this.#step({ type: "announce-wanted" }),
      step: (input) => this.#step(input),
      afterwards: (action, act) => setImmediate(() => this.#trouble.guard(action, act)),
      counted: (counters) => {
        this.#counters = counters;
      },
      left: () => this.#left(),
      failed: (cause) => this.#fail(cause),
    };
  }

  #viewChanged(view: View): void {
    const wasMaster = this.#isMaster;
    const [shown, before] = [view, this.#view].map((each) => each && essence(each));
    this.#view = view;
    if (JSON.stringify(shown) !== JSON.stringify(before)) this.#options.log.info(shown, "view");
    this.#events.viewChanged(view);
    this.#applications.viewChanged(view);
    this.#world.peers?.viewChanged(view);
    this.#world.paths.viewChanged(view);
    this.#step({ type: "view-changed", view });
    if (this.#isMaster !== wasMaster) this.#instances.tell();
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
    for (const port of everyPort(this.#options.facts)) {
      this.#orFail(() => requireInterface(port, this.#world.datapath.ports.get(port.interface)));
    }
    this.#world.peers?.repair();
    this.#performer.repair();
    this.#applications.refreshVoters();
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
      delivery: this.#controller.delivery,
      traffic: this.#traffic,
      heart: this.#counters,
      connections: this.#slots.connections(),
      control: this.#world.followers,
      failovers: this.#failovers,
      events: this.#eventLog.status,
      ...this.#instances.status,
      sessions: this.#applications.sessions(),
      assignment: { ...this.#controller.assignment, held: this.#slots.held },
      datapath: {
        hook: datapath.hook,
        interface: facts.interface,
        arms: facts.arms.map((arm) => arm.interface),
        leaseValid: this.#lease.untilNs > process.hrtime.bigint(),
        version: datapath.version(),
      },
      uptimeMs: clock() - this.#startedAt,
    });
  }

  /** Says goodbye, so that the others act at once. Forwarding goes on. */
  async stop(failure?: unknown): Promise<void> {
    this.#events.event({ type: "agent-stopped", ...causeOfEnd(failure) });
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
    this.#instances.close();
    await this.#applications.close();
    this.#rotation.close();
    this.#world.following.stop();
    await this.#world.followers.close();
    this.#slots.close();
    this.#lease.close();
    this.#performer.save();
    await turn(); // what has just happened is still to be recorded
    closeHost(this.#world, this.#eventLog);
  }
}
