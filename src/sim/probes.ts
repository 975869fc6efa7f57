// Where checkers and workloads look on. Every point of interest in a run is one method; a checker overrides what it needs.
import type { IpAddress } from "#base/address.ts";
import type { Ignored, Received } from "#core/membership/protocol.ts";
import type { Delivery, Tables } from "#core/steering/tables.ts";
import type { Message } from "#wire/cluster/message.ts";
import type { Heart, MembershipEvent } from "./heart.ts";
import type { SimNode } from "./node.ts";
import type { Packet } from "./packet.ts";

export interface Observer {
  /** A heart has sent a datagram. */
  sent?(heart: Heart, to: IpAddress | "everyone", message: Message): void;
  /** A proved message was given to the membership machine, which took or ignored it. */
  received?(heart: Heart, packet: Packet, received: Received, isTaken: boolean): void;
  /** A datagram proved nothing. */
  refused?(heart: Heart, packet: Packet, reason: string): void;
  ignored?(heart: Heart, reason: Ignored): void;
  /** Membership has decided something that the rest of the node learns of. */
  decided?(heart: Heart, event: MembershipEvent): void;
  installed?(node: SimNode, tables: Tables): void;
  /** The kernel holds later tables. */
  tablesRefused?(id: number, tables: Tables): void;
  /** A delta did not fit what it holds, so it asks for all of the tables. */
  tablesWanted?(node: SimNode): void;
  /** Started, ended, frozen, thawed. */
  nodeChanged?(node: SimNode): void;
  /** Told everybody that its MAC is that of these VIPs. */
  announced?(node: SimNode, vips: readonly IpAddress[], delivery: Delivery): void;
  /** A workload does something on purpose; faults say what they are. */
  fault?(what: string, detail?: unknown): void;
  /** Every SAMPLE_MS. */
  sample?(): void;
}

export type Probes = { readonly [Name in keyof Required<Observer>]: Required<Observer>[Name] };

type Method = (...args: never[]) => void;

/** One call for all that listen; nobody listens to most points, and these cost nothing. */
function fanOut(listeners: readonly Method[]): Method {
  const all = listeners as readonly ((...args: unknown[]) => void)[];
  const [first, second] = all;
  if (first === undefined) return () => {};
  if (second === undefined) return first;
  return (a?: unknown, b?: unknown, c?: unknown, d?: unknown) => {
    for (const listener of all) listener(a, b, c, d);
  };
}

const NAMES: readonly (keyof Observer)[] = [
  "sent",
  "received",
  "refused",
  "ignored",
  "decided",
  "installed",
  "tablesRefused",
  "tablesWanted",
  "nodeChanged",
  "announced",
  "fault",
  "sample",
];

export function probesOf(observers: readonly Observer[]): Probes {
  const entries = NAMES.map((name) => {
    const listeners = observers.flatMap((observer) => {
      const method: Method | undefined = observer[name];
      return method === undefined ? [] : [method.bind(observer)];
    });
    return [name, fanOut(listeners)];
  });
  return Object.fromEntries(entries) as Probes;
}
