// keepalived.conf to a configuration: golden examples, every block, and every way in which a line can be wrong.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { loadConfig } from "../load.ts";
import { compose, type ComposeOptions } from "./compose.ts";
import { readKeepalived } from "./keepalived.ts";
import type { ReadFiles } from "./keepalived-lines.ts";
import { formatNote } from "./model.ts";

const OPTIONS: ComposeOptions = { clusterName: "web", nodes: [], source: "k.conf" };
const none: ReadFiles = () => undefined;

function imported(text: string, options: Partial<ComposeOptions> = {}, readFiles = none) {
  const { yaml, notes } = compose(readKeepalived(text, "k.conf", readFiles), {
    ...OPTIONS,
    ...options,
  });
  const loaded = loadConfig(yaml, "composed");
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return { yaml, config: loaded.config, notes: notes.map(formatNote) };
}

const examples = new URL("../../../examples/import/", import.meta.url).pathname;
const fromExamples: ReadFiles = (pattern) =>
  globSync(pattern, { cwd: examples })
    .sort()
    .map((file) => ({ file, text: readFileSync(path.join(examples, file), "utf8") }));

test("import keepalived: the example gives exactly this configuration, and says what does not map", () => {
  const text = readFileSync(path.join(examples, "keepalived.conf"), "utf8");
  const web1 = { name: "web1", address: ip("10.0.0.11"), others: [ip("fd00::11")] };
  const { yaml, notes } = imported(text, { nodes: [web1] }, fromExamples);
  assert.equal(
    yaml,
    `# Imported from k.conf by \`pan import\`; its messages say what has no counterpart here.
cluster:
  name: web
  interface: "eth0"
nodes:
  - { name: web1, id: 1, address: 10.0.0.11 }
  - { name: n1, id: 2, address: 10.0.0.12 }
  - { name: n2, id: 3, address: 10.0.0.20 }
groups:
  # k.conf:47
  - name: http
    policy: sticky
    nodes:
      - { name: web1, weight: 3 }
      - { name: n1, weight: 1 }
    health: {"checks":[{"name":"http","type":"http","status":"200","path":"/health","port":80}],"intervalMs":6000,"timeoutMs":3000,"rise":1,"fall":2}
    whenNone: sorry
    sorry: n2
    services:
      - "tcp 10.0.0.100:80"
      - "tcp 10.0.0.102:80"
      - "tcp 10.0.0.103:80"
  # services/dns.conf:2
  - name: dns
    policy: weighted
    balance: packets
    nodes:
      - { name: web1, weight: 1 }
    health: {"checks":[{"name":"script","type":"script","command":["/usr/local/bin/ask-dns","fd00::11"]}],"intervalMs":60000,"timeoutMs":5000,"rise":1,"fall":2}
    services:
      - "udp [fd00::100]:53"
vips:
  - "10.0.0.101"
`,
  );
  assert.deepEqual(
    notes.map((note) => note.split(": ").slice(0, 3).join(": ")),
    readFileSync(path.join(examples, "keepalived.notes"), "utf8").trimEnd().split("\n"),
  );
});

const server = (inside: string, real = ""): string => `virtual_server 10.0.0.100 80 {
${inside}
real_server 10.0.0.11 80 {
${real}
}
}`;

test("import keepalived: braces on lines of their own, in one line, quotes and comments mean the same", () => {
  const plain = server("lb_algo sh\nlb_kind DR\nprotocol TCP", "weight 7");
  const other = `virtual_server 10.0.0.100 80 ! the web
{ lb_algo "sh" # by source
  lb_kind DR
  protocol \\
    tcp
  real_server '10.0.0.11' 80 { weight 7 } }`;
  assert.deepEqual(imported(other).config, imported(plain).config);
  assert.deepEqual(imported(plain).notes, []);
});

test("import keepalived: what keepalived does when nothing is said: wlc, NAT, TCP, weight 1", () => {
  const { config, notes } = imported(
    "virtual_server 10.0.0.100 80 {\nreal_server 10.0.0.11 80 {\n}\n}",
  );
  const [group] = config.groups;
  assert.deepEqual(
    [group?.policy, group?.balance, group?.nodes],
    ["weighted", "packets", [{ name: "n1", weight: 1 }]],
  );
  assert.deepEqual(
    notes.map((note) => note.split(": ")[2]),
    ["scheduler wlc", "masquerading"],
  );
});

