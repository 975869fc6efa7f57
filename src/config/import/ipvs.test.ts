// `ipvsadm -S -n` to a configuration: golden examples, every option, and every way in which a line can be wrong.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { loadConfig } from "../load.ts";
import { compose, type ComposeOptions } from "./compose.ts";
import { readIpvs } from "./ipvs.ts";
import { formatNote } from "./model.ts";

const OPTIONS: ComposeOptions = { clusterName: "web", nodes: [], source: "rules" };

function imported(text: string, options: Partial<ComposeOptions> = {}) {
  const { yaml, notes } = compose(readIpvs(text, "rules"), { ...OPTIONS, ...options });
  const loaded = loadConfig(yaml, "composed");
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return { yaml, config: loaded.config, notes: notes.map(formatNote) };
}

const example = (name: string): string =>
  readFileSync(new URL(`../../../examples/import/${name}`, import.meta.url), "utf8");

test("import ipvs: the example gives exactly this configuration, and says what differs", () => {
  const { yaml, notes } = imported(example("rules.ipvs"), {
    interface: "eth1",
    nodes: [{ name: "web1", address: ip("10.0.0.11"), others: [ip("fd00::11")] }],
  });
  assert.equal(
    yaml,
    `# Imported from rules by \`pan import\`; its messages say what has no counterpart here.
cluster:
  name: web
  interface: "eth1"
nodes:
  - { name: web1, id: 1, address: 10.0.0.11 }
  - { name: n1, id: 2, address: 10.0.0.12 }
groups:
  # rules:3, rules:6
  - name: http
    policy: weighted
    nodes:
      - { name: web1, weight: 3 }
      - { name: n1, weight: 1 }
    services:
      - "tcp 10.0.0.100:80"
      - "tcp 10.0.0.100:8080"
  # rules:9
  - name: https
    policy: sticky
    nodes:
      - { name: web1, weight: 1 }
      - { name: n1, weight: 0 }
    services:
      - "tcp 10.0.0.100:443"
  # rules:12
  - name: dns
    policy: weighted
    balance: packets
    nodes:
      - { name: web1, weight: 1 }
    services:
      - "udp [fd00::100]:53"
`,
  );
  assert.deepEqual(
    notes.map((note) => note.split(": ").slice(0, 3).join(": ")),
    [
      "rules:3: differs: scheduler wrr",
      "rules:6: differs: scheduler wrr",
      "rules:8: differs: port 80",
      "rules:8: differs: masquerading",
      "rules:9: differs: -p 300",
      "rules:9: differs: scheduler rr",
      "rules:12: differs: scheduler wlc",
      "rules:14: dropped: virtual server -f 7, with its real servers",
    ],
  );
});

test("import ipvs: long options, equals signs, ipvsadm in front and comments mean the same", () => {
  const short = "-A -t 10.0.0.100:80 -s sh -p 60\n-a -t 10.0.0.100:80 -r 10.0.0.11:80 -g -w 5\n";
  const long = `# made by hand
/sbin/ipvsadm --clear
ipvsadm --add-service --tcp-service=10.0.0.100:80 --scheduler sh --persistent=60

ipvsadm --add-server --tcp-service 10.0.0.100:80 --real-server=10.0.0.11 --gatewaying --weight 5 # ok
`;
  assert.deepEqual(imported(long).config, imported(short).config);
});

const server = (rest: string): string =>
  `-A -t 10.0.0.100:80 ${rest}\n-a -t 10.0.0.100:80 -r 10.0.0.11:80`;

const POLICIES: readonly [string, string, string][] = [
  ["-s rr", "weighted", "weights"],
  ["-s wlc", "weighted", "packets"],
  ["", "weighted", "packets"],
  ["-s sh", "sticky", "weights"],
  ["-s sh -b sh-port", "weighted", "weights"],
  ["-s mh -b mh-fallback,mh-port", "weighted", "weights"],
  ["-s mh", "sticky", "weights"],
  ["-s rr -p", "sticky", "weights"],
  ["-s dh", "weighted", "weights"],
  ["-s constructor", "weighted", "weights"],
];
for (const [rest, policy, balance] of POLICIES) {
  test(`import ipvs: "${rest}" is ${policy}, balance ${balance}`, () => {
    const [group] = imported(server(rest)).config.groups;
    assert.deepEqual([group?.policy, group?.balance], [policy, balance]);
  });
}

test("import ipvs: port 0 is every port, and keeps a client on one node", () => {
  const { config, notes } = imported("-A -t 10.0.0.100:0 -s rr\n-a -t 10.0.0.100:0 -r 10.0.0.11:0");
  assert.equal(config.groups[0]?.policy, "wildcard-sticky");
  assert.deepEqual(config.groups[0]?.services, [
    { protocol: "tcp", vip: "10.0.0.100", port: "any" },
  ]);
  assert.ok(notes.some((note) => note.includes("port 0")));
});

test("import ipvs: weights above ours keep their proportion; 0 stays 0", () => {
  const rules = [
    "-A -t 10.0.0.100:80 -s wrr",
    ...[50_000, 25_000, 1, 0].map(
      (weight, i) => `-a -t 10.0.0.100:80 -r 10.0.0.1${i}:80 -w ${weight}`,
    ),
  ];
  const { nodes } = imported(rules.join("\n")).config.groups[0] ?? {};
  assert.deepEqual(nodes === "all" ? [] : nodes?.map(({ weight }) => weight), [1000, 500, 1, 0]);
});

