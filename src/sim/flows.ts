// The flows by which checkers look at the tables: enough of them that every slot of every group is met by some.
import type { IpAddress } from "#base/address.ts";
import { ip } from "#base/address.ts";
import { VIP, WEB_PORT } from "./cluster-spec.ts";
import { clientFrame } from "./client-frame.ts";

export interface SampleFlow {
  readonly text: string;
  readonly opening: Uint8Array;
}

const WEB_FLOWS = 64;
const STICKY_FLOWS = 12;
const OTHER_VIP: IpAddress = ip("10.77.0.101");

function flow(vip: IpAddress, client: number, from: number, to: number): SampleFlow {
  const text = `192.0.2.${client}:${from} > ${vip}:${to}`;
  return { text, opening: clientFrame(vip, { client, from, to }, true) };
}

/** The same arrays for everybody who looks: what becomes of them is remembered (steering-memory.ts). */
export const SAMPLE_FLOWS: readonly SampleFlow[] = [
  ...Array.from({ length: WEB_FLOWS }, (_, index) =>
    flow(VIP, 100 + (index % 7), 2000 + 37 * index, WEB_PORT),
  ),
  ...Array.from({ length: STICKY_FLOWS }, (_, index) => flow(OTHER_VIP, 110 + index, 3000, 443)),
];
