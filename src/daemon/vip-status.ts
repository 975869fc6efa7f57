// What `pan status` and `pan vips` show of virtual addresses (B10): who answers for each by the newest tables, and who would next.
import type { Status, VipStatus } from "#api/status.ts";
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { virtualAddresses } from "#config/config.ts";
import type { ClusterConfig } from "#config/schema.ts";
import type { View } from "#core/membership/types.ts";
import { desiredHolders } from "#core/node/interface-nodes.ts";
import type { Tables } from "#core/steering/tables.ts";
import { holdersOf, rankedBackups } from "#core/steering/vip-holders.ts";
import { clusterSpec } from "./cluster-spec.ts";

/** To find out who would be next costs more the more there are. */
const FEW_VIPS = 64;
const BACKUPS = 3;

export interface VipSources {
  readonly config: ClusterConfig;
  readonly view: View | undefined;
  readonly tables: Tables | undefined;
  readonly nameOf: (id: NodeId | undefined) => string | undefined;
}

export function vipStatus({ config, view, tables, nameOf }: VipSources): Status["vips"] {
  const spec = clusterSpec(config);
  const isSpread = tables?.vipHolders !== undefined;
  const members = new Set(view?.members.map(({ id }) => id));
  const master = view?.master ?? NO_NODE;
  const desired = desiredHolders(spec, master, (id) => members.has(id));
  if (tables === undefined || desired === undefined || !isSpread) {
    const backup = nameOf(view?.secondary);
    const node = nameOf(master);
    const addresses = virtualAddresses(config).map((vip) => ({
      vip,
      ...(node === undefined ? {} : { node }),
      backups: backup === undefined ? [] : [backup],
    }));
    return { spread: false, addresses };
  }
  const holders = holdersOf(tables, master);
  const limit = tables.vips.length > FEW_VIPS ? 1 : BACKUPS;
  const backups = rankedBackups(holders, desired, limit);
  const addresses = tables.vips.map((vip): VipStatus => {
    const { holder, home } = holders.get(vip) ?? { holder: NO_NODE, home: NO_NODE };
    const [node, homeName] = [nameOf(holder), nameOf(home)];
    return {
      vip,
      ...(node === undefined ? {} : { node }),
      ...(homeName === undefined ? {} : { home: homeName }),
      backups: (backups.get(vip) ?? []).flatMap((id) => nameOf(id) ?? []),
    };
  });
  return { spread: true, addresses };
}
