// The single steps that `npm run check`, `npm test` and `npm run build` are made of.
import { spawn } from "node:child_process";
import path from "node:path";

export const root = path.dirname(import.meta.dirname);
const bin = (name: string): string => path.join(root, "node_modules/.bin", name);

/** Runs a command and prints one line about it; its output only when it fails. */
export async function step(
  label: string,
  command: string,
  args: readonly string[],
): Promise<boolean> {
  const started = performance.now();
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  }
  const status = await new Promise<number>((resolve) => {
    child.on("error", (error) => {
      output += error.message;
      resolve(127);
    });
    child.on("close", (code) => resolve(code ?? 1));
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${status === 0 ? "ok  " : "FAIL"} ${label} (${seconds} s)`);
  if (status !== 0) console.log(output);
  return status === 0;
}

export const format = (): Promise<boolean> => step("format", bin("oxfmt"), ["--check"]);
export const lint = (): Promise<boolean> => step("lint", bin("oxlint"), []);
export const types = async (): Promise<boolean> =>
  (await step("types: pure layers", bin("tsc"), ["-p", "tsconfig.core.json"])) &&
  (await step("types", bin("tsc"), ["-p", "tsconfig.json"]));

/** Everything that judges the sources without running them. */
export async function staticChecks(): Promise<boolean> {
  const results = [await format(), await lint(), await types()];
  return results.every(Boolean);
}
