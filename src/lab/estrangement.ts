// A fault between some hosts only: they do not hear each other, and everybody else hears all of them. Made by a bridge filter of nftables
// in the switch's namespace.
import { PanError } from "#base/error-codes.ts";
import { nft } from "./ip.ts";
import { bySwitch, type Port } from "./ports.ts";

const TABLE = "bridge panoply_lab";

const names = (ports: readonly Port[]): string =>
  `{ ${ports.map(({ name }) => `"${name}"`).join(", ")} }`;

/** Which frames: those of every group to every other one, or only what the first one sends. */
export type Deafness = "both-ways" | "from-the-first";

/** Frames between ports of different groups are lost. One group, or none: nothing is lost any more. */
export async function estrange(
  groups: readonly (readonly Port[])[],
  deafness: Deafness = "both-ways",
): Promise<void> {
  for (const netns of bySwitch(groups.flat()).keys()) {
    const sides = groups
      .map((group) => group.filter((port) => port.netns === netns))
      .filter((side) => side.length > 0);
    const senders = deafness === "both-ways" ? sides : sides.slice(0, 1);
    const rules = senders.flatMap((from) =>
      sides
        .filter((to) => to !== from)
        .map((to) => `iifname ${names(from)} oifname ${names(to)} drop`),
    );
    const chain = ["type filter hook forward priority 0;", ...rules].join("\n");
    const made = rules.length === 0 ? "" : `table ${TABLE} {\nchain forward {\n${chain}\n}\n}`;
    await nft(netns, `table ${TABLE}\ndelete table ${TABLE}\n${made}\n`).catch((cause: unknown) => {
      throw new PanError("PAN_LAB_FAULT", "The switch cannot filter frames; it needs nftables", {
        cause,
      });
    });
  }
}
