// Does another machine use this node's dedicated address? Asked before joining, since two nodes of one
// address would take each other's place in every table.
//
// Blocks the thread for 200 ms at most: it happens once, before the agent has anything else to do, and a
// synchronous question can be asked inside another network namespace.
import type { IpAddress, MacAddress } from "#base/address.ts";
import { familyOf } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV6 } from "#wire/ethernet.ts";
import { decodeClaim, probeFrame } from "#wire/neighbour-probe.ts";
import { PacketSocket } from "./packet-socket.ts";

/** RFC 5227 sends 3 probes as well, but a second apart: this node's address is not in doubt every day. */
const PROBES = 3;
const WAIT_MS = 200;

export interface ConflictQuestion {
  /** Index of the cluster interface. */
  readonly link: number;
  /** MAC address of the cluster interface. */
  readonly mac: MacAddress;
  /** The node's dedicated address. */
  readonly address: IpAddress;
}

/** The MAC address of another machine that has `address`; undefined when nobody answers in 200 ms. */
export function findConflict({ link, mac, address }: ConflictQuestion): MacAddress | undefined {
  const etherType = familyOf(address) === 4 ? ETHERTYPE_ARP : ETHERTYPE_IPV6;
  const socket = PacketSocket.open(link, etherType);
  try {
    const frame = probeFrame(address, mac);
    for (let probe = 0; probe < PROBES; probe++) {
      const failure = socket.send(frame);
      if (failure !== undefined) {
        throw new PanError(
          "PAN_SYSCALL",
          `Cannot ask who has ${address} on link ${link}: ${failure}`,
        );
      }
      const other = awaitClaim(socket, { link, mac, address });
      if (other !== undefined) return other;
    }
    return undefined;
  } finally {
    socket.close();
  }
}

function awaitClaim(socket: PacketSocket, question: ConflictQuestion): MacAddress | undefined {
  const deadline = performance.now() + WAIT_MS / PROBES;
  for (let left = WAIT_MS / PROBES; left > 0; left = deadline - performance.now()) {
    const frame = socket.receive(left);
    if (frame === undefined) continue;
    const claim = decodeClaim(frame);
    if (!claim.ok || claim.value.address !== question.address) continue;
    if (claim.value.mac !== question.mac) return claim.value.mac;
  }
  return undefined;
}
