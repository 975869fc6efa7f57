// The stream on which owners tell their replicas about connections (A16): authenticated, and still from another machine.
import { ip } from "#base/address.ts";
import { encodeReplication, replicationDecoder } from "#wire/takeover/frame.ts";
import type { ReplicationMessage } from "#wire/takeover/message.ts";
import type { EssentialState, TimestampClock } from "#wire/takeover/record.ts";
import { streamTarget } from "./stream-target.ts";
import type { Target } from "./target.ts";

const essential: EssentialState = {
  flags: {
    noDelay: true,
    noOptions: false,
    windowScalingRequested: true,
    windowScalingReceived: true,
    timestampsRequested: true,
    timestampsReceived: false,
    sackPermitted: true,
  },
  sendNext: 0xffff_fff0,
  wl1: 1,
  wl2: 2,
  sendWindow: 65_535,
  receiveNext: 0x8000_0000,
  receiveAdvertised: 3,
  sendScale: 7,
  receiveScale: 14,
  recentTimestamp: 4,
};
const clock: TimestampClock = { value: 5, readAtMs: 2 ** 40 };
const v6 = { vip: ip("2001:db8::100"), port: 443, peer: ip("2001:db8:1::7"), peerPort: 40_000 };
const v4 = { vip: ip("192.0.2.100"), port: 80, peer: ip("192.0.2.7"), peerPort: 1 };
const sizes = { mss: 1440, mssWithOptions: 1460 };
const bytes = new Uint8Array(30).fill(7);

const MESSAGES: readonly ReplicationMessage[] = [
  {
    type: "opened",
    connection: 1,
    generation: 0,
    initial: { key: v4, ...sizes },
    essential,
    clock,
  },
  {
    type: "opened",
    connection: 2,
    generation: 9,
    initial: { key: v6, ...sizes },
    essential,
    clock,
  },
  { type: "progress", connection: 1, inputOffset: 2 ** 33, outputOffset: 1, essential, clock },
  { type: "input", connection: 1, offset: 0, bytes },
  { type: "output", connection: 1, offset: 2 ** 40, bytes },
  { type: "input-ended", connection: 1, offset: 30 },
  { type: "output-ended", connection: 1, offset: 31 },
  { type: "snapshot", connection: 1, snapshot: { inputOffset: 3, outputOffset: 4, bytes } },
  { type: "closed", connection: 1 },
  { type: "handed", connection: 2 },
  { type: "acknowledged", messages: 9 },
  { type: "refused", connection: 3, reason: "contradiction" },
];

export const TAKEOVER_TARGETS: readonly Target[] = [
  streamTarget({
    name: "replication-frames",
    messages: MESSAGES,
    encode: encodeReplication,
    decoder: replicationDecoder,
  }),
];
