// Somebody on the segment who hears everything and holds none of our keys: repeats what was said, changes it, cuts it short, makes it up,
// and signs with another CA (A2).
import { ip } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { Prng } from "#base/prng.ts";
import type { IpAddress } from "#base/address.ts";
import type { Message } from "#wire/cluster/message.ts";
import { KeyRing } from "../key-ring.ts";
import { Packet } from "../packet.ts";
import { seal } from "../proof.ts";
import { encodeCertificate, type Identity } from "../signing.ts";
import type { World } from "../world.ts";

/** What it remembers of what it has heard. */
const RECORDED = 400;
const FOREIGN_AUTHORITY = 0xbad;
const SOMEWHERE = ip("10.0.0.250");

export class Attacker {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #recorded: Packet[] = [];
  #heard = 0;
  #active = false;
  datagrams = 0;

  constructor(world: World, prng: Prng) {
    this.#world = world;
    this.#prng = prng;
  }

  /** Hears one datagram in a few, and keeps old ones as long as new ones. */
  hear(packet: Packet): void {
    this.#heard += 1;
    if (packet.hostile !== undefined || this.#heard % 5 !== 0) return;
    if (this.#recorded.length < RECORDED) this.#recorded.push(packet);
    else if (this.#prng.chance(0.2)) this.#recorded[this.#prng.below(RECORDED)] = packet;
  }

  begin(meanGapMs: number): void {
    this.#active = true;
    this.#world.probes.fault("an attacker begins");
    const next = (): void => {
      if (!this.#active) return;
      this.#attack();
      this.#world.in(1 + this.#prng.below(2 * meanGapMs), next);
    };
    next();
  }

  end(): void {
    this.#active = false;
  }

  #attack(): void {
    const packet = this.#made();
    if (packet === undefined) return;
    this.datagrams += 1;
    const { id } = this.#prng.pick(this.#world.nodes);
    const { network, nowMs } = this.#world;
    // everybody's cable leads to the switch that it sits at
    if (this.#prng.chance(0.3)) network.broadcast(nowMs, id, packet);
    else network.send(nowMs, id, this.#prng.pick(this.#world.nodes).id, packet);
  }

  #made(): Packet | undefined {
    switch (this.#prng.below(8)) {
      case 0:
      case 1:
      case 2:
        return this.#recording()?.repeated("replayed");
      case 3:
        return this.#truncated();
      case 4:
        return this.#changed();
      case 5:
        return this.#forged();
      case 6:
        return this.#sealed("of a foreign CA", FOREIGN_AUTHORITY, new KeyRing());
      default:
        return this.#noise();
    }
  }

  #packet(bytes: Uint8Array, from: IpAddress, hostile: string): Packet {
    return new Packet(from, bytes, hostile);
  }

  #recording(): Packet | undefined {
    return this.#recorded.length === 0 ? undefined : this.#prng.pick(this.#recorded);
  }

  #truncated(): Packet | undefined {
    const recording = this.#recording();
    if (recording === undefined) return undefined;
    const { bytes, from } = recording;
    return this.#packet(bytes.slice(0, this.#prng.below(bytes.byteLength)), from, "truncated");
  }

  #changed(): Packet | undefined {
    const recording = this.#recording();
    if (recording === undefined) return undefined;
    const bytes = recording.bytes.slice();
    const at = this.#prng.below(bytes.byteLength);
    bytes[at] = (bytes[at] ?? 0) ^ (1 + this.#prng.below(255));
    return this.#packet(bytes, recording.from, "changed");
  }

  #noise(): Packet {
    const bytes = new Uint8Array(this.#prng.below(200));
    for (let at = 0; at < bytes.byteLength; at++) bytes[at] = this.#prng.below(256);
    return this.#packet(bytes, SOMEWHERE, "noise");
  }

  /** In the name of a node, with a key that nobody has given it. */
  #forged(): Packet | undefined {
    const keys = new KeyRing();
    keys.install({ keyId: 1 + this.#prng.below(255), secret: this.#prng.uint32() }, true);
    return this.#sealed("forged", 0xca, keys);
  }

  #sealed(hostile: string, authority: number, keys: KeyRing): Packet | undefined {
    const { id, address } = this.#prng.pick(this.#world.nodes);
    const boot = BigInt(Math.round(this.#world.nowMs * 1000)) + 2_000_000_000n;
    const certificate = { authority, serial: id + 7000, id, address };
    const identity: Identity = {
      certificate,
      certificateBytes: encodeCertificate(certificate),
      cluster: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
      boot,
    };
    const message = this.#prng.pick(hostile === "forged" ? this.#keyed(id) : this.#signed());
    const sealed = seal(identity, keys, message, 1 + this.#prng.below(1000));
    return sealed === undefined ? undefined : this.#packet(sealed.bytes, address, hostile);
  }

  #keyed(id: NodeId): Message[] {
    const { version } = this.#world.config;
    const { address, mac } = this.#world.node(id);
    const tables = { epoch: 99, counter: 1, master: id };
    return [
      { type: "goodbye" },
      { type: "probe" },
      {
        ...{ type: "master-keepalive", sequence: 1e6, epoch: 99, config: version, tables },
        ...{ detectionMs: 200, perInterval: 2, isMost: true, roster: 1, memberCount: 1, offset: 0 },
        members: [{ id, address, mac }],
      },
    ];
  }

  #signed(): Message[] {
    const { version } = this.#world.config;
    const { mac } = this.#world.node(1);
    const nonce = { boot: 0n, request: 0 };
    return [
      { type: "join-request", request: 1, epoch: 99, config: version, mac },
      { type: "exit-request", nonce, reason: "refused", config: version },
      { type: "offer", request: 1, epoch: 99, config: version, silent: 1 as NodeId },
    ];
  }
}
