// The hosts of the traffic benchmark: one client, and each way to spread its connections over two web servers.
// All on one switch; every web server is the same nginx with one worker.
//
//   c1 ── sw ── s1, s2             plain servers: reached directly (the client itself spreads its connections over
//          │                      both, by a route with two next hops), or through one of
//          ├─── haproxy, nginx     proxies, two threads or workers each
//          ├─── nft                DNAT by a hash of source address and port; answers return through it
//          └─── m1, m2             the cluster: the same web servers, each beside an agent
import { LabCluster } from "#lab/cluster.ts";
import { inhabitants } from "#lab/processes.ts";
import { startedProcesses } from "#lab/record.ts";
import { STANDARD, standardMembers, webServer } from "#lab/standard.ts";
import type { Host, Program } from "#lab/topology.ts";
import type { CpuGroups } from "./lib/cpu-groups.ts";

const SERVERS = [
  { name: "s1", address: "10.77.0.201" },
  { name: "s2", address: "10.77.0.202" },
];
const BACKENDS = SERVERS.map(({ address }) => `${address}:80`);
export const MEMBERS = 2;
const HAPROXY = "10.77.0.211";
const NGINX = "10.77.0.212";
/** An address of both servers, which the client reaches by the one or the other: ideal balancing, at no cost. */
const BOTH = "10.88.0.1";
/** The client's second network, whose way to the servers and back leads through the NAT only. */
const NAT = {
  inside: "10.77.0.213",
  outside: "10.79.0.1",
  client: "10.79.0.2",
  net: "10.79.0.0/24",
};
/** Ports of the VIP that only one member serves: with the port of the other than the master, all is forwarded. */
const portOfMember = (number: number): number => 80 + number;

/** Whose CPU time is told apart. */
export const CPU_GROUPS = ["client", "servers", "balancers", "agents"] as const;

/** A way from the client to the servers. */
export interface Way {
  readonly name: string;
  readonly kind: "direct" | "cluster" | "balancer";
  readonly url: string;
  /** How many share the work. One that has all of it is cheaper: it finds more to do each time it wakes. */
  readonly servers: 1 | 2;
}

export interface TrafficLabOptions {
  /** The lab's links hand over up to 64 KiB at once. No wire does, and whoever forwards so much looks cheap. */
  readonly largeFrames: boolean;
}

export class TrafficLab {
  readonly cluster: LabCluster;
  readonly ways: readonly Way[];
  readonly groups: CpuGroups;

  private constructor(cluster: LabCluster, groups: CpuGroups, master: string) {
    this.cluster = cluster;
    this.groups = groups;
    this.ways = waysOf(master);
  }

  /** Everything serves. Removed when this process ends, or by down(). */
  static async up(groups: CpuGroups, options: TrafficLabOptions): Promise<TrafficLab> {
    const cluster = await LabCluster.up({
      name: "bench-traffic",
      members: MEMBERS,
      groups: GROUPS,
      extraHosts: EXTRA_HOSTS,
      programs: () => [webServerOfOneMember()],
      downOnExit: true,
    });
    await prepareNetwork(cluster, options);
    await cluster.settled();
    place(cluster, groups);
    return new TrafficLab(cluster, groups, await cluster.master());
  }

  async down(): Promise<void> {
    await this.cluster.down();
  }
}

function waysOf(master: string): Way[] {
  const other = standardMembers(MEMBERS).find(({ name }) => name !== master)?.number ?? 0;
  const alone = `http://${STANDARD.vip4}:${portOfMember(other)}`;
  return [
    { name: "direct", kind: "direct", url: `http://${BOTH}`, servers: 2 },
    {
      name: "cluster",
      kind: "cluster",
      url: `http://${STANDARD.vip4}`,
      servers: 2,
    },
    { name: "nftables", kind: "balancer", url: `http://${NAT.outside}`, servers: 2 },
    { name: "HAProxy", kind: "balancer", url: `http://${HAPROXY}`, servers: 2 },
    { name: "nginx stream", kind: "balancer", url: `http://${NGINX}`, servers: 2 },
    { name: "direct, one server", kind: "direct", url: `http://${BACKENDS[0]}`, servers: 1 },
    { name: "cluster, all forwarded to one", kind: "cluster", url: alone, servers: 1 },
  ];
}

const GROUPS = `groups:
  - name: web
    services: ["tcp ${STANDARD.vip4}:80", "tcp [${STANDARD.vip6}]:80"]
${standardMembers(MEMBERS)
  .map(
    ({ name, number }) => `  - name: only-${name}
    nodes: [{ name: ${name} }]
    services: ["tcp ${STANDARD.vip4}:${portOfMember(number)}"]
`,
  )
  .join("")}`;

