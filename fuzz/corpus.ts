// Inputs that once broke a decoder, as files: fuzz/corpus/<target>/<first digits of SHA-256>.bin. They are committed with the
// repair and run again before every campaign.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Target } from "./target.ts";

const folder = path.join(import.meta.dirname, "corpus");

export interface Stored {
  readonly file: string;
  readonly input: Uint8Array;
}

export function storedInputs(target: Target): Stored[] {
  const place = path.join(folder, target.name);
  if (!existsSync(place)) return [];
  return readdirSync(place)
    .filter((name) => name.endsWith(".bin"))
    .sort()
    .map((name) => path.join(place, name))
    .map((file) => ({ file, input: new Uint8Array(readFileSync(file)) }));
}

/** Writes the input; answers the file, relative to the working directory. */
export function storeInput(targetName: string, input: Uint8Array): string {
  const place = path.join(folder, targetName);
  mkdirSync(place, { recursive: true });
  const digest = createHash("sha256").update(input).digest("hex").slice(0, 16);
  const file = path.join(place, `${digest}.bin`);
  writeFileSync(file, input);
  return path.relative(process.cwd(), file);
}
