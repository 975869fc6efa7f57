// `pan peers`: the other members as this node reaches them where all share one MAC (part C).
import type { Command } from "commander";
import type { PeersStatus } from "#api/peers.ts";
import { examples, printJson, type Register } from "../context.ts";
import { formatCount, formatDuration } from "../quantity.ts";
import { formatTable } from "../table.ts";

export const registerPeers: Register = (program, context) => {
  program
    .command("peers")
    .description("show how this node reaches the other members where all share one MAC")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples("pan peers", "pan peers --json"))
    .action(async ({ json }: { json?: true }, command: Command) => {
      const status = await (await context.connect(command)).peers({});
      if (json) printJson(context.terminal, status);
      else context.terminal.out(`${page(status).join("\n")}\n`);
    });
};

function page({ configured, peering, peers }: PeersStatus): string[] {
  if (peering === undefined) {
    const reason = configured
      ? "the section peering came after this agent had started. Start it again."
      : "the configuration has no section peering.";
    return [`Interfaces keep their own MACs: ${reason}`];
  }
  const { clusterMac, mac, dedicated, refused, querier, mldQuerier, counts } = peering;
  const counted = counts.filter(({ count }) => count > 0);
  return [
    `Cluster MAC ${clusterMac}, dedicated MACs: ${mac}; this node's: ${dedicated.join(", ")}`,
    "",
    ...peerTable(peers),
    ...(querier === undefined ? [] : ["", `IGMP querier of this network: ${querier}`]),
    ...(mldQuerier === undefined ? [] : ["", `MLD querier of this network: ${mldQuerier}`]),
    ...(refused.length === 0 ? [] : ["", `Refused, as another node's MAC: ${refused.join(", ")}`]),
    "",
    ...formatTable(
      [{ title: "FRAMES" }, { title: "COUNT", align: "right" }],
      counted.map(({ reason, count }) => [reason, formatCount(count)]),
    ),
  ];
}

function peerTable(peers: PeersStatus["peers"]): string[] {
  const columns = [
    { title: "NODE" },
    { title: "ADDRESS" },
    { title: "DEDICATED MAC" },
    { title: "LEARNED" },
    { title: "OUR STACK HAS" },
    { title: "LAST SEEN", align: "right" },
    { title: "FRAMES FROM", align: "right" },
    { title: "FRAMES TO", align: "right" },
  ] as const;
  const rows = peers.flatMap(({ name, live, addresses, lastSeenMs, received, sent }) =>
    addresses.map(({ address, mac, learned, neighbour = "-" }, index) => [
      index === 0 ? `${name}${live ? "" : " (away)"}` : "",
      address,
      mac,
      learned,
      neighbour === mac ? "the same" : neighbour,
      ...(index === 0
        ? [
            lastSeenMs === undefined ? "never" : formatDuration(lastSeenMs),
            formatCount(received.packets),
            formatCount(sent.packets),
          ]
        : ["", "", ""]),
    ]),
  );
  return formatTable(columns, rows);
}
