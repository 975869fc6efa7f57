// Command lines from their words to the agent and back: what is asked, what is printed, the exit status.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { APPLICATIONS, notFound, STATUS } from "#api/testing/fake-agent.ts";
import { DIAGNOSIS, PEERS } from "#api/testing/fake-peers.ts";
import { run } from "./program.ts";
import { recordingTerminal } from "./recording-terminal.ts";
import { commandLine } from "./testing/command-line.ts";

const IN_FORCE = "Configuration 8 (ffeeddccbbaa9988) is in force.\n";

/** Asked for help or not: what does not exist is refused. */
const UNKNOWN: readonly string[] = [
  "NONSENSE",
  "NONSENSE --help",
  "node NONSENSE -h",
  "--socket /nowhere lab fault bogus --help",
  "help NONSENSE",
  "help node NONSENSE",
];

for (const line of UNKNOWN) {
  test(`pan ${line}: refused with status 2, and no help that could be taken for success`, async () => {
    const terminal = recordingTerminal();
    assert.equal(await run(line.split(" "), terminal), 2);
    assert.match(terminal.written.err, /^pan: unknown command '(NONSENSE|bogus)'/);
    assert.equal(terminal.written.out, "");
  });
}

for (const line of ["help", "--help", "help node add", "node --help", "--socket /x status -h"]) {
  test(`pan ${line}: prints help, status 0`, async () => {
    const terminal = recordingTerminal();
    assert.equal(await run(line.split(" "), terminal), 0);
    assert.match(terminal.written.out, /^Usage: pan/);
  });
}

const CHANGES: readonly [string, { operation: string; input: object }][] = [
  [
    "service add web tcp 10.77.0.100:443",
    {
      operation: "addService",
      input: {
        body: { group: "web", service: { protocol: "tcp", vip: "10.77.0.100", port: 443 } },
      },
    },
  ],
  [
    "service add ftp tcp [FD77:0::100]:any --create wildcard-sticky --slots 4096 --node a=2 --node b",
    {
      operation: "addService",
      input: {
        body: {
          group: "ftp",
          service: { protocol: "tcp", vip: "fd77::100", port: "any" },
          create: {
            policy: "wildcard-sticky",
            slots: 4096,
            nodes: [
              { name: "a", weight: 2 },
              { name: "b", weight: 1 },
            ],
          },
        },
      },
    },
  ],
  [
    "service remove udp 10.77.0.100:53",
    {
      operation: "removeService",
      input: { body: { service: { protocol: "udp", vip: "10.77.0.100", port: 53 } } },
    },
  ],
  [
    "service weight web beta 0",
    {
      operation: "setWeight",
      input: { params: { group: "web", node: "beta" }, body: { weight: 0 } },
    },
  ],
  ["drain beta", { operation: "drain", input: { params: { node: "beta" } } }],
  [
    "maintenance on beta",
    { operation: "setMaintenance", input: { params: { node: "beta" }, body: { on: true } } },
  ],
  [
    "maintenance off beta --group web",
    {
      operation: "setMaintenance",
      input: { params: { node: "beta" }, body: { on: false, group: "web" } },
    },
  ],
  [
    "drain beta --deadline 2m",
    {
      operation: "drainWithin",
      input: { params: { node: "beta" }, body: { deadlineMs: 120_000 } },
    },
  ],
  ["undrain beta", { operation: "undrain", input: { params: { node: "beta" } } }],
  [
    "vips move fd77::100 beta",
    { operation: "moveVip", input: { params: { vip: "fd77::100" }, body: { node: "beta" } } },
  ],
  ["vips release fd77::100", { operation: "releaseVip", input: { params: { vip: "fd77::100" } } }],
  ["delivery set igmp", { operation: "setDelivery", input: { body: { method: "igmp" } } }],
  [
    "service add vpn any fd77::102 --create sticky",
    {
      operation: "addService",
      input: {
        body: {
          group: "vpn",
          service: { protocol: "any", vip: "fd77::102", port: "any" },
          create: { policy: "sticky" },
        },
      },
    },
  ],
];
for (const [line, asked] of CHANGES) {
  test(`B8: pan ${line}`, async (t) => {
    const cli = await commandLine(t);
    const outcome = await cli.run(...line.split(" "));
    assert.deepEqual(outcome, { status: 0, out: IN_FORCE, err: "" });
    assert.partialDeepStrictEqual(cli.agent.asked, [asked]);
  });
}

test("A13: pan delivery show tells the method and the MAC that clients send to", async (t) => {
  const cli = await commandLine(t);
  const shown = { status: 0, out: "unicast, cluster MAC 02:bf:0a:4d:00:64\n", err: "" };
  assert.deepEqual(await cli.run("delivery", "show"), shown);
  const { out } = await cli.run("delivery", "show", "--json");
  assert.deepEqual(JSON.parse(out), STATUS.cluster.delivery);
});

