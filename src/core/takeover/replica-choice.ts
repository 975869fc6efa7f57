// Which members hold a connection (A16, docs/adr/0033). Each connection has an order of its own of all members, from nothing but its name
// and theirs (rendezvous hashing): the first k of those that are there hold it. So everybody knows where to look, a member that leaves
// or joins changes nothing but its own part, and every member holds about as much as every other.
import { ipBytes } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { mix } from "#base/mix.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";

/** How many other members hold each connection. */
export type ReplicaCount = "all" | number;

/** Any number, the same on every member. The keys of the steering tables would do worse: a new one would move every record. */
const SEED = 0x9d5c_1e37;

function nameHash({ vip, port, peer, peerPort }: ConnectionKey): number {
  let hash = mix(port, peerPort, SEED);
  for (const address of [ipBytes(vip), ipBytes(peer)]) {
    const words = new DataView(address.buffer, address.byteOffset, address.byteLength);
    for (let at = 0; at < address.byteLength; at += 4) hash = mix(words.getUint32(at), at, hash);
  }
  return hash;
}

/** These members, those first that are to hold the connection. */
export function byPreference(key: ConnectionKey, members: Iterable<NodeId>): NodeId[] {
  const name = nameHash(key);
  const weighed = [...members].map((id) => ({ id, weight: mix(name, id, SEED) }));
  // Equal weights: two hashes of 32 bits may meet.
  weighed.sort((a, b) => b.weight - a.weight || a.id - b.id);
  return weighed.map(({ id }) => id);
}

export function chooseReplicas(
  key: ConnectionKey,
  members: Iterable<NodeId>,
  wanted: ReplicaCount,
): ReadonlySet<NodeId> {
  if (wanted === "all") return new Set(members);
  return new Set(byPreference(key, members).slice(0, wanted));
}
