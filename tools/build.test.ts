// The package as users get it: packed, unpacked where no source is, with nothing but the packages that its
// manifest lists.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { buildPackage } from "./build.ts";
import { root } from "./steps.ts";

interface Manifest {
  readonly bin: { readonly pan: string };
  readonly dependencies: Readonly<Record<string, string>>;
}

describe("package", () => {
  let folder = "";
  let installed = "";
  const pan = (...words: string[]): { status: number | null; stdout: string; stderr: string } => {
    const { bin } = manifest();
    const program = path.join(installed, bin.pan);
    return spawnSync(process.execPath, [program, ...words], { cwd: folder, encoding: "utf8" });
  };
  const manifest = (): Manifest =>
    JSON.parse(readFileSync(path.join(installed, "package.json"), "utf8")) as Manifest;

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "pan-package-"));
    installed = path.join(folder, "node_modules/panoply");
    await buildPackage(path.join(folder, "build"));
    const pack = ["pack", "--ignore-scripts", "--offline", "--pack-destination", folder];
    execFileSync("npm", pack, {
      cwd: path.join(folder, "build"),
      stdio: ["ignore", "ignore", "pipe"],
    });
    const [archive = ""] = globSync("*.tgz", { cwd: folder });
    mkdirSync(installed, { recursive: true });
    execFileSync("tar", ["xzf", archive, "-C", installed, "--strip-components=1"], { cwd: folder });
    rmSync(path.join(folder, "build"), { recursive: true });
    for (const name of Object.keys(manifest().dependencies)) {
      const link = path.join(folder, "node_modules", name);
      mkdirSync(path.dirname(link), { recursive: true });
      symlinkSync(path.join(root, "node_modules", name), link);
    }
    cpSync(path.join(root, "examples/cluster.yaml"), path.join(folder, "cluster.yaml"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("package: pan version runs", () => {
    const { status, stdout, stderr } = pan("version", "--json");
    assert.equal(stderr, "");
    const workspace = readFileSync(path.join(root, "package.json"), "utf8");
    const { version } = JSON.parse(workspace) as { version: string };
    assert.equal((JSON.parse(stdout) as { panoply: string }).panoply, version);
    assert.equal(status, 0);
  });

  test("package: pan config check accepts the example", () => {
    const { status, stderr } = pan("config", "check", "cluster.yaml");
    assert.equal(stderr, "");
    assert.equal(status, 0);
  });

  test("package: the agent and every module it needs can be loaded", () => {
    const { status, stderr } = pan("agent", "--config", "missing.yaml", "--state-folder", folder);
    assert.equal(status, 1);
    assert.match(stderr, /^pan: .*missing\.yaml.* \[PAN_CONFIG_UNREADABLE\]\n$/s);
  });

  test("package: it holds the packet programs and no TypeScript", () => {
    for (const name of ["steer-xdp.o", "steer-tc.o"]) {
      assert.ok(existsSync(path.join(installed, "bpf/build", name)), name);
    }
    assert.ok(existsSync(path.join(installed, "src/daemon/heart-worker.js")));
    assert.deepEqual(globSync("**/*.ts", { cwd: installed }), []);
  });
});
