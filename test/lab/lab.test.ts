// The lab itself: hosts that reach each other, faults with evidence of each, and nothing left behind,
// however it ends. Needs root.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Lab } from "#lab/lab.ts";
import { STANDARD, standardTopology } from "#lab/standard.ts";
import { inhabitants } from "#lab/processes.ts";
import { root } from "#tools/steps.ts";

const skip = process.getuid?.() === 0 ? false : "namespaces need root";
const LIMIT_MS = 20_000;
const nameOf = (part: string): string => `t${process.pid}-${part}`;

/** Waits for an event that has no other sign, with a generous limit. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    assert.ok(performance.now() < limit, `waited too long until ${what}`);
    await pause(10);
  }
}

const namespacesOf = (lab: string): string[] =>
  existsSync("/run/netns")
    ? readdirSync("/run/netns").filter((name) => name.startsWith(`pan-${lab}-`))
    : [];

function assertNothingLeft(lab: string): void {
  assert.deepEqual(namespacesOf(lab), []);
  assert.equal(existsSync(`/run/panoply-lab/${lab}`), false);
  const command = `/run/panoply-lab/${lab}/`;
  const left = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && runs(pid, command));
  assert.deepEqual(left, []);
  assert.ok(!readFileSync("/proc/self/mountinfo", "utf8").includes(command));
}

function runs(pid: string, text: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
  } catch {
    return false; // it has ended
  }
}

async function whoami(lab: Lab, address: string, from: string = STANDARD.client): Promise<string> {
  const url = `http://${address.includes(":") ? `[${address}]` : address}/whoami`;
  const { status, stdout } = await lab.exec(from, ["curl", "-gs", "--max-time", "2", url]);
  return status === 0 ? stdout.trim() : `curl ${status}`;
}

/** Whether one ping from a host is answered within a second. */
async function reaches(lab: Lab, from: string, address: string): Promise<boolean> {
  return (await lab.exec(from, ["ping", "-c1", "-W1", address])).status === 0;
}

const TIMED_OUT = "curl 28";

