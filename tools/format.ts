// `npm run format`: rewrites the sources in the one style.
import { root } from "./steps.ts";
import { spawnSync } from "node:child_process";

const result = spawnSync("node_modules/.bin/oxfmt", [], { cwd: root, stdio: "inherit" });
process.exitCode = result.status ?? 1;
