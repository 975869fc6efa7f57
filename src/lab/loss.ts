// Random loss of frames on switch ports, in both directions, by a packet program: this kernel needs no
// netem for it. The share is found again in the kernel, as part of the program's name.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { PanError } from "#base/error-codes.ts";
import { ipBatch, tc } from "./ip.ts";
import { bySwitch, linksIn, type Port } from "./ports.ts";
import { folderOf, netnsName } from "./record.ts";
import { interfaceOf } from "./topology.ts";

const OBJECT = fileURLToPath(new URL("../../bpf/build/lab-loss.o", import.meta.url));
/** What bpf/lab/loss.bpf.c has in place of the threshold. */
const MARKER = 0x5a17c0de;
const PROGRAM_NAME = /loss-([0-9.]+)\.o:\[tc\]/;
/** Linux's default: as many segments in one piece as fit. */
const MOST_SEGMENTS = 65_535;

/** Loses this share (0 < percent <= 100) of the frames of each port, in each direction separately. */
export async function addLoss(lab: string, ports: readonly Port[], percent: number): Promise<void> {
  const object = writeObject(lab, percent);
  for (const { netns, name } of ports) {
    await tc(netns, ["qdisc", "replace", "dev", name, "clsact"]);
    for (const direction of ["ingress", "egress"]) {
      const filter = ["dev", name, direction, "pref", "1", "handle", "1"];
      const program = ["bpf", "direct-action", "object-file", object, "section", "tc"];
      await tc(netns, ["filter", "replace", ...filter, ...program]);
    }
  }
}

export async function removeLoss(ports: readonly Port[]): Promise<void> {
  for (const { netns, name } of ports) {
    if ((await lossOf(netns, name)) > 0) await tc(netns, ["qdisc", "del", "dev", name, "clsact"]);
  }
}

/** Percent that a port loses in each direction; 0 when nothing is attached. */
export async function lossOf(netns: string, port: string): Promise<number> {
  const text = await tc(netns, ["filter", "show", "dev", port, "egress"]);
  return Number(PROGRAM_NAME.exec(text)?.[1] ?? 0);
}

/**
 * Makes the senders cut their segments themselves (or not any more). Otherwise one lost "frame" would
 * be up to 64 KiB of TCP at once, which no real link loses.
 */
export async function segmentFrames(
  lab: string,
  ports: readonly Port[],
  each: boolean,
): Promise<void> {
  const option = `gso_max_segs ${each ? 1 : MOST_SEGMENTS}`;
  for (const [netns, group] of bySwitch(ports)) {
    const links = await linksIn(netns);
    const present = group.filter(({ name }) => links.has(name));
    await ipBatch(
      present.map(({ name }) => `link set dev ${name} ${option}`),
      netns,
    );
    for (const { host, link } of present) {
      await ipBatch([`link set dev ${interfaceOf(link)} ${option}`], netnsName(lab, host.name));
    }
  }
}

function writeObject(lab: string, percent: number): string {
  const object = readFileSync(OBJECT);
  const marker = Buffer.alloc(4);
  marker.writeUInt32LE(MARKER);
  const offset = object.indexOf(marker);
  if (offset < 0 || object.includes(marker, offset + 1)) {
    throw new PanError(
      "PAN_LAB_FAILED",
      `${OBJECT} does not fit this version; build it again with "node tools/build-bpf.ts"`,
    );
  }
  object.writeUInt32LE(Math.min(2 ** 32 - 1, Math.round((percent / 100) * 2 ** 32)), offset);
  const file = path.join(folderOf(lab), `loss-${percent}.o`);
  writeFileSync(file, object);
  return file;
}
