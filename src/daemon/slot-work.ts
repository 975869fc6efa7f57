// What a node does for single slots while it runs: it reports to the master what its slots carry and which ones it needs not be asked
// about any more (A8, B4).
import type { NodeId } from "#base/ids.ts";
import type { Input } from "#core/node/protocol.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { Datapath } from "#driver/bpf/datapath.ts";
import { TcpConnections } from "#driver/netlink/tcp-connections.ts";
import type { Following } from "./following.ts";
import { SlotReports } from "./slot-reports.ts";

/** As often as the master balances (A8). */
export const REPORT_EVERY_MS = 2000;

export interface SlotWorkOptions {
  readonly self: NodeId;
  readonly isMaster: () => boolean;
  /** The newest tables known here. */
  readonly tables: () => Tables | undefined;
  readonly datapath: Pick<Datapath, "version">;
  readonly following: Pick<Following, "send">;
  readonly step: (input: Input) => void;
}

export class SlotWork {
  readonly #options: SlotWorkOptions;
  readonly #connections: TcpConnections;
  readonly #reports: SlotReports;

  private constructor(options: SlotWorkOptions) {
    this.#options = options;
    this.#connections = TcpConnections.open();
    this.#reports = new SlotReports({
      self: options.self,
      tables: options.tables,
      version: () => options.datapath.version(),
      measured: () => new Map(),
      readLoads: () => new Map(),
      connections: () => this.#connections.list(),
    });
  }

  /** Throws PAN_SYSCALL. */
  static open(options: SlotWorkOptions): SlotWork {
    return new SlotWork(options);
  }

  /** To be called every REPORT_EVERY_MS. */
  report(nowMs: number): void {
    const { self, isMaster, step, following } = this.#options;
    const report = this.#reports.next(nowMs);
    if (report === undefined) return;
    if (isMaster()) step({ type: "slots-reported", id: self, report });
    else following.send({ type: "slot-report", report });
  }

  close(): void {
    this.#connections.close();
  }
}
