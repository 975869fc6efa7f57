// Direction of imports between the layers, and purity of the inner ones (docs/architecture.md).
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "./steps.ts";

/** What each layer may import from src/, besides itself. Everything else is refused. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: ["base"],
  "core/membership": ["base", "wire"],
  "core/steering": ["base", "wire"],
  "core/takeover": ["base", "wire"],
  "core/health": ["base", "wire"],
  "core/peering": ["base", "wire"],
  "core/paths": ["base", "wire"],
  "core/node": ["base", "wire", "core/membership", "core/steering"],
  driver: [
    "base",
    "wire",
    "core/membership",
    "core/steering",
    "core/takeover",
    "core/peering",
    "core/node",
    "core/health",
    "core/paths",
  ],
  config: ["base"],
  api: ["base", "config"],
  lab: ["base", "config", "driver", "api"],
  daemon: [
    "base",
    "wire",
    "core/membership",
    "core/steering",
    "core/peering",
    "core/paths",
    "core/node",
    "core/health",
    "driver",
    "config",
    "api",
  ],
  apps: ["base", "wire"],
  session: ["base", "wire", "core/takeover", "core/steering", "driver", "apps"],
  cli: ["base", "config", "api", "lab", "daemon", "driver", "session"],
  sim: ["base", "wire", "core/membership", "core/steering", "core/node"],
};
const PURE = [
  "base",
  "wire",
  "core/membership",
  "core/steering",
  "core/takeover",
  "core/health",
  "core/peering",
  "core/paths",
  "core/node",
];
const IMPURE =
  /\b(Date|Math\.random|Promise|performance|process|setTimeout|setInterval|console)\b|\basync\b|\bawait\b/;

function layerOf(file: string): string {
  const [first = "", second = ""] = file.split("/");
  return first === "core" ? `core/${second}` : first;
}

function importsOf(file: string): { specifier: string; typeOnly: boolean }[] {
  const text = readFileSync(path.join(root, "src", file), "utf8");
  const pattern =
    /^(?:import|export)\s+(type\s+)?[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gms;
  return [...text.matchAll(pattern)].map((match) => ({
    specifier: match[2] ?? match[3] ?? match[4] ?? "",
    typeOnly: match[1] !== undefined,
  }));
}

function targetLayer(file: string, specifier: string): string | undefined {
  if (specifier.startsWith("#")) return layerOf(specifier.slice(1));
  if (specifier.startsWith("."))
    return layerOf(path.posix.join(path.posix.dirname(file), specifier));
  return undefined;
}

const files = globSync("**/*.ts", { cwd: path.join(root, "src") })
  .filter((file) => !file.endsWith(".test.ts") && !file.includes("/testing/"))
  .sort();

test("layers: every import points inwards", () => {
  const wrong: string[] = [];
  for (const file of files) {
    const layer = layerOf(file);
    const allowed = ALLOWED[layer];
    assert.ok(allowed, `src/${file} is in no known layer; add it to tools/layers.test.ts`);
    for (const { specifier, typeOnly } of importsOf(file)) {
      const target = targetLayer(file, specifier);
      if (target === undefined || target === layer || allowed.includes(target)) {
        if (layer === "driver" && target?.startsWith("core/") && !typeOnly) {
          wrong.push(`src/${file}: a driver imports only types from ${specifier}`);
        }
        continue;
      }
      wrong.push(`src/${file}: ${layer} may not import ${specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("layers: base, wire and core import no package and use no clock, timer, promise or global", () => {
  const wrong: string[] = [];
  for (const file of files.filter((name) => PURE.includes(layerOf(name)))) {
    for (const { specifier } of importsOf(file)) {
      if (targetLayer(file, specifier) === undefined)
        wrong.push(`src/${file} imports ${specifier}`);
    }
    readFileSync(path.join(root, "src", file), "utf8")
      .split("\n")
      .forEach((line, index) => {
        const code = line.replace(/\/\/.*|\/?\*.*|"[^"]*"|`[^`]*`/g, "");
        if (IMPURE.test(code)) wrong.push(`src/${file}:${index + 1}: ${line.trim()}`);
      });
  }
  assert.deepEqual(wrong, []);
});