const QUIET = "lb_algo sh\nlb_kind DR";
/** A line of the file, and what is said about it. */
const UNMAPPED: readonly [string, RegExp][] = [
  [server(`${QUIET}\nalpha`), /^k.conf:4: dropped: alpha: /],
  [server(`${QUIET}\nsorry_server 10.0.0.9 80`), /^k.conf:4: differs: sorry server 10.0.0.9: /],
  [server(`${QUIET}\nquorum 2`), /^k.conf:4: dropped: quorum 2: /],
  [server("lb_algo sh\nlb_kind TUN"), /differs: tunnel: .* behind a router `delivery: ipip` /],
  [
    server(QUIET, "PING_CHECK {\nretry 2\n}"),
    /^k.conf:5: dropped: PING_CHECK, with everything in it: /,
  ],
  [
    server(QUIET, "SURPRISE {\nx\n}"),
    /^k.conf:5: dropped: SURPRISE, with everything in it: not known to this importer/,
  ],
  [server(`${QUIET}\nconstructor 1`), /^k.conf:4: dropped: constructor 1: not known/],
  [
    server(QUIET, `HTTP_GET {\nvirtualhost "a b"\nurl {\n}\n}`),
    /^k.conf:4: dropped: its http check: /,
  ],
  ["surprise 1", /^k.conf:1: dropped: surprise 1: not known/],
  ["global_defs {\nrouter_id a\n}", /^k.conf:2: dropped: router_id a: /],
  ["vrrp_instance a {\nstate MASTER\n}", /^k.conf:2: dropped: state MASTER: the members elect/],
  [
    "vrrp_instance a {\nunicast_peer {\n10.0.0.2\n}\n}",
    /^k.conf:2: dropped: unicast_peer, with everything in it: /,
  ],
  [
    "vrrp_sync_group g {\ngroup {\na\n}\n}",
    /^k.conf:1: dropped: vrrp_sync_group g, with everything in it: /,
  ],
  [
    "virtual_server fwmark 3 {\nlb_algo rr\n}",
    /^k.conf:1: dropped: virtual_server fwmark 3, with everything in it: /,
  ],
  [
    server("protocol SCTP"),
    /^k.conf:1: dropped: virtual server, with its real servers: protocol SCTP/,
  ],
  [
    "vrrp_instance a {\ninterface eth0\ninterface eth1\n}",
    /^k.conf:3: differs: interface eth1: .*cluster.arms/,
  ],
  [
    "vrrp_instance a {\nvirtual_ipaddress {\n10.0.0.1/24\n}\n}",
    /^k.conf:3: differs: 10.0.0.1\/24: /,
  ],
  ["vrrp_instance a {\nvirtual_ipaddress {\n10.0.0.1 dev e9\n}\n}", /^k.conf:3: differs: dev e9: /],
  [
    "vrrp_instance a {\nvirtual_ipaddress {\n10.0.0.1 scope global\n}\n}",
    /^k.conf:3: dropped: scope global: /,
  ],
];
for (const [text, expected] of UNMAPPED) {
  test(`import keepalived: what does not map is said: ${expected}`, () => {
    assert.match(imported(text).notes.join("\n"), expected);
  });
}

