// `npm start [-- --once] [-- --json]`: a cluster of four in a lab on this machine, real traffic, a member's death, then the
// master's, and what the client saw. Without --once it keeps running until Ctrl-C.
import { parseArgs } from "node:util";
import { runDemonstration, type Expectation } from "#lab/demonstration.ts";
import { PanError } from "#base/error-codes.ts";

const USAGE = `npm start [-- OPTION...]   a cluster in a lab on this machine, a member's death, the master's death
  --once       end by itself; exit 0 only if every expectation held
  --json       one JSON object on standard output (npm's own banner goes with npm --silent start)
  --members N  3 to 16 members (4)`;

function commandLine(): { once: boolean; json: boolean; members: string; help: boolean } {
  try {
    return parseArgs({
      options: {
        once: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        members: { type: "string", default: "4" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return process.exit(2);
  }
}

const values = commandLine();

function withoutRoot(): number {
  const lines = [
    "npm start needs root: it makes network namespaces and loads packet programs into the kernel.",
    "Run it again as root. What can be tried without:",
    "  npm run check                                     types, house rules and every unit test",
    "  npm run pan -- config check examples/cluster.yaml",
    "  npm run pan -- --help",
  ];
  if (values.json) console.log(JSON.stringify({ ok: false, expectations: [], error: lines[0] }));
  else for (const line of lines) console.error(line);
  return 1;
}

/** Text for people; with --json only the summary goes to standard output. */
const say = (line: string): void => {
  if (values.json) console.error(line);
  else console.log(line);
};

function summary(expectations: readonly Expectation[]): boolean {
  const ok = expectations.every((expectation) => expectation.ok);
  if (values.json) {
    console.log(JSON.stringify({ ok, expectations }));
    return ok;
  }
  console.log("");
  for (const { name, ok: held, value, unit } of expectations) {
    console.log(`${held ? "  ok " : "FAIL "} ${name}: ${value} ${unit}`.trimEnd());
  }
  console.log(ok ? "\nEvery expectation held." : "\nNot every expectation held.");
  return ok;
}

async function main(): Promise<number> {
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (process.getuid?.() !== 0) return withoutRoot();
  const members = Number(values.members);
  if (!Number.isInteger(members) || members < 3 || members > 16) {
    console.error("--members takes a number from 3 to 16");
    return 2;
  }
  const demonstration = await runDemonstration({ members, say });
  if (!values.once) {
    summary(demonstration.expectations);
    await demonstration.explore();
  }
  await demonstration.down();
  return summary(demonstration.expectations) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof PanError)) throw error;
  console.error(`npm start: ${error.message} [${error.code}]`);
  process.exitCode = 1;
}
