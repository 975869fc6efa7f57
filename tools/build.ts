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
import { isBuiltin } from "node:module";
import path from "node:path";
import { type OutputChunk, type Plugin, rolldown } from "rolldown";
import { root } from "./steps.ts";

const ENTRY = "src/cli/main.ts";
const COPIED = ["LICENSE", "README.md", "packaging/panoply.service", "examples/*", "bpf/build/*.o"];

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
    input: ENTRY,
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
    engines: source.engines,
    os: ["linux"],
    dependencies: Object.fromEntries(dependencies),
  };
  writeFileSync(path.join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Makes the package in `folder`, which is emptied first. */
export async function buildPackage(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const imported = await bundle(folder);
  chmodSync(path.join(folder, ENTRY.replace(/\.ts$/, ".js")), 0o755);
  for (const file of globSync(COPIED, { cwd: root })) {
    const target = path.join(folder, file);
    mkdirSync(path.dirname(target), { recursive: true });
    cpSync(path.join(root, file), target);
  }
  writeManifest(folder, imported);
}

if (import.meta.main) {
  const folder = path.join(root, "dist/package");
  await buildPackage(folder);
  const files = globSync("**/*.{js,o}", { cwd: folder });
  console.log(`ok   dist/package: ${files.length} modules and packet programs`);
}