const WRONG: readonly [string, number, RegExp][] = [
  ["virtual_server 10.0.0.100 80 {\nlb_algo rr", 1, /no end; add its "}"/],
  ["}\n", 1, /no block is open/],
  ["{\n}", 1, /no name/],
  ['router "a', 1, /quoted string has no end/],
  ["$A=1\nx $A $B", 2, /\$B is not defined above/],
  ["@main vrrp_instance a {\n}", 1, /depend on how keepalived is started/],
  ["include nowhere.conf", 1, /no such file/],
  ["include", 1, /names no file/],
  ["virtual_server example.org 80 {\n}", 1, /write an address and a port/],
  ["virtual_server 10.0.0.1 http {\n}", 1, /write an address and a port/],
  ["virtual_server group nobody {\n}", 1, /no virtual_server_group nobody/],
  [server("lb_kind BRIDGE"), 2, /write NAT, DR or TUN/],
  [server("lb_algo"), 2, /name the scheduler/],
  [server("", "weight heavy"), 4, /give a number, 0 to 65535/],
  [server("delay_loop often"), 2, /give a number of seconds/],
  [server("sorry_server nobody"), 2, /write an address and a port/],
  [server("", "TCP_CHECK {\nconnect_port http\n}"), 5, /give a port, 1 to 65535/],
  [server("", "HTTP_GET {\nurl {\nstatus_code fine\n}\n}"), 6, /codes like 200/],
  ["virtual_server 10.0.0.1 80 {\nreal_server nobody 80 {\n}\n}", 2, /write an address and a port/],
  ["virtual_server_group g {\n10.0.0.20-10 80\n}", 2, /no range like/],
  ["virtual_server_group g {\n10.0.0.1 http\n}", 2, /port "http"/],
  ["vrrp_instance a {\nvirtual_ipaddress {\nnobody\n}\n}", 3, /"nobody" is no IP address/],
];
for (const [text, line, expected] of WRONG) {
  test(`import keepalived: a line that cannot be read is named: ${JSON.stringify(text)}`, () => {
    const wrong = readKeepalived(text, "k.conf", none).notes.filter(({ kind }) => kind === "wrong");
    assert.deepEqual(
      wrong.map((note) => note.line),
      [line],
    );
    assert.match(wrong[0]?.text ?? "", expected);
  });
}

/** A real server's checks, and what becomes of them. */
const CHECKS: readonly [string, object][] = [
  ["TCP_CHECK {\n}", { name: "tcp", type: "tcp", port: 80 }],
  ["TCP_CHECK {\nconnect_port 81\n}", { name: "tcp", type: "tcp", port: 81 }],
  ["SMTP_CHECK {\n}", { name: "tcp", type: "tcp", port: 80 }],
  ["UDP_CHECK {\n}", { name: "udp", type: "udp", port: 80, target: "local" }],
  ["HTTP_GET {\n}", { name: "http", type: "http", status: "200-299", port: 80 }],
  [
    "SSL_GET {\nvirtualhost a.example\nurl {\npath /up\nstatus_code 200-204\n}\n}",
    {
      ...{ name: "https", type: "https", verify: false, status: "200-204" },
      ...{ host: "a.example", path: "/up", port: 80 },
    },
  ],
  [
    'MISC_CHECK {\nmisc_path "/usr/bin/ask 10.0.0.11"\n}',
    { name: "script", type: "script", command: ["/usr/bin/ask", "10.0.0.11"] },
  ],
];
for (const [text, expected] of CHECKS) {
  test(`B7: import keepalived: ${JSON.stringify(text)} is a check of the group`, () => {
    const { config } = imported(server(QUIET, text));
    assert.deepEqual(config.groups[0]?.health?.checks, [expected]);
  });
}

test("B7: import keepalived: times of checks: of the check, else of the virtual server, else as keepalived has them", () => {
  const times = (outside: string, inside: string): unknown => {
    const { health } = imported(server(`${QUIET}\n${outside}`, `TCP_CHECK {\n${inside}\n}`)).config
      .groups[0] ?? { health: undefined };
    return [health?.intervalMs, health?.timeoutMs, health?.rise, health?.fall];
  };
  assert.deepEqual(times("", ""), [60_000, 5000, 1, 2]);
  assert.deepEqual(times("delay_loop 2.5\nconnect_timeout 3\nretry 4", ""), [2500, 3000, 1, 5]);
  assert.deepEqual(times("connect_timeout 3", "connect_timeout 1\nretry 0"), [60_000, 1000, 1, 1]);
});

test("B7: import keepalived: checks for real servers that have none of their own, and what differs is said", () => {
  const { config, notes } = imported(`virtual_server 10.0.0.100 80 {
${QUIET}
TCP_CHECK {
}
real_server 10.0.0.11 80 {
}
real_server 10.0.0.12 80 {
HTTP_GET {
}
}
}`);
  assert.deepEqual(config.groups[0]?.health?.checks, [{ name: "tcp", type: "tcp", port: 80 }]);
  assert.match(notes.join("\n"), /^k.conf:8: differs: checks of 10.0.0.12: .* those of 10.0.0.11/m);
});