describe("lab: hosts and faults", { skip }, () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.up(standardTopology({ members: 3 }), { name: nameOf("faults") });
  });
  after(async () => {
    await lab.down();
    assertNothingLeft(lab.name);
  });

  test("lab: members serve their name and files of known size, over IPv4 and IPv6", async () => {
    for (const number of [1, 2, 3]) {
      assert.equal(await whoami(lab, `10.77.0.${10 + number}`), `m${number}`);
      assert.equal(await whoami(lab, `fd77::${10 + number}`), `m${number}`);
    }
    for (const [file, size] of [
      ["64k", "65536"],
      ["1m", "1048576"],
    ]) {
      const url = `http://10.77.0.12/${file}`;
      const argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{size_download}", url];
      assert.equal((await lab.exec("c1", argv)).stdout, size);
    }
    assert.ok(await reaches(lab, "m1", "fd77::2"));
  });

  test("lab: exec passes input, environment, output and status on", async () => {
    const argv = ["sh", "-c", "cat; echo $WORD >&2; exit 7"];
    const result = await lab.exec("c1", argv, { input: "in", env: { WORD: "err" } });
    assert.deepEqual(result, { status: 7, stdout: "in", stderr: "err\n" });
    assert.equal((await lab.exec("c1", ["sh", "-c", "kill -TERM $$"])).status, 143);
  });

  test("lab: exec of what does not exist, hangs, or has no host fails plainly", async () => {
    const failed = { code: "PAN_LAB_FAILED" };
    await assert.rejects(lab.exec("c1", ["/no/such/command"]), failed);
    const hanging = lab.exec("c1", ["sh", "-c", "sleep 600 & wait"], { timeoutMs: 200 });
    await assert.rejects(hanging, failed);
    await until("its child is gone, too", () => inhabitants(lab.netns("c1")).length === 0);
    await assert.rejects(lab.exec("c9", ["true"]), { code: "PAN_NOT_FOUND" });
  });

  test("lab: a killed host says nothing more, and nothing of it goes on", async (t) => {
    const connection = await openConnection(t, lab, "10.77.0.11");
    const capture = await startCapture(t, lab, "c1", "ether src " + (await macOf(lab, "m1")));
    const processes = inhabitants(lab.netns("m1"));
    assert.ok(processes.length >= 2); // nginx: master and worker
    await lab.faults.kill("m1");
    assert.equal(existsSync(lab.netns("m1")), false);
    assert.ok(processes.every(({ pid }) => !existsSync(`/proc/${pid}/stat`) || isZombie(pid)));
    assert.equal(await reaches(lab, "c1", "10.77.0.11"), false);
    assert.deepEqual(await capture.stop(), [], "frames that m1 sent after it was killed");
    assert.equal(connection.exitCode, null, "the client's connection was neither closed nor reset");
    const [m1] = (await lab.status()).hosts;
    assert.deepEqual([m1?.state, m1?.programs[0]?.state], ["dead", "ended"]);
    await assert.rejects(lab.exec("m1", ["true"]), { code: "PAN_NOT_FOUND" });
    await assert.rejects(lab.faults.freeze("m1"), { code: "PAN_LAB_FAULT" });
    assert.ok(existsSync(path.join(lab.folder("m1"), "nginx.conf")), "its disk survives");
    await lab.faults.revive("m1");
    assert.equal(await whoami(lab, "10.77.0.11"), "m1");
    assert.equal(await whoami(lab, "fd77::11"), "m1");
    await assert.rejects(lab.faults.revive("m1"), { code: "PAN_LAB_FAULT" });
  });

  test("lab: a frozen host answers ping but serves nothing until it is thawed", async () => {
    await lab.faults.freeze("m2");
    assert.equal((await lab.status()).hosts[1]?.state, "frozen");
    assert.equal(await whoami(lab, "10.77.0.12"), TIMED_OUT);
    assert.ok(await reaches(lab, "c1", "10.77.0.12"));
    await lab.faults.thaw("m2");
    assert.equal(await whoami(lab, "10.77.0.12"), "m2");
    assert.equal((await lab.status()).hosts[1]?.state, "running");
  });

  test("lab: a link that is down carries nothing, and the host sees it", async () => {
    const carrier = async (): Promise<string> =>
      (await lab.exec("m3", ["ip", "-br", "link", "show", "eth0"])).stdout;
    await lab.faults.link("m3", "down");
    assert.equal((await lab.status()).hosts[2]?.links[0]?.up, false);
    assert.match(await carrier(), /NO-CARRIER|LOWERLAYERDOWN/);
    assert.equal(await reaches(lab, "c1", "10.77.0.13"), false);
    await lab.faults.link("m3", "up");
    assert.equal(await whoami(lab, "10.77.0.13"), "m3");
    assert.doesNotMatch(await carrier(), /NO-CARRIER/);
    await assert.rejects(lab.faults.link("m3", "down", "eth7"), { code: "PAN_NOT_FOUND" });
  });

  test("lab: a partition separates groups and nothing else; healing joins them", async () => {
    await lab.faults.partition([["c1", "m1"], ["m2"], ["m3"]]);
    const groups = (await lab.status()).hosts.map(({ links }) => links[0]?.partition);
    assert.deepEqual(groups, [0, 1, 2, 0]);
    assert.equal(await whoami(lab, "10.77.0.11"), "m1");
    assert.equal(await reaches(lab, "c1", "10.77.0.12"), false);
    assert.equal(await reaches(lab, "m2", "fd77::13"), false);
    await lab.faults.partition([["c1"], ["m2", "m3"]]);
    assert.equal(await whoami(lab, "fd77::13", "m2"), "m3");
    assert.equal(await whoami(lab, "fd77::11"), "m1", "who is in no group stays with the first");
    await lab.faults.heal();
    assert.equal(await whoami(lab, "10.77.0.12"), "m2");
    assert.equal(await whoami(lab, "fd77::13"), "m3");
  });

  test("lab: loss takes about its share of the frames of each direction, each by itself", async () => {
    const requests = async (): Promise<number> => {
      const { stdout } = await lab.exec("m1", ["cat", "/proc/net/snmp"]);
      return Number(/^Icmp: \d+ \d+ \d+ \d+ \d+ \d+ \d+ \d+ (\d+)/m.exec(stdout)?.[1]);
    };
    const sent = 2000;
    const argv = ["ping", "-qn", "-i0.001", "-c", String(sent), "-W1", "10.77.0.11"];
    await lab.faults.loss("m1", 10);
    assert.equal((await lab.status()).hosts[0]?.links[0]?.lossPercent, 10);
    const earlier = await requests();
    const { stdout } = await lab.exec("c1", argv);
    const arrived = (await requests()) - earlier;
    const answered = Number(/(\d+) received/.exec(stdout)?.[1]);
    // six standard deviations of 2000 throws on either side
    const [there, back] = [1 - arrived / sent, 1 - answered / arrived];
    assert.ok(Math.abs(there - 0.1) < 0.04, `${there} of the frames to m1 were lost`);
    assert.ok(Math.abs(back - 0.1) < 0.04, `${back} of the frames from m1 were lost`);
  });

  test("lab: a download gets through the loss in single segments; without loss all arrives", async (t) => {
    const get = ["curl", "-s", "-o", "/dev/null", "-w", "%{size_download}", "http://10.77.0.11/1m"];
    await lab.faults.loss("all", 2);
    const capture = await startCapture(t, lab, "c1", "greater 1515");
    assert.equal((await lab.exec("c1", get)).stdout, "1048576");
    assert.deepEqual(await capture.stop(), [], "frames of several segments");
    await lab.faults.loss("all", 0);
    const { stdout } = await lab.exec("c1", ["ping", "-qn", "-i0.001", "-c500", "10.77.0.11"]);
    assert.match(stdout, /500 received, 0% packet loss/);
    const { stdout: link } = await lab.exec("c1", ["ip", "-d", "link", "show", "eth0"]);
    assert.match(link, /gso_max_segs 65535/);
  });

  test("lab: what cannot be done is refused with a reason", async () => {
    const refused = { code: "PAN_LAB_FAULT" };
    await assert.rejects(lab.faults.delay("m1", 5), refused);
    await assert.rejects(lab.faults.loss("m1", 101), refused);
    await assert.rejects(lab.faults.loss("m1", Number.NaN), refused);
    await assert.rejects(lab.faults.partition([["c1", "m1"]]), refused);
    await assert.rejects(lab.faults.partition([["c1"], ["c1"]]), refused);
    await assert.rejects(lab.faults.partition([["c1"], ["m9"]]), { code: "PAN_NOT_FOUND" });
    await assert.rejects(Lab.up(standardTopology({ members: 1 }), { name: lab.name }), {
      code: "PAN_LAB_EXISTS",
      message: /pan lab down --name /,
    });
    assert.equal(await whoami(lab, "10.77.0.11"), "m1", "the lab was left alone");
  });
});

