// The machines of a how-to. Machines are lab hosts, each with /etc, /var/lib and /run of its own. "here" is this machine, with
// the same privacy, so that labs made there collide with nothing. ssh, scp, systemctl and journalctl are stand-ins; "systemctl
// start" runs the ExecStart and the ExecStartPost of a unit.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, type SpawnOptions, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { LabCluster } from "#lab/cluster.ts";
import type { Lab } from "#lab/lab.ts";
import { root } from "#tools/steps.ts";
import { type Block, placeOf, readBlocks } from "./howto-blocks.ts";

const LONGEST_SETTLING_MS = 20_000;
const BLOCK_LIMIT_MS = 30_000;
const POLL_MS = 100;

/** Ends when its standard input does, so that nothing outlives the test. */
const KEEP_MACHINE = `set -eu
[ -z "$AGENT_FOLDER" ] || mount --bind "$AGENT_FOLDER" /mnt
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/home /run/layers /run/panoply
[ -z "$AGENT_FOLDER" ] || { mount --bind /mnt /run/panoply; umount /mnt; }
for folder in etc var/lib; do
  layer=/run/layers/$(echo $folder | tr / -)
  mkdir $layer $layer.work
  mount -t overlay -o lowerdir=/$folder,upperdir=$layer,workdir=$layer.work overlay /$folder
done
cp "$UNIT" /etc/systemd/system/panoply.service
echo /run/home > /run/cwd
echo ready
exec cat`;

const STAND_INS: Readonly<Record<string, string>> = {
  pan: `exec "${process.execPath}" "${path.join(root, "src/cli/main.ts")}" "$@"`,
  ssh: `pid=$(cat "$MACHINES/\${1#root@}"); shift
exec nsenter --target "$pid" --net --mount bash -c "cd /run/home; $*"`,
  scp: `[ "$1" = -p ] && shift
host=\${2%%:*}; pid=$(cat "$MACHINES/\${host#root@}")
mode=$(stat -c %a "$1")
nsenter --target "$pid" --mount sh -c 'umask 077; cat > "$1"; chmod "$2" "$1"' - "\${2#*:}" "$mode" < "$1"`,
  systemctl: `unit=/etc/systemd/system/$2.service
case "$1" in enable | disable) unit=/etc/systemd/system/$3.service ;; esac
[ -e "$unit" ] || unit=/lib/systemd/system/\${unit##*/}
name=$(basename "$unit" .service)
of() { sed -n "s|^$1=||p" "$unit" | sed 's|^/usr/bin/pan |pan |'; }
start() {
  setsid $(of ExecStart) >>"/run/$name.log" 2>&1 < /dev/null &
  echo $! > "/run/$name.pid"
  ready=$(of ExecStartPost)
  for _ in $(seq 100); do $ready >>"/run/$name.log" 2>&1 && return; sleep 0.1; done
  tail -n 20 "/run/$name.log" >&2; return 1
}
stop() {
  pid=$(cat "/run/$name.pid")
  kill -TERM "$pid" || true
  while [ -e "/proc/$pid" ]; do sleep 0.05; done
}
case "$1" in
  enable) [ "$2" = --now ] && start ;;
  disable) [ "$2" = --now ] && stop ;;
  start) start ;;
  stop) stop ;;
  restart) stop; start ;;
  *) echo "systemctl $*: not in the lab" >&2; exit 2 ;;
esac`,
  journalctl: `cat /run/panoply.log`,
};

export class Machines {
  readonly #folder = mkdtempSync(path.join(tmpdir(), "pan-howto-"));
  readonly #keepers = new Map<string, ChildProcess>();
  readonly #lab: Lab | undefined;

