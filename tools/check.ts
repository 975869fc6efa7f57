// `npm run check`: the gate before a commit. Static checks and every unit test.
import { staticChecks, step } from "./steps.ts";

const clean = await staticChecks();
const tested = await step("unit tests", process.execPath, [
  "--test",
  "--test-isolation=none",
  "src/**/*.test.ts",
  "tools/**/*.test.ts",
  "fuzz/**/*.test.ts",
]);
process.exitCode = clean && tested ? 0 : 1;
