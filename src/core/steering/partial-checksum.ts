// A frame that was made on this machine, or came over a virtual link, may not have its transport checksum yet: the kernel leaves the sum
// of the pseudo-header in its place and the network card, or nobody, puts in the rest. Of such a frame the agent gets only the bytes, so
// when it sends them on (A15) it has to finish the checksum. A checksum that is complete is left alone, right or wrong.
import { PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import { transportChecksum } from "#wire/ipv4-checksum.ts";
import { readPacket } from "./packet.ts";

const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;

function checksumOffset(protocol: number): number | undefined {
  if (protocol === PROTOCOL_TCP) return TCP_CHECKSUM;
  return protocol === PROTOCOL_UDP ? UDP_CHECKSUM : undefined;
}

/** The sum over the pseudo-header, not inverted. */
function pseudoSum(
  addresses: Parameters<typeof transportChecksum>[0],
  protocol: number,
  length: number,
): number {
  // all the bytes of the segment 0: they add nothing to the sum
  return ~transportChecksum(addresses, protocol, new Uint8Array(length)) & 0xffff;
}

/** Finishes the checksum in place where it is partial. */
export function completeChecksum(frame: Uint8Array): void {
  const packet = readPacket(frame);
  if (typeof packet === "string" || packet.type !== "ip" || packet.fragment !== "none") return;
  const { protocol, transport } = packet;
  const at = checksumOffset(protocol);
  if (at === undefined || transport.byteLength < at + 2) return;
  const view = new DataView(transport.buffer, transport.byteOffset, transport.byteLength);
  if (view.getUint16(at) !== pseudoSum(packet, protocol, transport.byteLength)) return;
  view.setUint16(at, 0);
  const checksum = transportChecksum(packet, protocol, transport);
  // 0 would say that UDP has none (RFC 768)
  view.setUint16(at, checksum === 0 && protocol === PROTOCOL_UDP ? 0xffff : checksum);
}