  constructor(lab: Lab | undefined) {
    this.#lab = lab;
    mkdirSync(path.join(this.#folder, "machines"));
    for (const [name, script] of Object.entries(STAND_INS)) {
      const file = path.join(this.#folder, name);
      writeFileSync(file, `#!/bin/bash\n${script}\n`);
      chmodSync(file, 0o755);
    }
    const unit = path.join(this.#folder, "panoply.service");
    cpSync(path.join(root, "packaging/panoply.service"), unit);
  }

  get #env(): NodeJS.ProcessEnv {
    const { PATH = "" } = process.env;
    const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
    return {
      ...inherited,
      PATH: `${this.#folder}:${path.dirname(process.execPath)}:${PATH}`,
      NODE_COMPILE_CACHE: path.join(this.#folder, "cache"),
      MACHINES: path.join(this.#folder, "machines"),
      UNIT: path.join(this.#folder, "panoply.service"),
    };
  }

  /** @param agentFolder of an agent that runs already: the folder of its socket */
  async add(name: string, agentFolder = ""): Promise<void> {
    const argv = ["unshare", "--mount", "--propagation=private", "sh", "-c", KEEP_MACHINE];
    const options = {
      env: { ...this.#env, AGENT_FOLDER: agentFolder },
      stdio: ["pipe", "pipe", "inherit"] as ["pipe", "pipe", "inherit"],
    };
    const keeper = this.#spawn(name, argv, options);
    this.#keepers.set(name, keeper);
    const said = await new Promise<string>((resolve) => {
      keeper.stdout?.once("data", (chunk: Buffer) => resolve(chunk.toString()));
      keeper.once("exit", () => resolve("ended"));
    });
    assert.equal(said, "ready\n", `machine ${name}`);
    writeFileSync(path.join(this.#folder, "machines", name), `${keeper.pid ?? 0}\n`);
  }

  /** Of a cluster that is up: its members with their agents, and hosts and switches beside them. */
  static async of(cluster: LabCluster, ...beside: readonly string[]): Promise<Machines> {
    const machines = new Machines(cluster.lab);
    try {
      for (const name of beside) await machines.add(name);
      for (const name of cluster.members) await machines.add(name, cluster.lab.folder(name));
    } catch (error) {
      machines.remove();
      throw error;
    }
    return machines;
  }

  #spawn(name: string, argv: readonly string[], options: SpawnOptions): ChildProcess {
    const lab = this.#lab;
    if (lab === undefined) return spawn(argv[0] ?? "", argv.slice(1), options);
    if (lab.topology.hosts.some((host) => host.name === name)) {
      return lab.spawn(name, argv, options);
    }
    return spawn("nsenter", [`--net=${lab.netns(name)}`, ...argv], options); // a switch
  }

  /** Like a terminal on the machine: the working folder stays from block to block. */
  run(name: string, script: string): { readonly status: number | null; readonly output: string } {
    const keeper = this.#keepers.get(name);
    assert.ok(keeper?.pid, `the page names a machine "${name}" that this test does not have`);
    const wrapped = `exec 2>&1; set -euo pipefail; cd "$(cat /run/cwd)"; trap 'pwd > /run/cwd' EXIT\n${script}`;
    const target = [`--target=${keeper.pid}`, "--net", "--mount"];
    const { status, stdout } = spawnSync("nsenter", [...target, "bash", "-c", wrapped], {
      env: this.#env,
      encoding: "utf8",
      timeout: BLOCK_LIMIT_MS,
      maxBuffer: 16 << 20,
    });
    return { status, output: stdout };
  }

  remove(): void {
    for (const keeper of this.#keepers.values()) keeper.stdin?.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const squeeze = (text: string): string => text.replaceAll(/\s+/g, " ");

/** Runs the block; as long as it does not show what it should, again and again. */
async function perform(machines: Machines, block: Block): Promise<void> {
  const end = performance.now() + LONGEST_SETTLING_MS;
  let first: string | undefined;
  for (;;) {
    const { status, output } = machines.run(block.machine, block.script);
    first ??= output;
    const seen = squeeze(output);
    const missing = block.shows.filter((text) => !seen.includes(squeeze(text)));
    const failure =
      status === 0
        ? missing.map((text) => `does not show "${text}"`).join(", ")
        : `ended with ${status}`;
    if (failure === "") return;
    if (block.once || performance.now() > end) {
      assert.fail(
        `${placeOf(block)}, on ${block.machine}: ${failure}\n${block.script}\n--- at first\n${first}\n--- at last\n${output}`,
      );
    }
    await pause(POLL_MS);
  }
}

export function blocksOf(file: string): Block[] {
  const blocks = readBlocks(file, readFileSync(path.join(root, file), "utf8"));
  assert.ok(blocks.length > 0, `${file} has no block that is run`);
  return blocks;
}

/** The blocks before a heading, and the others. */
export function splitBlocks(file: string, heading: string): readonly [Block[], Block[]] {
  const line = readFileSync(path.join(root, file), "utf8").split("\n").indexOf(heading);
  assert.ok(line > 0, `${file} has no "${heading}"`);
  const blocks = blocksOf(file);
  return [
    blocks.filter((block) => block.line <= line),
    blocks.filter((block) => block.line > line),
  ];
}

/** What comes after a block that failed would only fail as well, slowly. */
export function declareBlocks(blocks: readonly Block[], machines: () => Machines): void {
  let failed: string | undefined;
  for (const block of blocks) {
    const place = placeOf(block);
    test(`${place} on ${block.machine}`, async (t) => {
      if (failed !== undefined) return t.skip(`${failed} failed`);
      failed = place;
      await perform(machines(), block);
      failed = undefined;
    });
  }
}
