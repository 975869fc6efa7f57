// One node's status as a page of text. Pure: the same status gives the same page.
import { styleText } from "node:util";
import { ip } from "#base/address.ts";
import type { Status } from "#api/contract.ts";
import { formatService } from "#config/service.ts";
import { formatByteRate, formatCount, formatDuration, formatRatio } from "./quantity.ts";
import { SESSION_COLUMNS, sessionRemarks, sessionRow, silence } from "./sessions-table.ts";
import { type Column, formatTable } from "./table.ts";

type Style = "bold" | "dim" | "green" | "yellow" | "red";
type Paint = (style: Style, text: string) => string;

/** Where a value is not known, or does not apply. */
const NONE = "–";

const painter =
  (colour: boolean): Paint =>
  (style, text) =>
    colour ? styleText(style, text, { validateStream: false }) : text;

/** The page, ending in a line break. */
export function renderStatus(status: Status, colour: boolean): string {
  const paint = painter(colour);
  const sections = [
    summary(status, paint),
    members(status, paint),
    ...(status.groups.length === 0 ? [] : [groups(status, paint)]),
    ...(status.vips.spread ? [[paint("bold", "Virtual addresses"), ...vipTable(status.vips)]] : []),
    packets(status, paint),
    ...(status.sessions.length === 0 ? [] : [sessions(status, paint)]),
    ...(status.checks.length === 0 ? [] : [checks(status, paint)]),
    ...(status.failovers.length === 0 ? [] : [failovers(status, paint)]),
  ];
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

const section = (
  title: string,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  paint: Paint,
): string[] => [
  paint("bold", title),
  ...formatTable(columns, rows, (heading) => paint("dim", heading)),
];

function summary(status: Status, paint: Paint): string[] {
  const { node, cluster, datapath, assignment, uptimeMs } = status;
  const { drain } = status;
  const waiting = [
    ...(drain.endsInMs === undefined || drain.endsInMs === 0
      ? []
      : [`connections are closed in ${formatDuration(drain.endsInMs)}`]),
    ...(assignment.movesWaiting === 0 ? [] : [`${assignment.movesWaiting} slots wait to move`]),
    ...(assignment.exceptions === 0 ? [] : [`${assignment.exceptions} connections are pinned`]),
    ...(assignment.heldNow === 0 ? [] : [`${assignment.heldNow} frames are held`]),
  ];
  const { config, tables } = cluster;
  const path =
    datapath.hook === "none"
      ? "no packet program"
      : `${datapath.hook} on ${[datapath.interface, ...datapath.arms].join(", ")}`;
  const lease = rightToAnswer(status);
  return [
    `${paint("bold", `Cluster ${cluster.name}`)}  master ${cluster.master ?? NONE}, secondary ${cluster.secondary ?? NONE}`,
    `  epoch ${cluster.epoch}, configuration ${config.counter} (${config.digest}), tables ${tables.epoch}.${tables.counter}, keepalive every ${formatDuration(cluster.keepaliveIntervalMs)}`,
    `  delivery ${deliveryText(cluster.delivery)}${peersText(cluster)}`,
    `${paint("bold", `Node ${node.name}`)}  ${node.address}, ${node.role}, up ${formatDuration(uptimeMs)}`,
    `  ${path}, tables ${datapath.version.epoch}.${datapath.version.counter} in force, ${lease}`,
    ...(waiting.length === 0 ? [] : [`  ${waiting.join(", ")}`]),
  ];
}

function rightToAnswer({ vips, node, datapath }: Status): string {
  if (!vips.spread) return datapath.leaseValid ? "may answer for VIPs" : "may not answer for VIPs";
  const own = vips.addresses.filter((each) => each.node === node.name);
  return `interface node of ${own.length} of ${vips.addresses.length} VIPs`;
}

/** As `pan delivery show` prints it. */
export const deliveryText = ({ method, mac }: Status["cluster"]["delivery"]): string =>
  mac === undefined ? method : `${method}, cluster MAC ${mac}`;

const peersText = ({ peerMacs }: Status["cluster"]): string =>
  peerMacs === undefined ? "" : `; peers at ${peerMacs} MACs`;

/** As `pan vips` prints it. */
export function vipTable({ addresses }: Status["vips"]): string[] {
  const columns = [{ title: "ADDRESS" }, { title: "INTERFACE NODE" }, { title: "BACKUPS" }];
  const rows = addresses.map(({ vip, node = "on its way", home, backups }) => [
    vip,
    home === undefined || home === node ? node : `${node} (home ${home})`,
    backups.length === 0 ? NONE : backups.join(", "),
  ]);
  return formatTable(columns, rows);
}

function members(status: Status, paint: Paint): string[] {
  const right = "right" as const;
  const optional = (value: number | undefined, format: (value: number) => string): string =>
    value === undefined ? NONE : format(value);
  type Member = Status["members"][number];
  const filters = status.cluster.delivery.method !== "forward";
  /** What another member takes by itself, this node does not know. */
  const rate = (member: Member, value: number, format: (value: number) => string): string =>
    filters && value === 0 && member.id !== status.node.id ? NONE : format(value);
  const all: [Column, (member: Member) => string][] = [
    [{ title: "NAME" }, ({ name }) => name],
    [{ title: "ADDRESS" }, ({ address }) => address],
    [{ title: "STATE" }, (member) => memberState(member, paint)],
    [{ title: "HEARD", align: right }, (m) => optional(m.lastHeardMs, formatDuration)],
    [{ title: "LOSS", align: right }, (m) => optional(m.lossEstimate, formatRatio)],
    [{ title: "PACKETS/S", align: right }, (m) => rate(m, m.packetsPerSecond, formatCount)],
    [{ title: "BYTES/S", align: right }, (m) => rate(m, m.bytesPerSecond, formatByteRate)],
    [{ title: "CONNECTIONS", align: right }, (m) => optional(m.connections, formatCount)],
  ];
  // a column that this node knows nothing for is no column
  const known = all.filter(([, cell]) => status.members.some((member) => cell(member) !== NONE));
  const rows = status.members.map((member) => known.map(([, cell]) => cell(member)));
  const what = `  packets: of ${status.node.name} those that it took, of the others those that it sent there`;
  const columns = known.map(([column]) => column);
  return [...section("Members", columns, rows, paint), paint("dim", what)];
}

function memberState(member: Status["members"][number], paint: Paint): string {
  const { state, drained, maintenance, delivery } = member;
  const styles = { master: "green", member: "green", departed: "red" } as const;
  const way = delivery === undefined ? "" : ` by ${delivery}`;
  const text = `${paint(styles[state], state)}${way}`;
  if (maintenance) return `${text} ${paint("yellow", "maintenance")}`;
  return drained ? `${text} ${paint("yellow", "drained")}` : text;
}

function groups(status: Status, paint: Paint): string[] {
  const columns: Column[] = [
    { title: "NAME" },
    { title: "POLICY" },
    { title: "PACKETS/S", align: "right" },
    { title: "SLOTS", align: "right" },
    { title: "OWNERS" },
    { title: "SERVICES" },
  ];
  const rows = status.groups.flatMap((group) => {
    const owners = group.shares.map(
      ({ node, slots, home, weight, health }) =>
        `${node} ${slots}${slots === home ? "" : ` (home ${home})`}, weight ${weight}${instanceText(health, paint)}`,
    );
    const services = group.services.map(({ protocol, vip, port }) =>
      formatService({ protocol, vip: ip(vip), port }),
    );
    const height = Math.max(owners.length, services.length, 1);
    return Array.from({ length: height }, (_, line) => [
      ...(line === 0
        ? [group.name, group.policy, formatCount(group.packetsPerSecond), String(group.slots)]
        : ["", "", "", ""]),
      owners[line] ?? "",
      services[line] ?? "",
    ]);
  });
  return section("Service groups", columns, rows, paint);
}

/** Of a node that runs no checks, or of which nothing is known, nothing is said. */
function instanceText(
  health: Status["groups"][number]["shares"][number]["health"],
  paint: Paint,
): string {
  if (health === undefined) return "";
  const styles = { up: "green", down: "red", unknown: "yellow", maintenance: "yellow" } as const;
  const part = health.part === 100 ? "" : ` (takes ${health.part} %)`;
  const reason = health.reason === "" ? "" : ` (${health.reason})`;
  return `, ${paint(styles[health.state], health.state)}${part}${reason}`;
}

function checks(status: Status, paint: Paint): string[] {
  const columns: Column[] = [
    { title: "GROUP" },
    { title: "CHECK" },
    { title: "STATE" },
    { title: "PASSED", align: "right" },
    { title: "FAILED", align: "right" },
    { title: "LAST FOUND" },
  ];
  const styles = { passes: "green", fails: "red", unknown: "yellow" } as const;
  const rows = status.checks.map(({ group, check, state, passed, failed, finding }) => [
    group,
    check,
    paint(styles[state], state),
    String(passed),
    String(failed),
    finding,
  ]);
  return section("Health checks of this node", columns, rows, paint);
}

function packets({ datapath, membership, control }: Status, paint: Paint): string[] {
  const columns: Column[] = [{ title: "REASON" }, { title: "COUNT", align: "right" }];
  const seen = [
    ...datapath.counters,
    { reason: "keepalives sent", count: membership.keepalivesSent },
    { reason: "keepalives received", count: membership.keepalivesReceived },
    { reason: "watchdog expiries", count: membership.watchdogExpiries },
    ...membership.drops.map(({ reason, count }) => ({
      reason: `message refused: ${reason}`,
      count,
    })),
    ...control.counts
      .filter(({ reason }) => reason.startsWith("refused-"))
      .map(({ reason, count }) => ({ reason: `connection ${reason.replace("-", ": ")}`, count })),
  ].filter(({ count }) => count > 0);
  const rows = seen.map(({ reason, count }) => [reason, String(count)]);
  return section("Packets and messages", columns, rows, paint);
}

function sessions({ sessions: all, membership }: Status, paint: Paint): string[] {
  return [
    ...section("Sessions that outlive their member", SESSION_COLUMNS, all.map(sessionRow), paint),
    ...[...silence(membership), ...sessionRemarks(all)].map((remark) => paint("yellow", remark)),
  ];
}

function failovers(status: Status, paint: Paint): string[] {
  const columns: Column[] = [
    { title: "AT" },
    { title: "NODE" },
    { title: "REASON" },
    { title: "TOOK", align: "right" },
  ];
  const rows = status.failovers.map(({ at, node, reason, tookMs }) => [
    at,
    node,
    reason,
    tookMs === undefined ? NONE : formatDuration(tookMs),
  ]);
  return section("Departures, newest first", columns, rows, paint);
}
