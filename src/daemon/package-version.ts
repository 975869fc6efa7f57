// The version that `pan version` prints, from the manifest beside the sources or the bundle.
import { readFileSync } from "node:fs";
import path from "node:path";

function read(): string {
  for (const folder of [".", "..", "../.."]) {
    try {
      const text = readFileSync(path.join(import.meta.dirname, folder, "package.json"), "utf8");
      return (JSON.parse(text) as { readonly version: string }).version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  throw new Error("No package.json beside this program: the installation is incomplete");
}

export const panoplyVersion = read();
