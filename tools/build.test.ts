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
  writeFileSync,
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

  test("A10: package: an application imports the client, and the compiler knows its types", () => {
    const name = "panoply/applications";
    const script = `import { joinIn } from "${name}"; console.log(typeof joinIn)`;
    const run = ["--input-type=module", "-e", script];
    assert.equal(
      execFileSync(process.execPath, run, { cwd: folder, encoding: "utf8" }),
      "function\n",
    );
    mkdirSync(path.join(folder, "node_modules/@types"), { recursive: true });
    const types = path.join(root, "node_modules/@types/node");
    symlinkSync(types, path.join(folder, "node_modules/@types/node"));
    cpSync(path.join(installed, "examples/application.ts"), path.join(folder, "application.ts"));
    const compilerOptions = { module: "nodenext", strict: true, noEmit: true, types: ["node"] };
    const project = { compilerOptions, files: ["application.ts"] };
    writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(project));
    const tsc = [path.join(root, "node_modules/typescript/bin/tsc"), "-p", folder];
    const { status, stdout } = spawnSync(process.execPath, tsc, { encoding: "utf8" });
    assert.deepEqual({ status, stdout }, { status: 0, stdout: "" });
  });

  test("package: it holds the packet programs and no TypeScript that would have to run", () => {
    for (const name of ["steer-xdp.o", "steer-tc.o"]) {
      assert.ok(existsSync(path.join(installed, "bpf/build", name)), name);
    }
    assert.ok(existsSync(path.join(installed, "src/daemon/heart-worker.js")));
    const sources = globSync("**/*.ts", { cwd: installed, exclude: ["**/*.d.ts"] });
    assert.deepEqual(sources, ["examples/application.ts"]);
  });
});
