// IP and MAC addresses: one canonical text per address, so that equal addresses are equal strings.

/** Canonical text of an IPv4 or IPv6 address (RFC 5952). Only made by the functions below. */
export type IpAddress = string & { readonly __address: "ip" };
/** Lower-case, colon separated: "02:00:00:00:00:01". */
export type MacAddress = string & { readonly __address: "mac" };

export type Family = 4 | 6;

export const familyOf = (ip: IpAddress): Family => (ip.includes(":") ? 6 : 4);

function parseIpv4(text: string): Uint8Array | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const bytes = match.slice(1).map(Number);
  const plain = match.slice(1).every((part) => part === "0" || !part.startsWith("0"));
  return plain && bytes.every((byte) => byte <= 255) ? Uint8Array.from(bytes) : undefined;
}

function parseGroups(text: string): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    const embedded = index === parts.length - 1 && part.includes(".") ? parseIpv4(part) : undefined;
    if (embedded !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = embedded;
      groups.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? "");
  const tail = halves[1] === undefined ? [] : parseGroups(halves[1]);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const bytes = new Uint8Array(16);
  [...head, ...Array<number>(missing).fill(0), ...tail].forEach((group, index) => {
    bytes[2 * index] = group >> 8;
    bytes[2 * index + 1] = group & 0xff;
  });
  return bytes;
}

function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0),
  );
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.length < 2) return hex.join(":");
  return `${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}`;
}

/** The canonical address of 4 or 16 bytes in network order. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.byteLength === 4) return bytes.join(".") as IpAddress;
  if (bytes.byteLength === 16) return formatIpv6(bytes) as IpAddress;
  throw new RangeError(`Cannot read an address of ${bytes.byteLength} bytes: it has 4 or 16`);
}

/** Undefined when the text is not an address. Zones and prefixes are not part of an address. */
export function parseIp(text: string): IpAddress | undefined {
  const bytes = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  return bytes === undefined ? undefined : ipFromBytes(bytes);
}

/** Bytes of addresses that were asked for lately: each keepalive names every member. */
class Remembered {
  readonly #bytes = new Map<string, Uint8Array>();
  readonly #read: (text: string) => Uint8Array;

  constructor(read: (text: string) => Uint8Array) {
    this.#read = read;
  }

  get(text: string): Uint8Array {
    const known = this.#bytes.get(text);
    if (known !== undefined) return known;
    const bytes = this.#read(text);
    if (this.#bytes.size >= MOST_REMEMBERED) this.#bytes.clear();
    this.#bytes.set(text, bytes);
    return bytes;
  }
}

/** More than there are nodes and VIPs. */
const MOST_REMEMBERED = 8192;

const ips = new Remembered((text) => {
  const bytes = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  if (bytes === undefined) throw new RangeError(`Cannot read "${text}" as an IP address`);
  return bytes;
});

/** 4 or 16 bytes in network order. */
export const ipBytes = (ip: IpAddress): Uint8Array => ips.get(ip).slice();

/** An address written by hand in the source; throws where that is not one. */
export function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new RangeError(`Cannot read "${text}" as an IP address`);
  return address;
}

/** Order of addresses as numbers; IPv4 before IPv6. A5 and A3 break ties by it. */
export function compareIp(a: IpAddress, b: IpAddress): number {
  const [left, right] = [ips.get(a), ips.get(b)];
  if (left.length !== right.length) return left.length - right.length;
  for (let index = 0; index < left.length; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function parseMac(text: string): MacAddress | undefined {
  return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)
    ? (text.toLowerCase() as MacAddress)
    : undefined;
}

export function mac(text: string): MacAddress {
  const address = parseMac(text);
  if (address === undefined) throw new RangeError(`Cannot read "${text}" as a MAC address`);
  return address;
}

const macs = new Remembered((text) =>
  Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16)),
);

/** Six bytes in the order of transmission. */
export const macBytes = (address: MacAddress): Uint8Array => macs.get(address).slice();

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function macFromBytes(bytes: Uint8Array): MacAddress {
  let text = "";
  for (const byte of bytes) text += text === "" ? HEX[byte] : `:${HEX[byte]}`;
  return text as MacAddress;
}

/** The link-local address that an interface makes of its MAC (RFC 4291 appendix A). */
export function linkLocalOf(address: MacAddress): IpAddress {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(address);
  return ipFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f));
}
