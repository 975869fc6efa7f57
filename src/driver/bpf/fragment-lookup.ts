// Whether the first fragment of a later one has been seen, so that a frame that waited for it can be sent on (A14): a look into the
// packet program's own memory of datagrams.
import { putMapped } from "#base/mapped-address.ts";
import { ETHERNET_LENGTH, ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetView } from "#wire/ethernet.ts";
import { Ipv4View } from "#wire/ipv4.ts";
import { Ipv6View, walkExtensionHeaders } from "#wire/ipv6.ts";
import { DECISION, FRAGMENT_KEY } from "./abi.gen.ts";
import { bpfCheck, libbpf } from "./libbpf.ts";

const ENOENT = 2;

interface Datagram {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly identification: number;
  readonly protocol: number;
}

function datagramOf(frame: Uint8Array): Datagram | undefined {
  if (frame.byteLength < ETHERNET_LENGTH) return undefined;
  const bytes = frame.subarray(ETHERNET_LENGTH);
  switch (new EthernetView(frame).etherType) {
    case ETHERTYPE_IPV4: {
      const header = Ipv4View.over(bytes);
      return typeof header === "string" ? undefined : header;
    }
    case ETHERTYPE_IPV6: {
      const header = Ipv6View.over(bytes);
      const inner = walkExtensionHeaders(bytes);
      if (typeof header === "string" || typeof inner === "string") return undefined;
      return { source: header.source, destination: header.destination, ...inner };
    }
    default:
      return undefined;
  }
}

/** The key in map fragments of what came to this node's own MAC. */
export function fragmentKey(frame: Uint8Array): Buffer | undefined {
  const datagram = datagramOf(frame);
  if (datagram === undefined) return undefined;
  const key = Buffer.alloc(FRAGMENT_KEY.size);
  putMapped(key, FRAGMENT_KEY.source, datagram.source);
  putMapped(key, FRAGMENT_KEY.destination, datagram.destination);
  const { identification, protocol } = datagram;
  // as it lies in the packet: 16 bits in network order in IPv4, 32 in IPv6
  if (datagram.source.byteLength === 4) {
    key.writeUInt16BE(identification, FRAGMENT_KEY.identification);
  } else {
    key.writeUInt32BE(identification, FRAGMENT_KEY.identification);
  }
  key.writeUInt32LE(protocol, FRAGMENT_KEY.protocol);
  return key;
}

export function isFirstSeen(fragmentsFd: number, frame: Uint8Array): boolean {
  const key = fragmentKey(frame);
  if (key === undefined) return false;
  const result = libbpf().lookupElem(fragmentsFd, key, Buffer.alloc(DECISION.size));
  if (result === -ENOENT) return false;
  bpfCheck(result, "look for a first fragment");
  return true;
}
