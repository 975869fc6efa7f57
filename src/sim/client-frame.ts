// Frames that simulated clients send: TCP over IPv4, built once for each flow.
import { ip, ipBytes, type IpAddress } from "#base/address.ts";
import { portWord } from "#core/steering/discriminator.ts";
import { slotOf } from "#core/steering/hash.ts";
import type { Tables } from "#core/steering/tables.ts";
import { VIP } from "./cluster-spec.ts";
import { indexOf } from "./tables-bytes.ts";
import { ACK, ethernet, ipv4, SYN, tcp } from "#core/steering/testing/frames.ts";

const IPV4 = 0x0800;
const PROTOCOL_TCP = 6;

export const clientAddress = (client: number): string => `192.0.2.${client}`;

const built = new Map<string, Uint8Array>();

/** A frame of a client's connection, addressed to nobody yet. */
export function clientFrame(
  vip: IpAddress,
  flow: { readonly client: number; readonly from: number; readonly to: number },
  opening: boolean,
): Uint8Array {
  const { client, from, to } = flow;
  const key = `${vip} ${client} ${from} ${to} ${opening}`;
  const known = built.get(key);
  if (known !== undefined) return known;
  const segment = tcp({ from, to }, opening ? SYN : ACK);
  const packet = ipv4({ source: clientAddress(client), destination: vip }, PROTOCOL_TCP, segment);
  const link = { to: "00:00:00:00:00:00", from: "00:00:00:00:00:00" };
  const frame = ethernet(link, IPV4, packet);
  if (built.size > 20_000) built.clear();
  built.set(key, frame);
  return frame;
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
    source: ipBytes(ip(clientAddress(client))),
    destination: ipBytes(VIP),
    discriminator: portWord(port),
  };
  return slotOf(indexOf(tables), group.policy, flow, group.owners.length);
}
