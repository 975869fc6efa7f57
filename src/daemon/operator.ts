// What operators ask of the agent (src/api/contract.ts). Questions are answered here; changes are made at the
// master, to which a member passes them on, so that it does not matter which node is asked (B8).
import { release } from "node:os";
import type { AgentPort } from "#api/agent-port.ts";
import { listEvents } from "#api/event-route.ts";
import type { EventSource } from "#api/event-stream.ts";
import type { AddService, Changed, Input, Operation, Output } from "#api/contract.ts";
import { type IpAddress, parseIp } from "#base/address.ts";
import { answerFor, errorFrom } from "#api/problem.ts";
import type { ConfigVersion, NodeId } from "#base/ids.ts";
import { PanError } from "#base/error-codes.ts";
import * as edits from "#config/edits.ts";
import type { ClusterConfig, Service } from "#config/schema.ts";
import type { JsonValue } from "#wire/control/json.ts";
import type { ConfigInForce } from "./config-store.ts";
import type { Asked } from "./events/recorder.ts";
import type { ChangeAnswer } from "./followers.ts";
import { ASK_WITHIN_MS, INSTANCES, instancesAnswer, withInstances } from "./known-instances.ts";
import { panoplyVersion } from "./package-version.ts";
import type { Peers } from "./peers.ts";
import { peersStatus } from "./peers-status.ts";
import { refuseStarving } from "./starving.ts";

const CHANGES = [
  "addService",
  "removeService",
  "setWeight",
  "drain",
  "drainWithin",
  "undrain",
  "setDelivery",
  "setMaintenance",
  "moveVip",
  "releaseVip",
  "putConfig",
] as const satisfies readonly Operation[];
type Change = (typeof CHANGES)[number];

const isChange = (method: string): method is Change => CHANGES.some((kind) => kind === method);

/** What an operation needs of the agent around it. */
export interface OperatorHost {
  readonly isMaster: () => boolean;
  readonly config: () => ConfigInForce;
  /** Checks, stores and publishes; master only. */
  readonly edit: (change: (config: ClusterConfig) => ClusterConfig, asked: Asked) => ConfigInForce;
  /** @param check of what was read, before anything changes; it throws what speaks against it */
  readonly replace: (
    yaml: string,
    asked: Asked,
    check: (next: ClusterConfig) => void,
  ) => ConfigInForce;
  /** Resolves when the members hold the change, or have had the time to; never rejects. */
  readonly agreed: (version: ConfigVersion) => Promise<void>;
  /** Settings that this agent goes by once it has started again. */
  readonly waiting: () => readonly string[];
  readonly status: () => Output<"status">;
  readonly events: EventSource;
  readonly applications: () => Output<"applications">;
  /** Undefined: interfaces keep their own MACs. */
  readonly peers: () => Pick<Peers, "report" | "queriers"> | undefined;
  readonly doctor: () => Promise<Output<"doctor">>;
  readonly askMaster: (
    method: string,
    body: JsonValue,
  ) => Promise<{ status: number; body: JsonValue }>;
  /** A fault of our own that the asking node only learns the code of. */
  readonly report: (error: unknown) => void;
}

const OK = 200;
const FAILED = 409;
const LONGEST_CHANGE = 300;

export class Operator {
  readonly #host: OperatorHost;
  readonly port: AgentPort;