test("B7: import keepalived: a sorry server on another port is one here, too, unless it is a real server", () => {
  const server = (sorry: string): string =>
    "virtual_server 10.0.0.100 80 {\nlb_algo rr\nlb_kind DR\nprotocol TCP\n" +
    `sorry_server ${sorry}\nreal_server 10.0.0.11 80 {\nweight 1\n}\n}\n`;
  const apart = imported(server("10.0.0.20 8080"));
  assert.equal(apart.config.groups[0]?.sorryPort, 8080);
  assert.equal(apart.config.datapath.hook, "tc");
  const noted = /differs: sorry server 10.0.0.20: its port 8080 needs `datapath: \{ hook: tc \}`/;
  assert.match(apart.notes.join("\n"), noted);
  const same = imported(server("10.0.0.20 80"));
  assert.equal(same.config.groups[0]?.sorryPort, undefined);
  assert.doesNotMatch(same.notes.join("\n"), /hook: tc/);
  const both = imported(server("10.0.0.11 8080"));
  assert.equal(both.config.groups[0]?.sorryPort, undefined);
  assert.match(both.notes.join("\n"), /sorry server 10.0.0.11: it is a real server, too/);
});

test("B10: import keepalived: nopreempt needs nothing, and what makes a node take over again is said", () => {
  const instance = (line: string): string =>
    `vrrp_instance a {\n interface eth0\n virtual_ipaddress {\n 10.0.0.100\n }\n ${line}\n}\n`;
  assert.deepEqual(imported(instance("nopreempt")).notes, []);
  const [note = ""] = imported(instance("preempt_delay 300")).notes;
  assert.match(
    note,
    /dropped: preempt_delay 300: a node that returns does not become master again/,
  );
});

test("import keepalived: ranges in both families", () => {
  const { config } = imported(`virtual_server_group g {
10.0.0.9-11 80
fd00::fe-100 80
}
virtual_server group g {
${QUIET}
real_server 10.0.0.1 80 {
}
}`);
  assert.deepEqual(
    config.groups[0]?.services.map(({ vip }) => vip),
    ["10.0.0.9", "10.0.0.10", "10.0.0.11", "fd00::fe", "fd00::ff", "fd00::100"],
  );
});

test("import keepalived: files that include each other end in a message, not in a loop", () => {
  const again: ReadFiles = () => [
    { file: "loop.conf", text: "include loop.conf\ninclude loop.conf" },
  ];
  const { notes } = readKeepalived("include loop.conf", "k.conf", again);
  assert.ok(notes.some(({ text }) => /more than 16 deep/.test(text)));
  assert.ok(notes.some(({ text }) => /more than 1000 files/.test(text)));
});

/** The lines at which the blocks begin that are open before each line. */
function openBlocks(lines: readonly string[]): number[][] {
  const stack: number[] = [];
  return [...lines, ""].map((line, index) => {
    const open = [...stack];
    if (/\{\s*$/.test(line)) stack.push(line.trim() === "{" ? index : index + 1);
    if (/\}\s*$/.test(line) && !line.includes("{")) stack.pop();
    return open;
  });
}

test("import keepalived: nothing is lost silently: a statement put anywhere is in the notes, or in a block that is", () => {
  const lines = readFileSync(path.join(examples, "keepalived.conf"), "utf8").split("\n");
  const open = openBlocks(lines);
  for (let at = 0; at <= lines.length; at++) {
    const changed = [...lines.slice(0, at), "unheard_of 1", ...lines.slice(at)].join("\n");
    const notes = readKeepalived(changed, "k.conf", fromExamples).notes;
    const isNamed = notes.some(({ text }) => text.startsWith("unheard_of"));
    const isCovered = notes.some(
      ({ line, text }) =>
        text.includes("with everything in it") && open[at]?.includes(line) === true,
    );
    assert.ok(isNamed || isCovered, `line ${at + 1}: ${JSON.stringify(notes.slice(-3))}`);
  }
});
