// The lab that `npm start`, the tests and the benchmarks use: members with a web server each, and a
// client, on one switch.
import type { Host, Program, Route, Topology } from "./topology.ts";

export interface StandardMember {
  readonly name: string;
  /** 1 for the first. */
  readonly number: number;
  readonly address4: string;
  readonly address6: string;
  /** It is behind the router, on another segment (STANDARD.beyond). */
  readonly remote?: true;
}

export interface StandardOptions {
  readonly members: number;
  /** Programs that a member runs besides nginx, started before it: its agent. */
  readonly programs?: (member: StandardMember) => readonly Program[];
  /** Members have a second interface, on a second switch (STANDARD.inside): a gateway between two networks. */
  readonly twoArmed?: boolean;
  /** Members also have so many private interfaces, each on a switch of its own (STANDARD.path): paths to each other. */
  readonly paths?: number;
  /** So many of the members, the last ones, are behind a router. */
  readonly remote?: number;
  /** Hosts on the same switch besides the members and the client c1. */
  readonly extraHosts?: readonly Host[];
  readonly mtu?: number;
}

export const STANDARD = {
  switch: "sw",
  client: "c1",
  interface: "eth0",
  /** Addresses that the agents own and announce; the lab itself gives them to nobody. */
  vip4: "10.77.0.100",
  vip6: "fd77::100",
  client4: "10.77.0.2",
  client6: "fd77::2",
  /** The second network of two-armed members: m1 has 10.88.0.11 and fd88::11 there. */
  inside: { switch: "in", interface: "eth1", vip4: "10.88.0.100", vip6: "fd88::100" },
  /** The second segment, of members behind the router: m3 has 10.99.0.13 and fd99::13 there. */
  beyond: { switch: "far", router: "r1", gateway4: "10.99.0.254", gateway6: "fd99::254" },
  /** The router's addresses on the first segment. */
  router4: "10.77.0.254",
  router6: "fd77::254",
  /** pa1 … paN on the switches pa1 … paN; no addresses. */
  path: (number: number): string => `pa${number}`,
  prefix4: 24,
  prefix6: 64,
} as const;

const MOST_MEMBERS = 80;

/** m1 … mN: 10.77.0.11 and fd77::11 for the first. The IPv6 group repeats the IPv4 octet's digits. */
export function standardMembers(count: number, remote = 0): StandardMember[] {
  if (!Number.isInteger(count) || count < 1 || count > MOST_MEMBERS) {
    throw new RangeError(`A standard lab has 1 to ${MOST_MEMBERS} members, not ${count}`);
  }
  return Array.from({ length: count }, (_, index) => {
    const isRemote = index >= count - remote;
    const network = isRemote ? 99 : 77;
    return {
      name: `m${index + 1}`,
      number: index + 1,
      address4: `10.${network}.0.${11 + index}`,
      address6: `fd${network}::${11 + index}`,
      ...(isRemote ? { remote: true } : {}),
    };
  });
}

/** Between the two segments. Answers of a VIP come to it from where no VIP is: it must not mind (rp_filter). */
function router(): Host {
  const { beyond, interface: name, prefix4, prefix6, router4, router6 } = STANDARD;
  const link = (segment: string, port: string, address4: string, address6: string) => ({
    switch: segment,
    interface: port,
    addresses: [`${address4}/${prefix4}`, `${address6}/${prefix6}`],
  });
  return {
    name: beyond.router,
    links: [
      link(STANDARD.switch, name, router4, router6),
      link(beyond.switch, "eth1", beyond.gateway4, beyond.gateway6),
    ],
    sysctls: {
      "net.ipv4.ip_forward": "1",
      "net.ipv6.conf.all.forwarding": "1",
      "net.ipv4.conf.all.rp_filter": "0",
      "net.ipv4.conf.eth0.rp_filter": "0",
      "net.ipv4.conf.eth1.rp_filter": "0",
    },
  };
}

const routesOf = ({ remote }: StandardMember): Route[] => {
  const { beyond, router4 } = STANDARD;
  if (remote !== true) return [{ to: "10.99.0.0/24", via: router4 }];
  return [beyond.gateway4, beyond.gateway6].map((via) => ({ to: "default", via }));
};

/** The same host's address in the second network. */
export const insideAddress = (address: string): string =>
  address.replace(/^10\.77\./, "10.88.").replace(/^fd77:/, "fd88:");

/** Members with nginx (and what `programs` adds), the client c1 and the switch sw. */
export function standardTopology(options: StandardOptions): Topology {
  const mtu = options.mtu === undefined ? {} : { mtu: options.mtu };
  const link = (address4: string, address6: string) => ({
    switch: STANDARD.switch,
    interface: STANDARD.interface,
    addresses: [`${address4}/${STANDARD.prefix4}`, `${address6}/${STANDARD.prefix6}`],
    ...mtu,
  });
  const { inside } = STANDARD;
  const arm = ({ address4, address6 }: StandardMember) => ({
    ...link(insideAddress(address4), insideAddress(address6)),
    switch: inside.switch,
    interface: inside.interface,
  });
  const twoArmed = options.twoArmed === true;
  const paths = Array.from({ length: options.paths ?? 0 }, (_, index) => STANDARD.path(index + 1));
  const privately = paths.map((name) => ({ switch: name, interface: name, ...mtu }));
  const remote = options.remote ?? 0;
  const members = standardMembers(options.members, remote).map((member) => ({
    name: member.name,
    ...(remote === 0 ? {} : { routes: routesOf(member) }),
    links: [
      {
        ...link(member.address4, member.address6),
        switch: member.remote === true ? STANDARD.beyond.switch : STANDARD.switch,
      },
      ...(twoArmed ? [arm(member)] : []),
      ...privately,
    ],
    run: [...(options.programs?.(member) ?? []), webServer()],
  }));
  const client = { name: STANDARD.client, links: [link(STANDARD.client4, STANDARD.client6)] };
  return {
    switches: [
      { name: STANDARD.switch },
      ...(twoArmed ? [{ name: inside.switch }] : []),
      ...paths.map((name) => ({ name })),
      ...(remote > 0 ? [{ name: STANDARD.beyond.switch }] : []),
    ],
    hosts: [...(remote > 0 ? [router()] : []), ...members, client, ...(options.extraHosts ?? [])],
  };
}

/** nginx with everything in the host's folder, so that many run side by side on one machine. */
export function webServer(): Program {
  return {
    name: "nginx",
    argv: ["nginx", "-p", "@DIR@", "-c", "@DIR@/nginx.conf", "-e", "@DIR@/nginx-error.log"],
    files: {
      "nginx.conf": NGINX_CONF,
      "www/64k": { sizeBytes: 64 * 1024 },
      "www/1m": { sizeBytes: 1024 * 1024 },
    },
    ready: { tcp: 80 },
  };
}

const NGINX_CONF = `daemon off;
user root;
worker_processes 1;
pid @DIR@/nginx.pid;
error_log @DIR@/nginx-error.log;
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path @DIR@/temp-body;
  proxy_temp_path @DIR@/temp-proxy;
  fastcgi_temp_path @DIR@/temp-fastcgi;
  uwsgi_temp_path @DIR@/temp-uwsgi;
  scgi_temp_path @DIR@/temp-scgi;
  server {
    listen 80 backlog=4096;
    listen [::]:80 backlog=4096;
    root @DIR@/www;
    add_header X-Served-By @HOST@;
    default_type application/octet-stream;
    location = /whoami { default_type text/plain; return 200 "@HOST@\\n"; }
  }
}
`;