  constructor(host: OperatorHost) {
    this.#host = host;
    this.port = {
      status: () => this.#status(),
      applications: async () => host.applications(),
      peers: async () => peersStatus(host.peers()?.report(), host.config().config),
      doctor: () => host.doctor(),
      events: async ({ query }) => listEvents(host.events, query),
      eventSource: host.events,
      services: async () => ({ groups: this.#groups() }),
      config: async () => ({ version: host.config().version, yaml: host.config().yaml }),
      version: async () => ({
        panoply: panoplyVersion,
        node: process.versions.node,
        kernel: release(),
      }),
      addService: (input) => this.#change("addService", input),
      removeService: (input) => this.#change("removeService", input),
      setWeight: (input) => this.#change("setWeight", input),
      drain: (input) => this.#change("drain", input),
      drainWithin: (input) => this.#change("drainWithin", input),
      undrain: (input) => this.#change("undrain", input),
      setDelivery: (input) => this.#change("setDelivery", input),
      setMaintenance: (input) => this.#change("setMaintenance", input),
      moveVip: (input) => this.#change("moveVip", input),
      releaseVip: (input) => this.#change("releaseVip", input),
      putConfig: (input) => this.#change("putConfig", input),
    };
  }

  /** A change that a member passed on. Failures are values here: they travel back as they are. */
  async answer(method: string, body: JsonValue, via?: NodeId): Promise<ChangeAnswer> {
    try {
      if (!this.#host.isMaster()) {
        throw new PanError("PAN_NOT_MASTER", "The asked node is no longer the master; try again");
      }
      if (method === INSTANCES) {
        return { status: OK, body: instancesAnswer(this.#host.status()) };
      }
      if (!isChange(method)) {
        const message = `The master has no change "${method}"; see that all agents are of one version`;
        throw new PanError("PAN_REQUEST_INVALID", message);
      }
      return { status: OK, body: await this.#apply(method, body, via) };
    } catch (error) {
      if (!(error instanceof PanError)) this.#host.report(error);
      const { code, message } = answerFor(error).problem;
      return { status: FAILED, body: { code, message } };
    }
  }

  /** A member asks its master what it knows of the others' instances; without an answer it tells what it has. */
  async #status(): Promise<Output<"status">> {
    const status = this.#host.status();
    const isChecked = this.#host.config().config.groups.some(({ health }) => health !== undefined);
    if (this.#host.isMaster() || !isChecked) return status;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), ASK_WITHIN_MS);
    });
    const asked = this.#host.askMaster(INSTANCES, {}).catch(() => undefined);
    const answer = await Promise.race([asked, late]);
    clearTimeout(timer);
    return answer?.status === OK ? withInstances(status, answer.body) : status;
  }

  async #change<C extends Change>(kind: C, input: Input<C>): Promise<Changed> {
    if (this.#host.isMaster()) return this.#apply(kind, input as unknown as JsonValue);
    const { status, body } = await this.#host.askMaster(kind, input as unknown as JsonValue);
    if (status === OK) return body as unknown as Changed;
    throw errorFrom(status, body);
  }

  /** Done means that it outlives the master: the members have it. */
  async #apply(kind: Change, body: JsonValue, via?: NodeId): Promise<Changed> {
    const input: unknown = body;
    const asked = { change: inWords(kind, body), ...(via === undefined ? {} : { via }) };
    const { version } =
      kind === "putConfig"
        ? this.#replace((input as Input<"putConfig">).body, asked)
        : this.#host.edit((config) => edited(config, kind, input), asked);
    await this.#host.agreed(version);
    const { counter, digest } = version;
    return { config: { counter, digest }, waiting: [...this.#host.waiting()] };
  }

  #replace({ yaml, force }: Input<"putConfig">["body"], asked: Asked): ConfigInForce {
    return this.#host.replace(yaml, asked, (next) => {
      if (force === true) return;
      const queriers = this.#host.peers()?.queriers() ?? {};
      refuseStarving(this.#host.config().config, next, queriers);
    });
  }

  #groups(): Output<"services">["groups"] {
    const { groups, nodes } = this.#host.config().config;
    return groups.map((group) => ({
      group: group.name,
      policy: group.policy,
      slots: group.slots,
      services: group.services.map((service) => ({ ...service })),
      nodes:
        group.nodes === "all"
          ? nodes.map(({ name }) => ({ name, weight: 1 }))
          : group.nodes.map((node) => ({ ...node })),
    }));
  }
}

/** What the event log says of a change; the text of a whole configuration is no part of it. */
function inWords(kind: Change, input: JsonValue): string {
  if (kind === "putConfig") return kind;
  const { params = {}, body = {} } = input as { params?: object; body?: object };
  return `${kind} ${JSON.stringify({ ...params, ...body })}`.slice(0, LONGEST_CHANGE);
}

function edited(
  config: ClusterConfig,
  kind: Exclude<Change, "putConfig">,
  input: unknown,
): ClusterConfig {
  switch (kind) {
    case "addService":
      return withService(config, (input as Input<"addService">).body);
    case "removeService":
      return withoutService(config, serviceOf((input as Input<"removeService">).body.service));
    case "setWeight": {
      const { params, body } = input as Input<"setWeight">;
      return edits.setWeight(config, params.group, params.node, body.weight);
    }
    case "drain":
      return edits.setDrained(config, (input as Input<"drain">).params.node, true);
    case "drainWithin": {
      const { params, body } = input as Input<"drainWithin">;
      return edits.setDrained(config, params.node, true, body.deadlineMs);
    }
    case "undrain":
      return edits.setDrained(config, (input as Input<"undrain">).params.node, false);
    case "setMaintenance": {
      const { params, body } = input as Input<"setMaintenance">;
      return edits.setMaintenance(config, params.node, body);
    }
    case "moveVip": {
      const { params, body } = input as Input<"moveVip">;
      return edits.moveVip(config, addressOf(params.vip), body.node);
    }
    case "releaseVip":
      return edits.releaseVip(config, addressOf((input as Input<"releaseVip">).params.vip));
    case "setDelivery":
      return edits.setDelivery(config, (input as Input<"setDelivery">).body.method);
  }
}

function addressOf(text: string): IpAddress {
  const address = parseIp(text);
  if (address !== undefined) return address;
  throw new PanError("PAN_CONFLICT", `"${text}" is not an IPv4 or IPv6 address`);
}

const serviceOf = ({ protocol, vip, port }: AddService["service"]): Service => ({
  protocol,
  vip: addressOf(vip),
  port,
});

function withService(config: ClusterConfig, { group, service, create }: AddService): ClusterConfig {
  const exists = config.groups.some(({ name }) => name === group);
  if (exists || create === undefined) return edits.addService(config, group, serviceOf(service));
  return edits.addGroup(config, {
    name: group,
    policy: create.policy,
    slots: create.slots ?? 1024,
    assignment: "eager",
    balance: "weights",
    udpIdleTimeoutMs: 0,
    nodes: create.nodes ?? "all",
    services: [serviceOf(service)],
  });
}

/** A group without services steers nothing, so it goes with its last one. */
function withoutService(config: ClusterConfig, service: Service): ClusterConfig {
  const smaller = edits.removeService(config, service);
  const emptied = smaller.groups.find(
    ({ name, services }) =>
      services.length === 0 &&
      config.groups.some((before) => before.name === name && before.services.length > 0),
  );
  return emptied === undefined ? smaller : edits.removeGroup(smaller, emptied.name);
}
