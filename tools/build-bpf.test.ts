// The compiled packet programs and the layouts generated from them are committed; they must be those of the sources.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { compile, LAYOUTS, OBJECT_FOLDER, PROGRAMS, renderAbi } from "./build-bpf.ts";

const AGAIN = "run `node tools/build-bpf.ts` and commit what it writes";
const missing = ["clang-19", "llvm-strip-19", "bpftool"].find(
  (tool) => spawnSync(tool, ["--version"], { stdio: "ignore" }).error !== undefined,
);

test(
  "bpf: committed objects and layouts are those of the sources",
  { skip: missing === undefined ? false : `${missing} is not installed` },
  () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "panoply-bpf-"));
    try {
      for (const program of PROGRAMS) {
        const fresh = readFileSync(compile(program, folder));
        const committed = readFileSync(path.join(OBJECT_FOLDER, program.object));
        assert.ok(fresh.equals(committed), `${program.object} is stale: ${AGAIN}`);
      }
      for (const layout of LAYOUTS) {
        const fresh = renderAbi(layout, folder);
        assert.equal(readFileSync(layout.file, "utf8"), fresh, `${layout.file} is stale: ${AGAIN}`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
