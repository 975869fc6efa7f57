// Frames that simulated clients send: TCP and UDP over IPv4.
import { ip, ipBytes, type IpAddress } from "#base/address.ts";
import { type Packet, readPacket, type Unreadable } from "#core/steering/packet.ts";
import { VIP } from "./cluster-spec.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import { flowKey, type FlowKey } from "#wire/flow-key.ts";
import { putUint16 } from "#wire/network-order.ts";
import { ACK, ethernet, ipv4, SYN, tcp, udp } from "#core/steering/testing/frames.ts";

const IPV4 = 0x0800;

const clientAddress = (client: number): string => `192.0.2.${client}`;

const addresses: Uint8Array[] = [];

/** The address of a client, in network order. */
export function clientBytes(client: number): Uint8Array {
  const bytes = addresses[client] ?? ipBytes(ip(clientAddress(client)));
  addresses[client] = bytes;
  return bytes;
}

export const VIP_BYTES = ipBytes(VIP);

/** Of a client's connection, or of its UDP session, to a service of the first VIP. */
export interface ClientFlow {
  readonly protocol: number;
  readonly client: number;
  readonly from: number;
  readonly to: number;
}

/** How tables and reports name it. */
export const flowOfClient = ({ protocol, client, from, to }: ClientFlow): FlowKey =>
  flowKey({
    protocol,
    source: clientBytes(client),
    sourcePort: from,
    destination: VIP_BYTES,
    destinationPort: to,
  });

/** A frame of a client's connection, addressed to nobody yet. */
export interface ClientFrame {
  readonly bytes: Uint8Array;
  /** What stands in it. */
  readonly packet: Packet | Unreadable;
  /** Where nodes keep what they have decided about it: no two frames that are in use have the same. Undefined: it is sent once. */
  readonly seat: number | undefined;
}

/** Bounded by clients and services. */
const templates = new Map<string, Uint8Array>();
/** Behind an Ethernet header and an IPv4 header without options. */
const SOURCE_PORT = 34;

/** @param opening its first segment; a UDP packet does not say so.
 *  The builder computes no checksum of the transport, so a port can be changed. */
export function clientFrame(
  vip: IpAddress,
  flow: Omit<ClientFlow, "protocol"> & { readonly protocol?: number },
  opening: boolean,
  seat?: number,
): ClientFrame {
  const { client, from, to } = flow;
  const key = `${flow.protocol} ${vip} ${client} ${to} ${opening}`;
  const template = templates.get(key) ?? builtFrame(vip, flow, opening);
  templates.set(key, template);
  const bytes = template.slice();
  putUint16(bytes, SOURCE_PORT, from);
  return { bytes, packet: readPacket(bytes), seat };
}

function builtFrame(
  vip: IpAddress,
  { protocol = PROTOCOL_TCP, client, from, to }: Parameters<typeof clientFrame>[1],
  opening: boolean,
): Uint8Array {
  const ports = { from, to };
  const segment = protocol === PROTOCOL_UDP ? udp(ports) : tcp(ports, opening ? SYN : ACK);
  const packet = ipv4({ source: clientAddress(client), destination: vip }, protocol, segment);
  const link = { to: "00:00:00:00:00:00", from: "00:00:00:00:00:00" };
  return ethernet(link, IPV4, packet);
}
