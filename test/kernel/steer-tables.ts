// Tables for the tests of the packet program's life: large enough that a kill meets a publish half-way.
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { NO_EXCEPTIONS, type GroupTable, type Tables } from "#core/steering/tables.ts";

const SLOTS = 16_384;
const NODES = 64;
const VIP = "10.77.0.100";

export const PUBLISHER_OPTIONS = { slotCapacity: 131_072, hook: "tc" } as const;

/** Owners, groups, services and VIPs differ from one version to the next. */
export function alternatingTables(counter: number): Tables {
  const odd = counter % 2;
  const groups = Array.from({ length: 3 }, (_, index): GroupTable => {
    const length = SLOTS >> (index * odd);
    const owners = new Uint16Array(length).map((__, slot) => 2 + ((slot + counter) % NODES));
    const former = new Uint16Array(length * 3).map((__, at) => (odd === 1 ? 2 + (at % NODES) : 0));
    const services = Array.from({ length: 200 }, (__, port) => ({
      protocol: "tcp" as const,
      vip: ip(VIP),
      port: 1000 + 300 * index + 7 * odd + port,
    }));
    return {
      name: `group-${index}`,
      policy: "weighted",
      holds: false,
      services,
      owners,
      former,
      home: owners,
      udpIdleMs: 0,
      exceptions: NO_EXCEPTIONS,
    };
  });
  return {
    version: { epoch: 1, counter, master: nodeId(1) },
    hashKey: [counter, 7],
    hash: "keyed",
    delivery: { method: "forward", primary: undefined },
    nodes: Array.from({ length: NODES }, (_, index) => ({
      id: nodeId(2 + index),
      mac: mac(`02:77:00:00:0${odd}:${(2 + index).toString(16).padStart(2, "0")}`),
    })),
    vips: [ip(VIP), ip(`10.77.0.${101 + odd}`)],
    groups,
  };
}
