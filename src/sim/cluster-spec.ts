// What the simulated cluster serves: two VIPs, a weighted group of TCP services, a sticky one, one that pins UDP sessions and goes by
// health checks, and one whose slots are assigned when packets want them, with few slots, so that every slot can be looked at after every change.
import { ip, type IpAddress } from "#base/address.ts";
import { type AdmittedNode, DEFAULT_DETECTION } from "#core/membership/protocol.ts";
import type { ClusterSpec } from "#core/node/cluster-spec.ts";
import { configOf, type ClusterConfig } from "./cluster-config.ts";

export const VIP: IpAddress = ip("10.77.0.100");
export const OTHER_VIP: IpAddress = ip("10.77.0.101");
export const VIPS: readonly IpAddress[] = [VIP, OTHER_VIP];
export const WEB_PORT = 80;
export const WEB_SLOTS = 32;
const STICKY_SLOTS = 8;
export const NAME_PORT = 53;
/** Only nodes whose instance is found well serve it (B7). */
export const CHECKED_GROUP = "names";
const NAME_SLOTS = 8;
/** Its slots get an owner when a packet wants one (A15). */
export const LAZY_PORT = 8080;
const LAZY_SLOTS = 8;
/** Longer than anything keeps a packet from a session's node that is to find it (B12). */
export const SESSION_IDLE_MS = 20_000;

export function specOf(admitted: readonly AdmittedNode[]): ClusterSpec {
  const nodes = admitted.map(({ id }) => ({ id, weight: 10 }));
  const rules = { assignment: "eager", balance: "weights" } as const;
  const web = [{ protocol: "tcp", vip: VIP, port: WEB_PORT }] as const;
  const names = [{ protocol: "udp", vip: VIP, port: NAME_PORT }] as const;
  const lazy = [{ protocol: "tcp", vip: VIP, port: LAZY_PORT }] as const;
  const other = [{ protocol: "tcp", vip: OTHER_VIP, port: "any" }] as const;
  return {
    method: "forward",
    hash: "keyed",
    vips: VIPS,
    drained: [],
    groups: [
      { name: "web", policy: "weighted", slots: WEB_SLOTS, services: web, nodes, ...rules },
      {
        name: "other",
        policy: "wildcard-sticky",
        slots: STICKY_SLOTS,
        services: other,
        nodes,
        ...rules,
      },
      {
        name: CHECKED_GROUP,
        policy: "weighted",
        slots: NAME_SLOTS,
        services: names,
        nodes,
        ...rules,
        udpIdleMs: SESSION_IDLE_MS,
        checked: true,
      },
      {
        name: "lazy",
        policy: "weighted",
        slots: LAZY_SLOTS,
        services: lazy,
        nodes,
        ...{ assignment: "lazy", balance: "weights" },
      },
    ],
  };
}

/** VIPs are spread over the nodes (B10). */
export const spreadConfig = (admitted: readonly AdmittedNode[]): ClusterConfig => {
  const { version: _version, ...content } = firstConfig(admitted);
  const interfaceNodes = { nodes: admitted.map(({ id }) => ({ id, weight: 1 })), ranked: [] };
  return configOf(1, { ...content, spec: { ...content.spec, interfaceNodes } });
};

export const firstConfig = (admitted: readonly AdmittedNode[]): ClusterConfig =>
  configOf(1, {
    admitted,
    revoked: [],
    detection: DEFAULT_DETECTION,
    spec: specOf(admitted),
  });
