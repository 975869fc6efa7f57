// Which work set a connection is in (A14, A16), by the rules that the agent tells: the same hash as the packet program's.
import { parseIp, type IpAddress, ipBytes } from "#base/address.ts";
import { NO_TABLES } from "#base/ids.ts";
import { portWord } from "#core/steering/discriminator.ts";
import { slotOf } from "#core/steering/hash.ts";
import { indexTables, type IndexedTables } from "#core/steering/indexed-tables.ts";
import { type GroupTable, NO_EXCEPTIONS, POLICIES, type Protocol } from "#core/steering/tables.ts";
import type { Rules } from "#wire/applications/message.ts";
import { PROTOCOL_TCP } from "#wire/ipv4.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";

export interface Place {
  readonly group: string;
  readonly slot: number;
}

export class Placement {
  readonly #tables: IndexedTables;

  constructor(rules: Rules) {
    const groups = rules.groups.flatMap((group) => groupTable(group) ?? []);
    this.#tables = indexTables({
      version: NO_TABLES,
      delivery: { method: "forward", primary: undefined },
      hash: rules.hash,
      hashKey: rules.hashKey,
      nodes: [],
      vips: groups.flatMap(({ services }) => services.map(({ vip }) => vip)),
      groups,
    });
  }

  /** Undefined: no group serves it. */
  of({ vip, port, peer, peerPort }: ConnectionKey): Place | undefined {
    const destination = ipBytes(vip);
    const group = this.#tables.groupOf(PROTOCOL_TCP, destination, port);
    if (group === undefined) return undefined;
    const flow = {
      protocol: PROTOCOL_TCP,
      source: ipBytes(peer),
      destination,
      discriminator: portWord(peerPort),
    };
    const slot = slotOf(this.#tables, group.policy, flow, group.owners.length);
    return { group: group.name, slot };
  }
}

/** Only what a lookup needs; a policy that this version does not know is left out. */
function groupTable(rule: Rules["groups"][number]): GroupTable | undefined {
  const policy = POLICIES.find((known) => known === rule.policy);
  if (policy === undefined) return undefined;
  const services = rule.services.flatMap(({ protocol, vip, port }) => {
    const address: IpAddress | undefined = parseIp(vip);
    return address === undefined ? [] : [{ protocol: protocol as Protocol, vip: address, port }];
  });
  const owners = new Uint16Array(rule.total);
  const empty = new Uint16Array();
  return {
    ...{ name: rule.group, policy, services, owners, former: empty, holds: false, home: empty },
    exceptions: NO_EXCEPTIONS,
    udpIdleMs: 0,
  };
}