const isZombie = (pid: number): boolean =>
  /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));

async function macOf(lab: Lab, host: string): Promise<string> {
  const { hosts } = await lab.status();
  return hosts.find(({ name }) => name === host)?.links[0]?.mac ?? "";
}

/** An idle TCP connection from c1; the process ends when the other side closes or resets it. */
async function openConnection(t: TestContext, lab: Lab, address: string): Promise<ChildProcess> {
  const script = `exec 3<>/dev/tcp/${address}/80 && echo open && cat <&3`;
  const child = lab.spawn("c1", ["bash", "-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  await once(child.stdout ?? child, "data");
  return child;
}

/** Frames that a host sees, a line each. */
async function startCapture(
  t: TestContext,
  lab: Lab,
  host: string,
  filter: string,
): Promise<{ stop(): Promise<string[]> }> {
  const argv = ["tcpdump", "-lnei", "eth0", "--immediate-mode", "-Q", "in", filter];
  const child = lab.spawn(host, argv, { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  const lines: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => lines.push(chunk));
  await new Promise<void>((resolve) => {
    child.stderr?.on("data", (chunk: Buffer) => {
      if (chunk.includes("listening on")) resolve();
    });
  });
  return {
    stop: async () => {
      child.kill("SIGINT");
      await once(child, "close");
      return Buffer.concat(lines)
        .toString()
        .split("\n")
        .filter((line) => line !== "");
    },
  };
}

describe("lab: nothing is left behind", { skip }, () => {
  test("lab: down removes programs, namespaces, mounts and packet programs, and may be repeated", async () => {
    const lab = await Lab.up(standardTopology({ members: 2 }), { name: nameOf("down") });
    try {
      await lab.faults.loss("m1", 1);
      const ids = lossPrograms(lab);
      assert.equal(ids.length, 2); // ingress and egress
      await lab.exec("m2", ["mkdir", path.join(lab.folder("m2"), "bpf")]);
      await lab.exec("m2", ["mount", "-t", "bpf", "bpf", path.join(lab.folder("m2"), "bpf")]);
      lab.spawn("c1", ["sh", "-c", "trap '' TERM INT HUP; (sleep 600) & sleep 600"]);
      await lab.faults.freeze("m2");
      await lab.down();
      assertNothingLeft(lab.name);
      await until("the packet programs are gone", () => ids.every((id) => !programExists(id)));
    } finally {
      await lab.down();
    }
    assert.throws(() => Lab.open(lab.name), { code: "PAN_LAB_MISSING" });
  });

  test("lab: a process that got a recorded number later is not touched", async () => {
    const lab = await Lab.up(standardTopology({ members: 1 }), { name: nameOf("pid") });
    const stranger = spawn("sleep", ["600"]);
    try {
      const line = { host: "m1", program: "gone", pid: stranger.pid, startTime: "1" };
      appendFileSync(`/run/panoply-lab/${lab.name}/processes.jsonl`, `${JSON.stringify(line)}\n`);
      await lab.down();
      assert.equal(stranger.exitCode ?? stranger.signalCode, null);
    } finally {
      stranger.kill("SIGKILL");
      await lab.down();
    }
  });

  test("lab: a program that does not start ends the bring-up, with what it printed", async () => {
    const name = nameOf("bad");
    const failing = { name: "agent", argv: ["sh", "-c", "echo no such bundle >&2; exit 1"] };
    const ready = { file: "never", timeoutMs: 2000 };
    const topology = standardTopology({ members: 1, programs: () => [{ ...failing, ready }] });
    await assert.rejects(Lab.up(topology, { name }), {
      code: "PAN_LAB_FAILED",
      message: /agent of host m1 ended at once \(1\).*no such bundle/s,
    });
    assertNothingLeft(name);
  });

  test("lab: after SIGKILL of its maker, down removes all; also in the middle of the bring-up", async () => {
    for (const programs of ["[]", "[HANGING]"]) {
      const name = nameOf(programs === "[]" ? "kill" : "half");
      const child = maker(name, programs, "");
      try {
        const started = `/run/panoply-lab/${name}/processes.jsonl`;
        if (programs === "[]") await once(child.stdout ?? child, "data");
        else await until("a program was started", () => existsSync(started));
        child.kill("SIGKILL");
        await once(child, "close");
        assert.equal(namespacesOf(name).length, 3);
        assert.equal(Lab.down(name), true);
        assertNothingLeft(name);
        assert.equal(Lab.down(name), false);
      } finally {
        child.kill("SIGKILL");
        Lab.down(name);
      }
    }
  });

  for (const [signal, when, status] of [
    ["SIGINT", "up", 130],
    ["SIGTERM", "up", 143],
    ["SIGINT", "half", 130],
    ["none", "throw", 1],
  ] as const) {
    test(`lab: its maker's end takes it down (${signal}, ${when})`, async () => {
      const name = nameOf(`end-${when}`);
      const action = when === "throw" ? "throw new Error('as the test wants')" : "";
      const child = maker(name, when === "half" ? "[HANGING]" : "[]", action, true);
      try {
        if (when === "half") {
          const started = `/run/panoply-lab/${name}/processes.jsonl`;
          await until("a program was started", () => existsSync(started));
        } else await once(child.stdout ?? child, "data");
        const closed = once(child, "close");
        if (signal !== "none") child.kill(signal);
        assert.deepEqual(await closed, [status, null]);
        assertNothingLeft(name);
      } finally {
        child.kill("SIGKILL");
        Lab.down(name);
      }
    });
  }
});

/** A process that makes a lab of m1 and c1, prints "up", does what is asked, and stays. */
function maker(name: string, programs: string, then: string, downOnExit = false): ChildProcess {
  const script = `
    import { Lab } from "#lab/lab.ts";
    import { standardTopology } from "#lab/standard.ts";
    const HANGING = { name: "hanging", argv: ["sleep", "600"], ready: { file: "never", timeoutMs: 60000 } };
    const lab = await Lab.up(standardTopology({ members: 1, programs: () => ${programs} }), { name: "${name}", downOnExit: ${downOnExit} });
    setInterval(() => undefined, 1000);
    console.log("up");
    ${then}`;
  return spawn(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: root,
    stdio: ["ignore", "pipe", "ignore"],
  });
}

interface Filter {
  readonly options?: { readonly prog?: { readonly id: number } };
}

function lossPrograms(lab: Lab): number[] {
  const netns = `pan-${lab.name}-${STANDARD.switch}`;
  return ["ingress", "egress"].flatMap((direction) => {
    const args = ["-n", netns, "-j", "filter", "show", "dev", "p-m1", direction];
    const filters = JSON.parse(spawnSync("tc", args, { encoding: "utf8" }).stdout) as Filter[];
    return filters.flatMap(({ options }) => (options?.prog === undefined ? [] : [options.prog.id]));
  });
}

const programExists = (id: number): boolean =>
  spawnSync("bpftool", ["prog", "show", "id", String(id)]).status === 0;
