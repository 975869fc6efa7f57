// What the peering programs go by: this node's MACs and the operator's choices, as they lie in the map .data.peer.
import { macBytes, type MacAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { peerMac, type PeerChoices, type PeerMacs } from "#base/peering.ts";
import {
  PEER_BY_SOURCE,
  PEER_CONFIG,
  PEER_DEDICATED,
  PEER_INITIATOR,
  PEER_LOCAL_RESPONDER,
  PEER_NO_LEARNING,
  PEER_SOURCE_CHECK,
} from "./peer-abi.gen.ts";

export interface PeerSettings {
  /** Of the interface. */
  readonly clusterMac: MacAddress;
  readonly outsiderSource: MacAddress;
  readonly peerSource: MacAddress;
  /** Of this node; the first is the one that members know each other by. At most PEER_DEDICATED. */
  readonly dedicated: readonly MacAddress[];
  /** The one of these that several members have (C11). */
  readonly shared?: MacAddress;
  readonly prefix: PeerPrefix;
  readonly choices: PeerChoices;
}

/** What every peer's MAC has in common: `bits`, where `mask` has ones. Six bytes each. */
export interface PeerPrefix {
  readonly mask: Uint8Array;
  readonly bits: Uint8Array;
}

/** Frames that cannot be a peer's are known without looking into a map. */
export function peerPrefix(macs: PeerMacs, sharedMac: MacAddress): PeerPrefix {
  const anyPeer = macBytes(peerMac(0 as NodeId, macs.primary));
  switch (macs.kind) {
    case "masked":
      return { mask: Uint8Array.of(0xff, 0xf0, 0, 0xff, 0xff, 0xff), bits: anyPeer };
    case "multicast":
      return {
        mask: Uint8Array.of(0xff, 0xff, 0, 0, 0, 0),
        bits: Uint8Array.of(3, 0xbf, 0, 0, 0, 0),
      };
    case "shared":
      return { mask: new Uint8Array(6).fill(0xff), bits: macBytes(sharedMac) };
    case "table":
      return { mask: new Uint8Array(6), bits: new Uint8Array(6) };
  }
}

function choiceBits(choices: PeerChoices): number {
  return [
    choices.rewrite === "initiator" ? PEER_INITIATOR : 0,
    choices.recognise === "source" ? PEER_BY_SOURCE : 0,
    choices.learnFromRequests ? 0 : PEER_NO_LEARNING,
    choices.localResponder ? PEER_LOCAL_RESPONDER : 0,
    choices.sourceCheck ? PEER_SOURCE_CHECK : 0,
  ].reduce((all, bit) => all | bit, 0);
}

/** What lies in the map before the deadline, which `PeerPrograms.informed` renews. */
export function peerSettingsBytes(settings: PeerSettings): Uint8Array {
  if (settings.dedicated.length > PEER_DEDICATED) {
    throw new RangeError(`A node has at most ${PEER_DEDICATED} dedicated MACs`);
  }
  const bytes = Buffer.alloc(PEER_CONFIG.liveUntilNs);
  bytes.set(macBytes(settings.clusterMac), PEER_CONFIG.clusterMac);
  bytes.set(macBytes(settings.outsiderSource), PEER_CONFIG.outsiderSource);
  bytes.set(macBytes(settings.peerSource), PEER_CONFIG.peerSource);
  for (const [index, mac] of settings.dedicated.entries()) {
    bytes.set(macBytes(mac), PEER_CONFIG.dedicated + 8 * index);
  }
  if (settings.shared !== undefined) bytes.set(macBytes(settings.shared), PEER_CONFIG.shared);
  bytes.set(settings.prefix.mask, PEER_CONFIG.peerMask);
  bytes.set(settings.prefix.bits, PEER_CONFIG.peerBits);
  bytes.writeUInt32LE(choiceBits(settings.choices), PEER_CONFIG.choices);
  return bytes;
}
