// The flows by which checkers look at the tables: enough of them that every slot of every group is met by some.
import type { IpAddress } from "#base/address.ts";
import { OTHER_VIP, VIP, WEB_PORT } from "./cluster-spec.ts";
import { type ClientFrame, clientFrame } from "./client-frame.ts";

export interface SampleFlow {
  readonly text: string;
  readonly opening: ClientFrame;
}

const WEB_FLOWS = 64;
const STICKY_FLOWS = 12;

interface Ends {
  readonly vip: IpAddress;
  readonly client: number;
  readonly from: number;
  readonly to: number;
}

const ENDS: readonly Ends[] = [
  ...Array.from({ length: WEB_FLOWS }, (_, index) => ({
    ...{ vip: VIP, to: WEB_PORT },
    client: 100 + (index % 7),
    from: 2000 + 37 * index,
  })),
  ...Array.from({ length: STICKY_FLOWS }, (_, index) => ({
    ...{ vip: OTHER_VIP, to: 443 },
    client: 110 + index,
    from: 3000,
  })),
];

/** The same frames for everybody who looks: what becomes of them is remembered (steering-memory.ts), in the first seats. */
export const SAMPLE_FLOWS: readonly SampleFlow[] = ENDS.map((ends, seat) => ({
  text: `192.0.2.${ends.client}:${ends.from} > ${ends.vip}:${ends.to}`,
  opening: clientFrame(ends.vip, ends, true, seat),
}));