/** The standard web server once more, on the ports that one member serves alone. */
function webServerOfOneMember(): Program {
  const standard = webServer();
  const conf = standard.files?.["nginx.conf"];
  if (typeof conf !== "string") throw new Error("The standard web server has a configuration");
  const ports = standardMembers(MEMBERS).map(({ number }) => portOfMember(number));
  const listen = ports.map((port) => `listen ${port} backlog=4096;`).join(" ");
  return {
    ...standard,
    name: "nginx-alone",
    argv: standard.argv.map((word) => word.replace(/nginx(\.conf|-error)/, "nginx-alone$1")),
    files: {
      "nginx-alone.conf": conf
        .replace("listen 80 backlog=4096;", listen)
        .replace(/listen \[::\]:80 .*/, "")
        .replaceAll("@DIR@/nginx", "@DIR@/nginx-alone")
        .replaceAll("@DIR@/temp", "@DIR@/alone-temp"),
      "www/64k": standard.files?.["www/64k"] ?? "",
    },
    ready: { tcp: ports[0] ?? 0 },
  };
}

const host = (name: string, address: string, more: Partial<Host> = {}): Host => ({
  name,
  links: [{ switch: STANDARD.switch, addresses: [`${address}/${STANDARD.prefix4}`] }],
  ...more,
});

const HAPROXY_CONF = `global
  nbthread 2
  maxconn 8000
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen web
  bind :80 backlog 4096
  balance roundrobin
${BACKENDS.map((backend, index) => `  server s${index + 1} ${backend}`).join("\n")}
`;

const NGINX_STREAM_CONF = `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user root;
worker_processes 2;
pid @DIR@/nginx.pid;
error_log @DIR@/nginx-error.log;
events { worker_connections 8192; }
stream {
  upstream web { ${BACKENDS.map((backend) => `server ${backend};`).join(" ")} }
  server { listen 80 backlog=4096 reuseport; proxy_pass web; }
}
`;

const NAT_RULES = `table ip nat {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ip daddr ${NAT.outside} tcp dport 80 dnat to jhash ip saddr . tcp sport mod ${SERVERS.length} map { ${SERVERS.map(({ address }, index) => `${index} : ${address}`).join(", ")} }
  }
}
`;

const EXTRA_HOSTS: readonly Host[] = [
  ...SERVERS.map(({ name, address }) =>
    host(name, address, { routes: [{ to: NAT.net, via: NAT.inside }], run: [webServer()] }),
  ),
  host("haproxy", HAPROXY, {
    run: [
      {
        name: "haproxy",
        argv: ["haproxy", "-db", "-f", "@DIR@/haproxy.cfg"],
        files: { "haproxy.cfg": HAPROXY_CONF },
        ready: { tcp: 80 },
      },
    ],
  }),
  host("nginx", NGINX, {
    run: [{ ...webServer(), name: "nginx-stream", files: { "nginx.conf": NGINX_STREAM_CONF } }],
  }),
  {
    ...host("nft", NAT.inside),
    links: [
      {
        switch: STANDARD.switch,
        addresses: [`${NAT.inside}/${STANDARD.prefix4}`, `${NAT.outside}/24`],
      },
    ],
    sysctls: {
      "net.ipv4.ip_forward": "1",
      "net.ipv4.conf.all.send_redirects": "0",
      "net.ipv4.conf.eth0.send_redirects": "0",
    },
  },
];

/**
 * What topologies cannot say. Reno everywhere: another default of the machine may pace what it sends by timers,
 * which cost more than all that is measured here, and nothing is ever lost on this network.
 */
async function prepareNetwork({ lab }: LabCluster, options: TrafficLabOptions): Promise<void> {
  const must = async (name: string, command: string, input = ""): Promise<void> => {
    const { status, stderr } = await lab.exec(name, command.split(" "), { input });
    if (status !== 0) throw new Error(`"${command}" failed in ${name}: ${stderr.trim()}`);
  };
  for (const { name } of lab.topology.hosts) {
    await must(name, "sysctl -qw net.ipv4.tcp_congestion_control=reno");
    if (!options.largeFrames) await must(name, `ethtool -K ${STANDARD.interface} tso off gso off`);
  }
  for (const { name } of SERVERS) await must(name, `ip addr add ${BOTH}/32 dev lo`);
  const hops = SERVERS.map(({ address }) => `nexthop via ${address}`).join(" ");
  await must(STANDARD.client, "sysctl -qw net.ipv4.fib_multipath_hash_policy=1");
  await must(STANDARD.client, `ip route add ${BOTH}/32 ${hops}`);
  await must(STANDARD.client, `ip addr add ${NAT.client}/24 dev ${STANDARD.interface}`);
  await must("nft", "nft -f -", NAT_RULES);
}

/** Sorts everything that runs in the lab into the groups. */
function place({ lab, members }: LabCluster, groups: CpuGroups): void {
  const agents = startedProcesses(lab.name).filter(({ program }) => program === "agent");
  const isAgent = (pid: number): boolean => agents.some((agent) => agent.pid === pid);
  const servers = new Set([...members, ...SERVERS.map(({ name }) => name)]);
  for (const { name } of lab.topology.hosts) {
    for (const { pid } of inhabitants(lab.netns(name))) {
      const group = servers.has(name) ? "servers" : "balancers";
      groups.add(isAgent(pid) ? "agents" : group, pid);
    }
  }
}
