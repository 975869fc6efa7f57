// Opens what a node acts upon and speaks through: host, packet program, announcer, and both ends of the control channel. What can be
// refused without a trace comes first.
import type { Logger } from "pino";
import type { NewEvent } from "#api/event-catalogue.ts";
import type { NodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import type { NodeConfig } from "#config/schema.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { Input } from "#core/node/protocol.ts";
import { Datapath } from "#driver/bpf/datapath.ts";
import { HostState } from "#driver/host/host-state.ts";
import { Segments } from "#driver/host/segments.ts";
import { SwitchProbe } from "#driver/host/switch-probe.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import type { JsonValue } from "#wire/control/json.ts";
import type { ControlMessage, Hello } from "#wire/control/message.ts";
import type { ConfigInForce } from "./config-store.ts";
import { type ChangeAnswer, Followers } from "./followers.ts";
import { Following } from "./following.ts";
import type { GroupKeys } from "./group-keys.ts";
import type { HeartCommand } from "./heart-protocol.ts";
import { everyPort, type HostFacts } from "./host-facts.ts";
import { PrivatePaths } from "./paths/private-paths.ts";
import { Peers } from "./peers.ts";
import type { World } from "./perform.ts";
import { type Refusal, RefusalLog } from "./refusal-log.ts";
import type { StateFolder } from "./state-folder.ts";
import { messageOf, type Trouble } from "./trouble.ts";
import { NodeTunnels } from "./tunnels/node-tunnels.ts";
import { sorryPorts } from "./sorry-ports.ts";

/** The node around its world: what it answers when the world asks or tells it something. */
export interface WorldNode {
  readonly facts: HostFacts;
  readonly self: NodeConfig;
  readonly state: StateFolder;
  readonly identity: NodeIdentity;
  readonly log: Logger;
  readonly trouble: Trouble;
  readonly keys: GroupKeys;
  readonly config: () => ConfigInForce;
  readonly tables: () => Tables | undefined;
  readonly tablesInForce: (tables: Tables) => void;
  readonly revoked: () => ReadonlySet<string>;
  readonly isMaster: () => boolean;
  readonly hello: () => Hello;
  readonly heart: (command: HeartCommand) => void;
  /** What members say goes to the controller. */
  readonly step: (input: Input) => void;
  readonly onRequest: (method: string, body: JsonValue, from: NodeId) => Promise<ChangeAnswer>;
  readonly record: (event: NewEvent) => void;
  readonly onRefused: (refusal: Refusal) => void;
  readonly onMaster: (message: ControlMessage) => void;
}

export function openWorld(node: WorldNode): World {
  const { facts, self, state } = node;
  const host = HostState.open({
    interface: facts.interface,
    arms: facts.arms.map((arm) => arm.interface),
    paths: facts.paths.map((path) => path.interface),
    stateFolder: state.path,
  });
  const traces = Object.values(host.journal).flat(); // peering adds its own
  const { opened, peers } = openDatapath(node, host);
  const servePorts = (): void => opened.serveElsewhere(sorryPorts(node.config().config, self.name));
  servePorts(); // before the first tables: an agent that starts again changes nothing in between
  return {
    servePorts,
    address: self.address,
    state,
    host,
    isFirst: traces.length === 0 && !opened.reused,
    segments: Segments.open([facts, ...facts.arms], (vip) => host.portOf(vip)),
    datapath: opened,
    peers,
    ownMacs: peers === undefined ? undefined : () => peers.ownMacs,
    probe: new SwitchProbe({
      interface: facts.interface,
      self: self.id,
      mac: facts.mac,
      macOf: (id) => node.tables()?.nodes.find((member) => member.id === id)?.mac,
    }),
    paths: openPaths(node, opened),
    tunnels: new NodeTunnels({
      ...node,
      self: self.id,
      config: () => node.config().config,
      datapath: opened,
    }),
    followers: openFollowers(node),
    following: openFollowing(node),
    heart: node.heart,
    tablesInForce: node.tablesInForce,
  };
}

/** What goes by the configuration beside the tables. */
export function worldConfigured({
  peers,
  tunnels,
  servePorts,
}: Pick<World, "peers" | "tunnels" | "servePorts">): void {
  peers?.refresh();
  tunnels.refresh();
  servePorts();
}

/** What becomes of them is recorded. */
function openPaths(node: WorldNode, datapath: Datapath): PrivatePaths {
  const { self, facts, keys, trouble } = node;
  const paths = new PrivatePaths({
    self: self.id,
    ports: facts.paths,
    intervalMs: node.config().config.detection.intervalMs,
    keys,
    datapath,
    trouble,
  });
  paths.onChange(({ node: id, path, interface: name, state, cause }) => {
    const member = node.config().config.nodes.find((each) => each.id === id)?.name ?? `node-${id}`;
    node.record({ type: "path-changed", member, path, interface: name, state, cause });
  });
  return paths;
}

/** Removes what a start that failed has put on a host on which no agent was before. */
export function undoHost(world: World, facts: HostFacts, trouble: Trouble): void {
  trouble.guard("undo", () => world.host.revert());
  for (const { interface: name } of everyPort(facts)) {
    trouble.guard("undo", () => Datapath.teardown(name));
  }
}

/** Lets go of the host; what is on it stays. */
export function closeHost(
  { segments, paths, tunnels, peers, probe, host, datapath }: World,
  eventLog: { close(): void },
): void {
  paths.close();
  tunnels.close();
  segments.close();
  peers?.close();
  probe.close();
  host.close();
  datapath.close();
  eventLog.close();
}

/** Programs before the cluster MAC, and with it only where peering is: nothing may leave from it (docs/adr/0013). */
function openDatapath(node: WorldNode, host: HostState) {
  const { facts, self, log } = node;
  const { datapath, peering } = node.config().config;
  if (peering === undefined) host.releaseMacs();
  const opened = Datapath.open({
    interface: facts.interface,
    arms: [...facts.arms, ...facts.paths],
    paths: facts.paths.length,
    hook: datapath.hook,
    self: self.id,
    mac: facts.mac,
    slotCapacity: datapath.slotCapacity,
    peering: peering !== undefined,
  });
  let peers: Peers | undefined;
  try {
    peers = Peers.open({
      self,
      facts,
      log,
      config: () => node.config().config,
      ownAddressesFd: opened.ownAddressesFd,
    });
    if (peers !== undefined) {
      host.takeMac(peers.ownMacs.linkMac);
      peers.announce();
    }
    return { opened, peers };
  } catch (error) {
    peers?.close();
    if (!opened.reused) {
      host.releaseMacs();
      for (const port of [facts, ...facts.arms]) Datapath.teardown(port.interface);
    }
    opened.close();
    throw error;
  }
}

function openFollowers(node: WorldNode): Followers {
  const { identity, self, keys, isMaster, hello, config, tables, revoked, trouble, step } = node;
  const refusals = new RefusalLog(node.log, node.onRefused);
  return new Followers({
    identity,
    address: self.address,
    port: config().config.cluster.port,
    keys,
    isMaster,
    hello,
    config,
    tables,
    revoked,
    onAcknowledged: (id, version) => step({ type: "tables-acknowledged", id, version }),
    onSlotReport: (id, report) => step({ type: "slots-reported", id, report }),
    onHealthReport: (id, report) => step({ type: "health-reported", id, report }),
    onSlotsWanted: (slots) => step({ type: "slots-wanted", slots }),
    onFlowReport: (id, report) => step({ type: "flows-reported", id, report }),
    onRequest: node.onRequest,
    onRefused: (reason, from) => refusals.refused(instant(performance.now()), reason, from),
    trouble,
  });
}

function openFollowing({ identity, hello, revoked, log, ...node }: WorldNode): Following {
  return new Following({
    identity,
    port: node.config().config.cluster.port,
    hello,
    revoked,
    onMessage: (message) =>
      node.trouble.guard(`${message.type} from the master`, () => node.onMaster(message)),
    onTrouble: (master, cause) => log.warn({ master, cause: messageOf(cause) }, "control channel"),
  });
}
