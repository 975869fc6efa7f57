// Hears what routers say about packets that did not fit on the way to nodes beyond this segment (B11, docs/adr/0022).
import { instant } from "#base/time.ts";
import { complaintIn, PathMtus } from "#core/steering/path-mtus.ts";
import { FdWatch } from "#driver/fd-watch.ts";
import { IcmpSocket } from "#driver/host/icmp-socket.ts";
import { startsWith } from "#base/bytes-map.ts";
import type { NodeTunnel } from "#driver/bpf/tunnel-map.ts";
import type { Trouble } from "../trouble.ts";

/** Read in one go; the rest waits for the next turn of the event loop. */
const BATCH = 64;

export interface ComplaintsOptions {
  /** To nodes beyond this segment. */
  readonly tunnels: () => readonly NodeTunnel[];
  /** The MTU of one of these ways is another one now. */
  readonly changed: () => void;
  readonly trouble: Trouble;
}

export class Complaints {
  readonly #options: ComplaintsOptions;
  readonly #mtus = new PathMtus();
  readonly #socket: IcmpSocket;
  readonly #watch: FdWatch;

  /** Throws PAN_SYSCALL. */
  constructor(options: ComplaintsOptions) {
    const { trouble } = options;
    this.#options = options;
    this.#socket = IcmpSocket.open();
    const read = (): void => trouble.guard("read ICMP", () => this.#read());
    this.#watch = new FdWatch(this.#socket.fd, read, (error) => trouble.report("ICMP", error));
  }

  /** Undefined: nobody has complained lately. @param destination four bytes */
  mtuTo(destination: Uint8Array): number | undefined {
    return this.#mtus.of(instant(performance.now()), destination);
  }

  #read(): void {
    let isNews = false;
    for (let count = 0; count < BATCH; count++) {
      const packet = this.#socket.receive();
      if (packet === undefined) break;
      if (this.#heard(packet)) isNews = true;
    }
    if (isNews) this.#options.changed();
  }

  /** What is about no packet of ours is nobody's business here. */
  #heard(packet: Uint8Array): boolean {
    const complaint = complaintIn(packet);
    if (complaint === undefined) return false;
    const isOurs = this.#options
      .tunnels()
      .some(
        ({ source, destination }) =>
          startsWith(complaint.source, source) && startsWith(complaint.destination, destination),
      );
    return isOurs && this.#mtus.heard(instant(performance.now()), complaint);
  }

  close(): void {
    this.#watch.close();
    this.#socket.close();
  }
}