const UNMAPPED: [string, RegExp][] = [
  [server("-M 255.255.255.0 -p"), /^rules:1: dropped: -M 255.255.255.0: /m],
  [server("--pe sip -p"), /^rules:1: dropped: --pe sip: /m],
  [`${server("-s sh")} -x 100 -y 50`, /^rules:2: dropped: -x 100: [^]*^rules:2: dropped: -y 50: /m],
  [
    `${server("-s sh")} -i`,
    /^rules:2: differs: tunnel: .* behind a router `delivery: ipip` in `nodes` \(docs\/howto\/beyond-the-segment.md\)$/m,
  ],
  [
    `${server("-s sh")} -i --tun-type gue --tun-port 6080`,
    /^rules:2: dropped: --tun-type gue: .*`delivery`.*geneve[^]*^rules:2: differs: tunnel: /m,
  ],
  [`${server("-s sh")} -m`, /^rules:2: differs: masquerading: .*let the server listen/m],
  [
    "-A --sctp-service 10.0.0.1:80 -s rr\n-a --sctp-service 10.0.0.1:80 -r 10.0.0.2:80",
    /SCTP.*"any ADDRESS"/,
  ],
  [
    `${server("-s sh")}\n-a -t 10.0.0.100:80 -r 127.0.0.1:80`,
    /^rules:3: dropped: real server 127.0.0.1: the load balancer itself; .*--node/m,
  ],
  [
    `${server("-s sh")}\n-a -t 10.0.0.100:80 -r [fd00::9]:80`,
    /^rules:3: dropped: real server fd00::9: .*--node NAME=IPV4,fd00::9/m,
  ],
  [
    `${server("-s sh")}\n-a -t 10.0.0.100:80 -r 10.0.0.11:81`,
    /^rules:3: dropped: 10.0.0.11 serves .* twice/m,
  ],
  [
    "-A -t [fd00::1]:80 -s sh\n-a -t [fd00::1]:80 -r [fd00::9]:80",
    /^rules:1: dropped: the virtual server: no real server/m,
  ],
  [
    "-A -t 10.0.0.100:80 -s sh",
    /^rules:1: dropped: the virtual server: no real server of it is a node/m,
  ],
  [
    `${server("-s sh")}\n-A -t 10.0.0.11:80 -s sh\n-a -t 10.0.0.11:80 -r 10.0.0.12:80`,
    /^rules:3: dropped: 10.0.0.11 is also a real server/m,
  ],
];
UNMAPPED.push(
  [`${server("-s sh")} -w 0`, /^rules:1: dropped: the virtual server: every weight is 0/m],
  [
    "-A -t 239.0.0.1:80 -s sh\n-a -t 239.0.0.1:80 -r 10.0.0.11:80",
    /^rules:1: dropped: 239.0.0.1 is multicast; /m,
  ],
  [
    `${server("-s sh")}\n-a -t 10.0.0.100:80 -r 0.0.0.0:80`,
    /^rules:3: dropped: real server 0.0.0.0: it is unspecified/m,
  ],
);
for (const [rules, expected] of UNMAPPED) {
  test(`import ipvs: what does not map is said: ${expected}`, () => {
    assert.match(imported(rules).notes.join("\n"), expected);
  });
}

const WRONG: readonly [string, RegExp][] = [
  ["-D -t 10.0.0.1:80", /"-D" is no option/],
  ["hello", /"hello" is no option of ipvsadm/],
  ["-t 10.0.0.1:80", /is no -A \(virtual server\) or -a/],
  ["-A -s rr", /names no virtual server/],
  ["-A -t 10.0.0.1:80 -u 10.0.0.1:80", /two virtual servers, -t and -u/],
  ["-A -t example.org:80", /is no address with a port.*option -n/],
  ["-A -t 10.0.0.1:http", /port "http".*option -n/],
  ["-A -t 10.0.0.1:70000", /port "70000"/],
  ["-A -t fd00::1:80", /is no address with a port/],
  ["-A -t", /-t has no value/],
  ["-A -t 10.0.0.1:80 -t 10.0.0.1:80", /given twice/],
  ["-a -t 10.0.0.1:80 -r 10.0.0.2:80", /no virtual server -t 10.0.0.1:80 above/],
  ["-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80", /-a without -r/],
  ["-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2 -w many", /-w many: give a number/],
  ["-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2 -g -m", /-g and -m contradict/],
  ["-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.1:80 -s rr", /is there already/],
];
for (const [rules, expected] of WRONG) {
  test(`import ipvs: a line that cannot be read is named: ${JSON.stringify(rules)}`, () => {
    const { notes } = readIpvs(rules, "rules");
    const line = rules.split("\n").length;
    const wrong = notes.filter(({ kind }) => kind === "wrong");
    assert.deepEqual(
      wrong.map((note) => note.line),
      [line],
    );
    assert.match(wrong[0]?.text ?? "", expected);
  });
}
