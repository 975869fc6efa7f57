// A datagram on its way. What it says is read once, however many receive it.
//
// Keepalives are most of what is said, and the codec would be most of what a run spends its time on. So of what is said
// all the time nearly all travels as the value that its sender made, and becomes bytes when somebody wants these: the
// attacker, or the network that changes one. One in CODED goes the whole way, and what comes out must be what went in.
import { isDeepStrictEqual } from "node:util";
import type { IpAddress } from "#base/address.ts";
import { assert } from "#base/assert.ts";
import { decodeDatagram, type DatagramHeader } from "#wire/cluster/datagram.ts";
import type { Message } from "#wire/cluster/message.ts";
import type { GroupKey } from "./key-ring.ts";
import { authenticated, type Identity, isProvedBy, signed } from "./signing.ts";

/** Of a sender's datagrams with a MAC, one in so many. */
export const CODED = 64;

/** What a receiver reads of a datagram, before it knows whether that is true. */
export interface Said {
  readonly header: DatagramHeader;
  readonly message: Message;
  readonly proof:
    | { readonly kind: "mac"; readonly keyId: number }
    | { readonly kind: "signature"; readonly certificate: Uint8Array };
}

interface Origin {
  readonly identity: Identity;
  readonly key: GroupKey;
}

export class Packet {
  readonly from: IpAddress;
  /** Set by an attacker; nobody but the checkers looks at it. */
  readonly hostile: string | undefined;
  #bytes: Uint8Array | undefined;
  /** Where the bytes come from, as long as there are none. */
  readonly #origin: Origin | undefined;
  /** Undefined as long as nobody has looked; null: it cannot be read. */
  #said: Said | null | undefined;
  /** The secret by which its proof was found good. */
  #provedBy: number | undefined;

  constructor(
    from: IpAddress,
    content: Uint8Array | { readonly said: Said; readonly origin: Origin },
    hostile?: string,
  ) {
    this.from = from;
    this.hostile = hostile;
    if (content instanceof Uint8Array) {
      this.#bytes = content;
      return;
    }
    this.#said = content.said;
    this.#origin = content.origin;
    this.#provedBy = content.origin.key.secret;
  }

  /** The same once more, by somebody who has heard it. */
  repeated(hostile: string): Packet {
    const [said, origin] = [this.#said, this.#origin];
    const isValue = said !== undefined && said !== null && origin !== undefined;
    return new Packet(this.from, isValue ? { said, origin } : this.bytes, hostile);
  }

  get bytes(): Uint8Array {
    this.#bytes ??= this.#written();
    return this.#bytes;
  }

  #written(): Uint8Array {
    const [said, origin] = [this.#said, this.#origin];
    assert(said !== undefined && said !== null && origin !== undefined, "it has a content");
    return authenticated(origin.identity, origin.key, said.message, said.header.counter);
  }

  /** What it says; null when it cannot be read. */
  get said(): Said | null {
    if (this.#said === undefined) {
      const decoded = decodeDatagram(this.bytes);
      this.#said = decoded.ok ? decoded.value : null;
    }
    return this.#said;
  }

  /** Whether its proof was made with that secret. */
  isProvedBy(secret: number): boolean {
    if (this.#provedBy === secret) return true;
    const kind = this.said?.proof.kind;
    if (kind === undefined || !isProvedBy(secret, this.bytes, kind)) return false;
    this.#provedBy = secret;
    return true;
  }
}

/** Of a kind of which few are sent: always by the codec. */
export const signedPacket = (identity: Identity, message: Message, counter: number): Packet =>
  new Packet(identity.certificate.address, signed(identity, message, counter));

/** Of a kind that is sent all the time. */
export function authenticatedPacket(
  identity: Identity,
  key: GroupKey,
  message: Message,
  counter: number,
): Packet {
  const { address: from } = identity.certificate;
  if (counter % CODED === 0) return codedPacket(identity, key, message, counter);
  const { certificate, cluster, boot } = identity;
  const header = { cluster, boot, counter, sender: certificate.id };
  const said: Said = { header, message, proof: { kind: "mac", keyId: key.keyId } };
  return new Packet(from, { said, origin: { identity, key } });
}

function codedPacket(identity: Identity, key: GroupKey, message: Message, counter: number): Packet {
  const bytes = authenticated(identity, key, message, counter);
  const packet = new Packet(identity.certificate.address, bytes);
  const isSame = isDeepStrictEqual(packet.said?.message, message);
  assert(isSame, "what the codec reads is what it wrote");
  return packet;
}
