// The private paths of this node (B11): says hello on each of them, hears the others, and makes the packet program spread what it forwards
// over the paths that work. What is decided is in core/paths. Whoever has to know when a path fails, appears or is removed registers here.
//
// Hellos are proved with the group key, as keepalives are; a node that has no key yet says nothing. They run in the main thread: a moment
// in which it is busy looks like silence to the others, who then use another path, which is harmless.
import { createHmac, timingSafeEqual } from "node:crypto";
import { macBytes, macFromBytes, type MacAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { instant, type Instant } from "#base/time.ts";
import type { View } from "#core/membership/types.ts";
import {
  type Effect,
  type Heard,
  type Input,
  PathWatch,
  pathTiming,
} from "#core/paths/path-watch.ts";
import type { Datapath } from "#driver/bpf/datapath.ts";
import { hasCarrier } from "#driver/bpf/netdev.ts";
import { FdWatch } from "#driver/fd-watch.ts";
import { PacketSocket } from "#driver/host/packet-socket.ts";
import { BROADCAST, encodeEthernet, ETHERNET_LENGTH, EthernetView } from "#wire/ethernet.ts";
import { decodeHello, encodeHello, HELLO_ETHERTYPE, HELLO_TAG } from "#wire/paths/hello.ts";
import type { GroupKeys } from "../group-keys.ts";
import type { PortFacts } from "../host-facts.ts";
import type { Trouble } from "../trouble.ts";

/** Frames of one path that are read in one go; the rest waits for the next turn. */
const BATCH = 256;

export type PathChange = Extract<Effect, { type: "path-changed" }> & { readonly interface: string };

export interface PrivatePathsOptions {
  readonly self: NodeId;
  /** In the order of their segments. */
  readonly ports: readonly PortFacts[];
  readonly intervalMs: number;
  readonly keys: Pick<GroupKeys, "newest" | "before" | "inUse">;
  readonly datapath: Pick<Datapath, "setPaths" | "ports">;
  readonly trouble: Trouble;
}

interface Port extends PortFacts {
  readonly link: number;
  readonly socket: PacketSocket;
  readonly watch: FdWatch;
  counter: bigint;
}

const clock = (): Instant => instant(performance.now());

export class PrivatePaths {
  readonly #options: PrivatePathsOptions;
  readonly #callbacks = new Set<(change: PathChange) => void>();
  readonly #watch: PathWatch;
  #ports: Port[] = [];
  #boot: bigint | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PrivatePathsOptions) {
    this.#options = options;
    const timing = pathTiming(options.intervalMs);
    this.#watch = new PathWatch(options.self, options.ports.length, timing, clock());
  }

  /** Calls back whenever a path fails, appears or is removed, until the function that it returns is called. */
  onChange(callback: (change: PathChange) => void): () => void {
    this.#callbacks.add(callback);
    return () => void this.#callbacks.delete(callback);
  }

  /** Throws PAN_SYSCALL. Without private paths nothing is done, ever. @param boot larger for a later start of this node */
  start(boot: bigint): void {
    if (this.#options.ports.length === 0 || this.#boot !== undefined) return;
    this.#boot = boot;
    const { datapath, trouble } = this.#options;
    this.#ports = this.#options.ports.map((port, index) => {
      const link = datapath.ports.get(port.interface) ?? 0;
      const socket = PacketSocket.open(link, HELLO_ETHERTYPE);
      const read = (): void => trouble.guard("read hellos", () => this.#read(index + 1));
      const watch = new FdWatch(socket.fd, read, (error) => trouble.report("hellos", error));
      return { ...port, link, socket, watch, counter: 0n };
    });
    this.#tick();
  }

  viewChanged({ role, members }: View): void {
    const isIn = role === "member" || role === "master";
    this.#step({ type: "members-changed", members: isIn ? members.map(({ id }) => id) : [] });
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const { watch, socket } of this.#ports) {
      watch.close();
      socket.close();
    }
    this.#ports = [];
  }

  /** What has arrived is heard first: a busy moment of this node is not the others' silence. */
  #tick(): void {
    const { trouble } = this.#options;
    trouble.guard("private paths", () => {
      for (const [index, { interface: name }] of this.#ports.entries()) {
        this.#read(index + 1);
        this.#step({ type: "carrier-changed", path: index + 1, up: hasCarrier(name) });
      }
      this.#step({ type: "deadline-reached" });
    });
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, this.#watch.deadline - clock()));
  }

  #read(path: number): void {
    const socket = this.#ports[path - 1]?.socket;
    for (let count = 0; count < BATCH; count++) {
      const frame = socket?.receive(0);
      if (frame === undefined) return;
      const heard = this.#opened(frame);
      if (heard?.path === path) this.#step({ type: "hello-received", ...heard });
    }
  }

  /** Undefined: it is no hello, or nobody proves that it is one of ours. */
  #opened(frame: Uint8Array): Heard | undefined {
    if (frame.byteLength < ETHERNET_LENGTH) return undefined;
    const payload = frame.subarray(ETHERNET_LENGTH);
    const decoded = decodeHello(payload);
    if (!decoded.ok || decoded.value.node === this.#options.self) return undefined;
    const { keyId, node: from, heard, path, boot, counter } = decoded.value;
    const { newest, before } = this.#options.keys;
    const key = [newest, before].find((each) => each?.keyId === keyId)?.key;
    if (key === undefined) return undefined;
    const mac = new EthernetView(frame).source;
    const end = decoded.length - HELLO_TAG;
    const tag = tagOf(key, mac, payload.subarray(0, end));
    if (!timingSafeEqual(tag, payload.subarray(end, decoded.length))) return undefined;
    const hearsUs = heard.includes(this.#options.self);
    return { path, boot, counter, from, mac: macFromBytes(mac), hearsUs };
  }

  #step(input: Input): void {
    for (const effect of this.#watch.step(clock(), input)) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    const { datapath, ports } = this.#options;
    switch (effect.type) {
      case "send-hello":
        return this.#sayHello(effect.path, effect.heard);
      case "spread-changed": {
        const { node, macs, choices } = effect;
        const paths = macs.map((mac, index) => this.#pathTo(mac, index));
        return datapath.setPaths({ node, paths, choices });
      }
      case "path-changed": {
        const name = ports[effect.path - 1]?.interface ?? "";
        for (const tell of this.#callbacks) tell({ ...effect, interface: name });
      }
    }
  }

  #pathTo(mac: MacAddress | undefined, index: number) {
    const link = this.#ports[index]?.link;
    return mac === undefined || link === undefined ? undefined : { mac, link };
  }

  /** A link that is down refuses it, which the carrier tells as well. */
  #sayHello(path: number, heard: readonly NodeId[]): void {
    const port = this.#ports[path - 1];
    const key = this.#options.keys.inUse ?? this.#options.keys.newest;
    if (port === undefined || key === undefined || this.#boot === undefined) return;
    port.counter += 1n;
    const { self: node } = this.#options;
    const { counter } = port;
    const mac = macBytes(port.mac);
    const hello = encodeHello({ path, keyId: key.keyId, node, boot: this.#boot, counter, heard });
    const end = hello.byteLength - HELLO_TAG;
    hello.set(tagOf(key.key, mac, hello.subarray(0, end)), end);
    const header = { destination: BROADCAST, source: mac, etherType: HELLO_ETHERTYPE };
    port.socket.send(encodeEthernet(header, hello));
  }
}

const tagOf = (key: Uint8Array, mac: Uint8Array, hello: Uint8Array): Uint8Array =>
  createHmac("sha256", key).update(mac).update(hello).digest().subarray(0, HELLO_TAG);
