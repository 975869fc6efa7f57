// A connection's name as text, for maps.
import type { ConnectionKey } from "#wire/takeover/record.ts";

export const keyText = ({ vip, port, peer, peerPort }: ConnectionKey): string =>
  `${vip} ${port} ${peer} ${peerPort}`;
