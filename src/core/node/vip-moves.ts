// Why virtual addresses have another interface node (B10): concluded, as causes of moved slots are (annals.ts), first from the node that had
// them, then from what happened last.
import type { IpAddress } from "#base/address.ts";
import { NO_NODE, type NodeId } from "#base/ids.ts";
import type { Tables } from "#core/steering/tables.ts";
import { holdersOf } from "#core/steering/vip-holders.ts";
import type { ClusterSpec } from "./cluster-spec.ts";

export type VipMoveCause =
  | "death"
  | "departure"
  | "drain"
  | "placement"
  | "join"
  | "undrain"
  | "other";

export interface VipMove {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly cause: VipMoveCause;
  readonly vips: readonly IpAddress[];
}

/** Why a node lost what it had, as far as that explains it. */
export type Loss = (from: NodeId) => "death" | "departure" | "drain" | undefined;

export class VipMoves {
  /** Who had each VIP last; of what is on its way, who had it before. No more than there are VIPs. */
  #holders = new Map<IpAddress, NodeId>();
  #isKnown = false;
  #last: VipMoveCause = "other";

  arrived(how: "join" | "undrain"): void {
    this.#last = how;
  }

  specChanged(before: ClusterSpec, after: ClusterSpec): void {
    const placement = ({ interfaceNodes }: ClusterSpec): string => JSON.stringify(interfaceNodes);
    if (placement(before) !== placement(after)) this.#last = "placement";
  }

  /** Tables have come into force. Where the master is the interface node of all, before and after, nothing moves. */
  installed(tables: Tables, loss: Loss): VipMove[] {
    const [before, wasKnown] = [this.#holders, this.#isKnown];
    const isSpread = tables.vipHolders !== undefined;
    const now = new Map<IpAddress, NodeId>();
    const moves = new Map<string, VipMove & { readonly vips: IpAddress[] }>();
    for (const [vip, { holder }] of holdersOf(tables, tables.version.master)) {
      const from = before.get(vip) ?? NO_NODE;
      now.set(vip, holder === NO_NODE ? from : holder);
      if (from === NO_NODE || holder === NO_NODE || from === holder) continue;
      const key = `${from} ${holder}`;
      const move = moves.get(key) ?? {
        from,
        to: holder,
        cause: loss(from) ?? this.#last,
        vips: [],
      };
      move.vips.push(vip);
      moves.set(key, move);
    }
    this.#holders = now;
    this.#isKnown = isSpread;
    return isSpread || wasKnown ? [...moves.values()] : [];
  }
}
