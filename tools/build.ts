// `npm run build`: makes dist/package, the npm package `panoply`. It holds JavaScript (Node.js strips no types
// below node_modules) in the same tree as the sources, so that whatever is found relative to a module (packet
// programs, worker threads, the manifest) is found there too; the compiled packet programs; and a manifest
// that lists just the npm packages that are imported. Nothing is compiled or downloaded when it is installed.
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { isBuiltin } from "node:module";
import path from "node:path";
import { type OutputChunk, type Plugin, rolldown } from "rolldown";
import { root } from "./steps.ts";

const ENTRY = "src/cli/main.ts";
/** What applications import, by its name behind "panoply/": the client for applications (A10), servers of sessions (A16). */
const LIBRARIES: Readonly<Record<string, string>> = {
  applications: "src/apps/client.ts",
  session: "src/session/server.ts",
};
const COPIED = [
  "LICENSE",
  "README.md",
  "packaging/panoply.service",
  "examples/*.*",
  "bpf/build/*.o",
];

interface Manifest {
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** Modules that are started by their file name (threads, processes): a bundler does not follow those by itself. */
const STARTED = /(new URL\(|import\.meta\.dirname, )"([^"]+)\.ts"/g;

const startedModules: Plugin = {
  name: "started-modules",
  transform(code, id) {
    const found = [...code.matchAll(STARTED)];
    if (found.length === 0) return null;
    for (const [, , name = ""] of found) {
      this.emitFile({ type: "chunk", id: path.resolve(path.dirname(id), `${name}.ts`) });
    }
    return code.replaceAll(STARTED, '$1"$2.js"');
  },
};

const packageOf = (specifier: string): string =>
  specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");

async function bundle(folder: string): Promise<string[]> {
  const build = await rolldown({
    cwd: root,
    input: [ENTRY, ...Object.values(LIBRARIES)],
    platform: "node",
    external: (id) => !/^[./#]/.test(id),
    plugins: [startedModules],
  });
  const { output } = await build.write({
    dir: folder,
    format: "esm",
    preserveModules: true,
    preserveModulesRoot: root,
    entryFileNames: "[name].js",
  });
  await build.close();
  const chunks = output.filter((file): file is OutputChunk => file.type === "chunk");
  const own = new Set(chunks.map(({ fileName }) => fileName));
  const imported = chunks
    .flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports])
    .filter((specifier) => !own.has(specifier) && !isBuiltin(specifier));
  return [...new Set(imported.map(packageOf))].sort();
}

const exportsOf = (libraries: typeof LIBRARIES) =>
  Object.fromEntries(
    Object.entries(libraries).map(([name, file]) => [
      `./${name}`,
      {
        types: `./${file.replace(/\.ts$/, ".d.ts")}`,
        default: `./${file.replace(/\.ts$/, ".js")}`,
      },
    ]),
  );

function writeManifest(folder: string, imported: readonly string[]): void {
  const source = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as Manifest;
  const dependencies = imported.map((name): [string, string] => {
    const version = source.dependencies[name];
    if (version === undefined) throw new Error(`${name} is imported, but is no dependency`);
    return [name, version];
  });
  const manifest = {
    name: "panoply",
    version: source.version,
    description: source.description,
    license: source.license,
    type: "module",
    bin: { pan: ENTRY.replace(/\.ts$/, ".js") },
    exports: { ...exportsOf(LIBRARIES), "./package.json": "./package.json" },
    engines: source.engines,
    os: ["linux"],
    dependencies: Object.fromEntries(dependencies),
  };
  writeFileSync(path.join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** The libraries' types, beside their modules. What an import names in our tree becomes relative: the package has no such names. */
function writeTypes(folder: string): void {
  const compiler = path.join(root, "node_modules/typescript/bin/tsc");
  const project = path.join(root, "tsconfig.client.json");
  const { status, stdout } = spawnSync(
    process.execPath,
    [compiler, "-p", project, "--outDir", folder],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`the libraries' types cannot be made: ${stdout}`);
  for (const file of globSync("src/**/*.d.ts", { cwd: folder })) {
    const text = readFileSync(path.join(folder, file), "utf8");
    const up = path.relative(path.dirname(file), "src");
    const named = text.replaceAll(/(from ")([^"]+)\.ts"/g, (_, from: string, name: string) => {
      const target = name.startsWith("#") ? `./${path.posix.join(up, name.slice(1))}` : name;
      return `${from}${target}.js"`;
    });
    writeFileSync(path.join(folder, file), named);
  }
}

/** Examples import what a user of the package imports. */
function copyInto(folder: string, file: string): void {
  const target = path.join(folder, file);
  mkdirSync(path.dirname(target), { recursive: true });
  if (!file.endsWith(".ts")) return cpSync(path.join(root, file), target);
  const text = readFileSync(path.join(root, file), "utf8");
  writeFileSync(target, text.replaceAll(`"#apps/client.ts"`, `"panoply/applications"`));
}

/** Makes the package in `folder`, which is emptied first. */
export async function buildPackage(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const imported = await bundle(folder);
  chmodSync(path.join(folder, ENTRY.replace(/\.ts$/, ".js")), 0o755);
  writeTypes(folder);
  for (const file of globSync(COPIED, { cwd: root })) copyInto(folder, file);
  writeManifest(folder, imported);
}

if (import.meta.main) {
  const folder = path.join(root, "dist/package");
  await buildPackage(folder);
  const files = globSync("**/*.{js,o}", { cwd: folder });
  console.log(`ok   dist/package: ${files.length} modules and packet programs`);
}
