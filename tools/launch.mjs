// Entry of every npm script: makes the machine ready, then runs a TypeScript file on the
// project's own Node.js. Plain JavaScript, because an older system Node (20) must run it.
//
//   node tools/launch.mjs ENTRY.ts [ARGUMENT...]
//
// 1. npm packages, when package-lock.json is newer than what is installed;
// 2. Debian packages that ENTRY needs (tools/system-packages.json), when root;
// 3. ENTRY, with signals passed on and its exit status returned.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const modules = path.join(root, "node_modules");
const stamp = path.join(modules, ".panoply-installed");
const lockFolder = path.join(root, ".cache", "install.lock");
const oldestNode = [24, 15];
const say = (line) => process.stderr.write(`panoply: ${line}\n`);

function fail(line, status = 1) {
  say(line);
  process.exit(status);
}

function lockDigest() {
  const lock = fs.readFileSync(path.join(root, "package-lock.json"));
  return createHash("sha256")
    .update(lock)
    .update(process.platform + process.arch)
    .digest("hex");
}

function npmIsCurrent() {
  return fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === lockDigest();
}

function holderIsGone() {
  try {
    process.kill(Number(fs.readFileSync(path.join(lockFolder, "pid"), "utf8")), 0);
    return false;
  } catch (error) {
    if (error.code === "ESRCH") return true;
    // Its owner stands between making the folder and writing its pid, unless it died just there.
    const age = Date.now() - (fs.statSync(lockFolder, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    return error.code === "ENOENT" && age > 5000;
  }
}

/** Only one launcher installs at a time; the lock of a killed one is taken over. */
function withInstallLock(install) {
  fs.mkdirSync(path.dirname(lockFolder), { recursive: true });
  const idle = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      fs.mkdirSync(lockFolder);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      if (holderIsGone()) fs.rmSync(lockFolder, { recursive: true, force: true });
      else Atomics.wait(idle, 0, 0, 200);
    }
  }
  fs.writeFileSync(path.join(lockFolder, "pid"), String(process.pid));
  try {
    return install();
  } finally {
    fs.rmSync(lockFolder, { recursive: true, force: true });
  }
}

function installNpmPackages() {
  if (npmIsCurrent()) return true;
  say("installing npm packages (npm ci)");
  // No dependency needs an install script: native parts come as ready platform packages.
  const flags = ["ci", "--ignore-scripts", "--include=dev", "--include=optional"];
  const npm = process.env.npm_execpath;
  const options = { cwd: root, stdio: ["ignore", 2, 2] };
  const result = npm?.endsWith("js")
    ? spawnSync(process.execPath, [npm, ...flags], options)
    : spawnSync("npm", flags, options);
  if (result.status === 0) fs.writeFileSync(stamp, lockDigest());
  return result.status === 0;
}

function present(pattern) {
  const [before, after] = pattern.split("*");
  if (after === undefined) return fs.existsSync(pattern);
  const folders = fs.existsSync(before) ? fs.readdirSync(before) : [];
  return folders.some((name) => fs.existsSync(before + name + after));
}

function missingSystemPackages(purpose) {
  const list = JSON.parse(fs.readFileSync(path.join(root, "tools/system-packages.json"), "utf8"));
  return list.filter((entry) => entry.for.includes(purpose) && !present(entry.path));
}

/** Debian starts a service when its package is installed; ours are run by the lab only. */
function withoutStartingServices(install) {
  const policy = "/usr/sbin/policy-rc.d";
  const ours = !fs.existsSync(policy);
  if (ours) fs.writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return install();
  } finally {
    if (ours) fs.rmSync(policy, { force: true });
  }
}

function installSystemPackages(missing) {
  for (const { package: name, why } of missing) say(`installing ${name}: ${why}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args) =>
    spawnSync("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300", ...args], {
      env,
      stdio: ["ignore", "ignore", 2],
    }).status === 0;
  const names = missing.map((entry) => entry.package);
  const install = () => apt("install", "-y", "--no-install-recommends", ...names);
  return withoutStartingServices(() => install() || (apt("update") && install()));
}

function readySystem(purpose) {
  const missing = missingSystemPackages(purpose);
  if (missing.length === 0) return;
  const names = missing.map((entry) => entry.package).join(" ");
  if (process.getuid() !== 0) say(`not root, so these stay missing: ${names}`);
  else if (!fs.existsSync("/usr/bin/apt-get"))
    say(`no apt-get here; install with this system's own tool: ${names}`);
  else if (!withInstallLock(() => installSystemPackages(missing)))
    fail(`apt-get could not install: ${names}`);
}

function runtime() {
  const pinned = path.join(modules, `node-${process.platform}-${process.arch}`, "bin", "node");
  if (fs.existsSync(pinned)) return pinned;
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) {
    return process.execPath;
  }
  return fail(`needs Node.js ${oldestNode.join(".")} or newer; this is ${process.versions.node}`);
}

function run(entry, args) {
  const node = runtime();
  const search = [path.dirname(node), path.join(modules, ".bin"), process.env.PATH];
  const cache = process.env.NODE_COMPILE_CACHE ?? path.join(root, ".cache", "compile");
  const env = { ...process.env, PATH: search.join(path.delimiter), NODE_COMPILE_CACHE: cache };
  const child = spawn(node, [path.resolve(root, entry), ...args], { stdio: "inherit", env });
  // A terminal signals the whole group; these reach a launcher that is signalled alone.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`cannot run ${node}: ${error.message}`));
  child.on("exit", (status, signal) => {
    if (signal === null) process.exit(status ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) fail("usage: node tools/launch.mjs ENTRY.ts [ARGUMENT...]", 2);
if (!npmIsCurrent() && !withInstallLock(installNpmPackages)) fail("npm ci failed; see above");
const purposes = {
  "tools/start.ts": "start",
  "tools/test.ts": "test",
  "tools/check.ts": "check",
  "bench/main.ts": "bench",
};
if (purposes[entry] !== undefined) readySystem(purposes[entry]);
run(entry, args);