test("B10: pan vips tells who answers for which address, and who would next", async (t) => {
  const cli = await commandLine(t);
  const page = [
    "  ADDRESS      INTERFACE NODE  BACKUPS",
    "  10.77.0.100  alpha           beta",
    "  fd77::100    alpha           beta",
    "",
  ];
  const shown = { status: 0, out: page.join("\n"), err: "" };
  assert.deepEqual(await cli.run("vips"), shown);
  assert.deepEqual(await cli.run("vips", "show"), shown);
  const { out } = await cli.run("vips", "--json");
  assert.deepEqual(JSON.parse(out), STATUS.vips);
});

test("A10: pan apps shows who is connected, which hooks are run, and what was counted", async (t) => {
  const cli = await commandLine(t);
  const page = await cli.run("apps");
  assert.equal(page.status, 0);
  assert.match(page.out, /^Applications on \/run\/panoply\/applications\.sock\n/);
  assert.match(page.out, /^ {2}ipsec +yes +1m 05s +12 +2 +1 +0 B$/m);
  assert.match(page.out, /^Hooks in \/etc\/panoply\/hooks\.d, 3 events wait$/m);
  assert.match(page.out, /20-open +refused +chmod go-w it$/m);
  assert.match(page.out, /^ {2}votes-unanswered +1$/m);
  const json = await cli.run("apps", "--json");
  assert.deepEqual(JSON.parse(json.out), APPLICATIONS);
  const metrics = await cli.run("metrics");
  assert.match(metrics.out, /^panoply_applications 1$/m);
  assert.match(metrics.out, /^panoply_application_events_total\{reason="votes-unanswered"\} 1$/m);
});

