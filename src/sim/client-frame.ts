// Frames that simulated clients send: TCP over IPv4.
import { ip, ipBytes, type IpAddress } from "#base/address.ts";
import { portWord } from "#core/steering/discriminator.ts";
import { slotOf } from "#core/steering/hash.ts";
import { type Packet, readPacket, type Unreadable } from "#core/steering/packet.ts";
import type { Tables } from "#core/steering/tables.ts";
import { VIP, WEB_PORT } from "./cluster-spec.ts";
import { indexOf } from "./tables-bytes.ts";
import { PROTOCOL_TCP } from "#wire/ipv4.ts";
import { flowKey, type FlowKey } from "#wire/flow-key.ts";
import { putUint16 } from "#wire/network-order.ts";
import { ACK, ethernet, ipv4, SYN, tcp } from "#core/steering/testing/frames.ts";

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

/** How tables and reports name a client's connection. */
export const flowOfClient = (client: number, port: number): FlowKey =>
  flowKey({
    protocol: PROTOCOL_TCP,
    source: clientBytes(client),
    sourcePort: port,
    destination: VIP_BYTES,
    destinationPort: WEB_PORT,
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

/** The builder does not compute TCP's checksum, so a port can be changed. */
export function clientFrame(
  vip: IpAddress,
  flow: { readonly client: number; readonly from: number; readonly to: number },
  opening: boolean,
  seat?: number,
): ClientFrame {
  const { client, from, to } = flow;
  const key = `${vip} ${client} ${to} ${opening}`;
  const template = templates.get(key) ?? builtFrame(vip, flow, opening);
  templates.set(key, template);
  const bytes = template.slice();
  putUint16(bytes, SOURCE_PORT, from);
  return { bytes, packet: readPacket(bytes), seat };
}

function builtFrame(
  vip: IpAddress,
  { client, from, to }: { readonly client: number; readonly from: number; readonly to: number },
  opening: boolean,
): Uint8Array {
  const segment = tcp({ from, to }, opening ? SYN : ACK);
  const packet = ipv4({ source: clientAddress(client), destination: vip }, PROTOCOL_TCP, segment);
  const link = { to: "00:00:00:00:00:00", from: "00:00:00:00:00:00" };
  return ethernet(link, IPV4, packet);
}

/** The slot of a client's connection to the weighted group, which is the first; undefined without tables. */
export function slotOfClient(
  tables: Tables,
  { client, port }: { readonly client: number; readonly port: number },
): number | undefined {
  const [group] = tables.groups;
  if (group === undefined) return undefined;
  const flow = {
    protocol: PROTOCOL_TCP,
    source: clientBytes(client),
    destination: VIP_BYTES,
    discriminator: portWord(port),
  };
  return slotOf(indexOf(tables), group.policy, flow, group.owners.length);
}
