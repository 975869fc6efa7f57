// Services as operators write them: "tcp 10.77.0.100:80", "udp [fd77::100]:53", "tcp 10.77.0.100:*", "any 10.77.0.100".
import { type IpAddress, familyOf, parseIp } from "#base/address.ts";
import type { Service } from "./schema.ts";

export type ParsedService =
  | { readonly ok: true; readonly service: Service }
  | { readonly ok: false; readonly reason: string };

const FORM = 'write it like "tcp 10.77.0.100:80" or "udp [fd77::100]:53"';
const WHOLE =
  'all other protocols (ICMP, ESP, GRE …) of an address together are "any", without a port: "any 10.77.0.100"';
const refuse = (reason: string): ParsedService => ({ ok: false, reason });

function parsePort(text: string): number | "any" | undefined {
  if (text === "*") return "any";
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** "any" and an address: whatever is sent there and is for no other service. */
function parseWhole(text: string): ParsedService | undefined {
  const host = /^\s*any(?:\s+(.*?))?\s*$/i.exec(text);
  if (host === null) return undefined;
  const vip = parseIp((host[1] ?? "").replace(/^\[(.*)\]$/, "$1"));
  if (vip !== undefined) return { ok: true, service: { protocol: "any", vip, port: "any" } };
  return refuse('after "any" comes an address without a port; write it like "any 10.77.0.100"');
}

/** Reads a service; the reason says what to write instead. */
export function parseService(text: string): ParsedService {
  const whole = parseWhole(text);
  if (whole !== undefined) return whole;
  const protocol = /^\s*(\S+)\s+\S/.exec(text)?.[1] ?? "";
  const name = protocol.toLowerCase();
  if (protocol !== "" && name !== "tcp" && name !== "udp") {
    return refuse(`the protocol "${protocol}" is not tcp or udp; ${WHOLE}`);
  }
  const match = /^\s*\S+\s+(.+):([^:\]\s]*)\s*$/.exec(text);
  if (match === null || (name !== "tcp" && name !== "udp")) return refuse(FORM);
  const [, host = "", portText = ""] = match;
  const bracketed = /^\[(.*)\]$/.exec(host)?.[1];
  const vip = parseIp(bracketed ?? host);
  if (vip === undefined) return refuse(`"${host}" is not an IP address; ${FORM}`);
  if ((familyOf(vip) === 6) !== (bracketed !== undefined)) {
    return refuse(`brackets belong around an IPv6 address and around nothing else; ${FORM}`);
  }
  const port = parsePort(portText);
  if (port === undefined) return refuse(`the port "${portText}" is not 1 to 65535, and not *`);
  return { ok: true, service: { protocol: name, vip, port } };
}

const hostOf = (vip: IpAddress): string => (familyOf(vip) === 6 ? `[${vip}]` : vip);

/** The one way in which a service is written: equal services have equal text. */
export const formatService = ({ protocol, vip, port }: Service): string =>
  protocol === "any" ? `any ${vip}` : `${protocol} ${hostOf(vip)}:${port === "any" ? "*" : port}`;
