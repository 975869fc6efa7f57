// Addresses that no host can have as its own.

/** What kind of address it is, where no host can have it. */
export function unusable(address: string): string | undefined {
  if (/^(0\.|255\.255\.255\.255$)/.test(address) || address === "::") return "unspecified";
  if (address.startsWith("127.") || address === "::1") return "loopback";
  const first = Number.parseInt(address, 10);
  if (/^ff[0-9a-f]{2}:/.test(address)) return "multicast";
  if (!address.includes(":") && first >= 224) return first < 240 ? "multicast" : "reserved";
  return /^::ffff:[0-9a-f]+:[0-9a-f]+$/.test(address) ? "IPv4-mapped" : undefined;
}
