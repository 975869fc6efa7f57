// UDP sessions that the packet program has noted (B12), as the agent lists them, and for how long each group wants its own kept.
import { unmapped } from "#base/mapped-address.ts";
import type { Connection } from "#core/steering/former-slots.ts";
import { PROTOCOL_UDP } from "#wire/ipv4.ts";
import { UDP_SESSION, UDP_SESSION_KEY } from "./abi.gen.ts";
import { GroupNumbers } from "./group-numbers.ts";
import { readHashMap } from "./service-map.ts";

const NS_PER_MS = 1_000_000n;

/** Map udp_idle: by index of the group. */
export class SessionIdle extends GroupNumbers {
  setMs(group: number, idleMs: number): void {
    this.set(group, BigInt(idleMs) * NS_PER_MS);
  }
}

/** IPv4 is ::ffff:a.b.c.d. */
function addressAt(key: Buffer, at: number): Uint8Array {
  return unmapped(Uint8Array.from(key.subarray(at, at + 16)));
}

/** Those that have not been idle for too long. */
export function listSessions(fd: number, nowNs: bigint): Connection[] {
  const found: Connection[] = [];
  for (const [key, value] of readHashMap(fd, UDP_SESSION_KEY.size, UDP_SESSION.size)) {
    if (value.readBigUInt64LE(UDP_SESSION.untilNs) <= nowNs) continue;
    found.push({
      protocol: PROTOCOL_UDP,
      source: addressAt(key, UDP_SESSION_KEY.source),
      sourcePort: key.readUInt16BE(UDP_SESSION_KEY.sourcePort),
      destination: addressAt(key, UDP_SESSION_KEY.destination),
      destinationPort: key.readUInt16BE(UDP_SESSION_KEY.destinationPort),
      halfOpen: false,
    });
  }
  return found;
}