test("C2: pan peers shows where members are, how that is known, and frames each way", async (t) => {
  const cli = await commandLine(t);
  const page = await cli.run("peers");
  assert.equal(page.status, 0);
  assert.match(
    page.out,
    /^Cluster MAC 02:bf:0a:4d:00:64, dedicated MACs: masked; this node's: 02:10:02/,
  );
  assert.match(
    page.out,
    /^ {2}alpha +10\.77\.0\.1 +02:10:01:4d:00:64 +keepalive +the same +31 ms +1\.20k +900$/m,
  );
  assert.match(page.out, /^ {2}gamma \(away\) +10\.77\.0\.3 +\S+ +configured +- +never +0 +0$/m);
  assert.match(page.out, /^Refused, as another node's MAC: fd77::7$/m);
  const json = await cli.run("peers", "--json");
  assert.deepEqual(JSON.parse(json.out), PEERS);
});

test("C8: pan doctor says what it found, and what to do", async (t) => {
  const cli = await commandLine(t);
  const page = await cli.run("doctor");
  assert.match(page.out, /^ok {7}interface eth0: it has the cluster MAC$/m);
  assert.match(
    page.out,
    /^warning {2}IGMP querier: one is on this network\n {9}set peering\.mac to masked$/m,
  );
  const json = await cli.run("doctor", "--json");
  assert.deepEqual(JSON.parse(json.out), DIAGNOSIS);
});

test("CLI: status --json is the agent's status, as one object", async (t) => {
  const cli = await commandLine(t);
  const { status, out } = await cli.run("status", "--json");
  assert.equal(status, 0);
  assert.deepEqual(JSON.parse(out), STATUS);
});

test("CLI: status --watch shows it again until Ctrl-C, and outlives a restart of the agent", async (t) => {
  const cli = await commandLine(t);
  const stop = new AbortController();
  const pages: string[] = [];
  const terminal = recordingTerminal({
    interactive: true,
    interrupted: () => stop.signal,
    out: (text) => {
      if (!text.startsWith("\u001b")) pages.push(text);
      if (pages.length === 2) stop.abort();
    },
  });
  const words = ["status", "--watch", "0.1", "--socket", cli.socketPath];
  assert.equal(await run(words, terminal), 0);
  assert.match(pages[1] ?? "", /^Cluster demo/);

  const again = new AbortController();
  const lost = recordingTerminal({
    interrupted: () => again.signal,
    out: (text) => {
      assert.match(text, /PAN_AGENT_UNREACHABLE/);
      again.abort();
    },
  });
  assert.equal(await run(["status", "-w", "--socket", `${cli.socketPath}.gone`], lost), 0);
});

test("CLI: service list shows each service with its group's nodes", async (t) => {
  const cli = await commandLine(t);
  const { out } = await cli.run("service", "list");
  assert.deepEqual(out.split("\n"), [
    "  GROUP  POLICY    SLOTS  SERVICE             NODES",
    "  web    weighted   1024  tcp 10.77.0.100:80  alpha=1 beta=1",
    "                          tcp [fd77::100]:*",
    "",
  ]);
  const json = await cli.run("service", "list", "--json");
  assert.equal((JSON.parse(json.out) as { groups: unknown[] }).groups.length, 1);
});

test("CLI: metrics are printed as the agent serves them", async (t) => {
  const cli = await commandLine(t);
  const { out } = await cli.run("metrics");
  assert.match(out, /^panoply_member\{node="alpha"\} 1$/m);
});

test("CLI: version works with and without an agent", async (t) => {
  const cli = await commandLine(t);
  const together = await cli.run("version");
  assert.match(together.out, /^pan \d+\.\d+\.\d+ .*\nagent 0\.1\.0 \(Node\.js 24\.21\.0\)\n$/);
  const alone = await cli.run("version", "--json", "--socket", `${cli.socketPath}.gone`);
  assert.equal(alone.status, 0);
  const { panoply, agent } = JSON.parse(alone.out) as { panoply: string; agent: unknown };
  assert.match(panoply, /^\d+\.\d+\.\d+$/);
  assert.equal(agent, null);
});

test("CLI: a failure is one line with its code, and status 1", async (t) => {
  const cli = await commandLine(t);
  cli.agent.failWith(notFound);
  const outcome = await cli.run("drain", "delta");
  const err = 'pan: No node is called "delta". [PAN_NOT_FOUND]\n';
  assert.deepEqual(outcome, { status: 1, out: "", err });
});

test("CLI: with --json a failure is one JSON object, and nothing else is printed", async (t) => {
  const cli = await commandLine(t);
  cli.agent.failWith(notFound);
  const failed = await cli.run("status", "--json");
  const error = { code: "PAN_NOT_FOUND", message: 'No node is called "delta".' };
  assert.deepEqual(
    { ...failed, out: JSON.parse(failed.out) as unknown },
    {
      status: 1,
      out: { error },
      err: "",
    },
  );
  const misused = await cli.run("status", "--json", "--wotch");
  assert.equal(misused.status, 2);
  assert.match(
    misused.out,
    /^\{"error":\{"code":"PAN_REQUEST_INVALID","message":"unknown option '--wotch'/,
  );
  assert.equal(misused.err, "");
});

const MISUSES: readonly [string, RegExp][] = [
  ["bogus", /unknown command 'bogus'/],
  ["status --wotch", /unknown option '--wotch'/],
  ["status --watch=never", /give seconds/],
  ["drain", /missing required argument 'node'/],
  ["service", /Usage: pan service/],
  ["service add web sctp 10.77.0.100:80", /Allowed choices are tcp, udp/],
  ["service add web tcp 10.77.0.100", /Cannot use "10\.77\.0\.100"/],
  ["service add web tcp 10.77.0.100:80 --slots 1024", /add --create POLICY/],
  ["service add web tcp 10.77.0.100:80 --create sticky --slots 1000", /power of two/],
  ["service weight web beta -1", /0 to 1000/],
  ["service weight web beta 1001", /0 to 1000/],
  ["service weight web beta 1.5", /0 to 1000/],
];
for (const [line, message] of MISUSES) {
  test(`CLI: "pan ${line}" is not understood: status 2, and the agent is not asked`, async (t) => {
    const cli = await commandLine(t);
    const { status, out, err } = await cli.run(...line.split(" "));
    assert.deepEqual({ status, out }, { status: 2, out: "" });
    assert.match(err, message);
    assert.deepEqual(cli.agent.asked, []);
  });
}

test("A4: config apply sends the file's text, and config show prints the cluster's", async (t) => {
  const cli = await commandLine(t);
  const file = path.join(path.dirname(cli.socketPath), "cluster.yaml");
  writeFileSync(file, "cluster: {name: demo}\n# ü\n");
  assert.equal((await cli.run("config", "apply", file)).out, IN_FORCE);
  assert.partialDeepStrictEqual(cli.agent.asked, [
    { operation: "putConfig", input: { body: { yaml: "cluster: {name: demo}\n# ü\n" } } },
  ]);
  await cli.run("config", "apply", "--force", file);
  assert.partialDeepStrictEqual(cli.agent.asked[1], { input: { body: { force: true } } });
  assert.equal((await cli.run("config", "show")).out, "cluster: {name: demo}\n");
  const missing = await cli.run("config", "apply", `${file}.missing`);
  assert.equal(missing.status, 1);
  assert.match(missing.err, /ENOENT.*\[PAN_CONFIG_UNREADABLE\]/);
});

test("CLI: the real program reads its socket from PANOPLY_SOCKET and keeps the exit status", () => {
  const main = path.join(import.meta.dirname, "main.ts");
  const env = { ...process.env, PANOPLY_SOCKET: "/nonexistent/agent.sock" };
  const started = spawnSync(process.execPath, [main, "status"], { env, encoding: "utf8" });
  assert.equal(started.status, 1);
  assert.match(started.stderr, /^pan: No agent answers on \/nonexistent\/agent\.sock\..*\n$/);
  assert.equal(started.stdout, "");
});
