// A connection as its owner and its replicas meet it, for tests.
import { ip } from "#base/address.ts";
import type { Opened, Progress } from "#wire/takeover/message.ts";
import type { EssentialState, InitialState } from "#wire/takeover/record.ts";

/** Close to the wrap, so that every test goes over it. */
export const SEND_BASE = 0xffff_ff00;
export const RECEIVE_BASE = 0xffff_fff0;

export const initial: InitialState = {
  key: { vip: ip("10.0.0.100"), port: 80, peer: ip("192.0.2.7"), peerPort: 40_000 },
  mss: 1448,
  mssWithOptions: 1460,
};

export const essential: EssentialState = {
  flags: {
    noDelay: true,
    noOptions: false,
    windowScalingRequested: true,
    windowScalingReceived: true,
    timestampsRequested: true,
    timestampsReceived: true,
    sackPermitted: true,
  },
  sendNext: SEND_BASE,
  wl1: RECEIVE_BASE,
  wl2: SEND_BASE,
  sendWindow: 64_240,
  receiveNext: RECEIVE_BASE,
  receiveAdvertised: 0x0000_faf0,
  sendScale: 7,
  receiveScale: 8,
  recentTimestamp: 0x0102_0304,
};

export const openedAs = (connection: number): Opened => ({
  type: "opened",
  connection,
  generation: 0,
  initial,
  essential,
  clock: { value: 5000, readAtMs: 9_000_000_000 },
});

export const progressOf = (
  connection: number,
  fields: Partial<Progress> & Pick<Progress, "outputOffset">,
): Progress => ({
  type: "progress",
  connection,
  inputOffset: 0,
  essential,
  clock: { value: 6000, readAtMs: 9_000_001_000 },
  ...fields,
});
