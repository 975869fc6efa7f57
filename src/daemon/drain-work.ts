// Closes the connections that are left on this node when the deadline of its drain has come (B7).
import type { Logger } from "pino";
import { ipBytes } from "#base/address.ts";
import { elapsedMs, instant, type Instant } from "#base/time.ts";
import { Drain, type Input } from "#core/health/drain.ts";
import type { Connection } from "#core/steering/former-slots.ts";
import { virtualAddresses } from "#config/config.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import { closeConnections } from "#driver/netlink/close-connections.ts";
import type { Trouble } from "./trouble.ts";

export interface DrainWorkOptions {
  readonly self: NodeConfig;
  readonly log: Pick<Logger, "info" | "warn">;
  readonly trouble: Trouble;
  /** The deadline has come. */
  readonly ended: () => void;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;
const clock = (): Instant => instant(performance.now());

export class DrainWork {
  readonly #options: DrainWorkOptions;
  readonly #drain = new Drain();
  #isOfService: (connection: Connection) => boolean = () => false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DrainWorkOptions) {
    this.#options = options;
  }

  /** At the start, and whenever another configuration is in force. */
  configured(config: ClusterConfig): void {
    const { self } = this.#options;
    const node = config.nodes.find(({ id }) => id === self.id);
    this.#isOfService = servicesOf(config, self);
    const deadlineMs = node?.drained === true ? node.drainDeadlineMs : undefined;
    this.#step({ type: "configured", deadlineMs });
  }

  /** Milliseconds until connections are closed; 0: they have been. Undefined: they finish by themselves. */
  get endsInMs(): number | undefined {
    const { endsAt } = this.#drain;
    return endsAt === undefined ? undefined : Math.max(0, Math.round(elapsedMs(clock(), endsAt)));
  }

  /** The deadline has come, and the drain goes on. */
  get isOver(): boolean {
    return this.#drain.isOver(clock());
  }

  /** Connections that were closed, since the start. */
  get closed(): number {
    return this.#drain.closed;
  }

  #step(input: Input): void {
    for (const effect of this.#drain.step(clock(), input)) {
      switch (effect.type) {
        case "close-connections":
          this.#options.ended();
          this.#options.trouble.guard("close the connections of a drained node", () =>
            this.#close(),
          );
      }
    }
    this.#arm();
  }

  #close(): void {
    const count = closeConnections(this.#isOfService);
    if (count > 0)
      this.#options.log.warn({ count }, "closed connections: the drain's deadline is over");
    this.#drain.step(clock(), { type: "closed", count });
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { deadline } = this.#drain;
    if (deadline === undefined) return;
    const delay = Math.min(Math.max(0, deadline - clock()), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => this.#step({ type: "deadline-reached" }), delay);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}

/** Whether a TCP connection is a client's, of a service of the cluster: nobody wants their shell on a VIP to be closed, nor a health check. */
function servicesOf(config: ClusterConfig, self: NodeConfig): (connection: Connection) => boolean {
  const keys = new Set<string>();
  for (const { protocol, vip, port } of config.groups.flatMap(({ services }) => services)) {
    if (protocol !== "udp") keys.add(keyOf(ipBytes(vip), port));
  }
  const own = [self.address, ...virtualAddresses(config)];
  const sources = new Set(own.map((address) => ipBytes(address).join(".")));
  return ({ source, destination, destinationPort }) =>
    !sources.has(source.join(".")) &&
    (keys.has(keyOf(destination, destinationPort)) || keys.has(keyOf(destination, "any")));
}

const keyOf = (address: Uint8Array, port: number | "any"): string => `${address.join(".")} ${port}`;
