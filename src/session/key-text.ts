// A connection's name: of a socket, and as text for maps.
import { type IpAddress, parseIp } from "#base/address.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";

const MAPPED = /^::ffff:(?=\d+\.)/i;

interface Remote {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** Of an accepted socket; undefined: it is closed already. */
export function keyOf(
  vip: IpAddress,
  port: number,
  { remoteAddress = "", remotePort: peerPort }: Remote,
): ConnectionKey | undefined {
  const peer = parseIp(remoteAddress.replace(MAPPED, ""));
  return peer === undefined || peerPort === undefined ? undefined : { vip, port, peer, peerPort };
}

export const keyText = ({ vip, port, peer, peerPort }: ConnectionKey): string =>
  `${vip} ${port} ${peer} ${peerPort}`;
