// A node:test reporter for tools/test-process.ts: a line of JSON for each test that begins and ends, on disk before anything else
// happens, so that something is known of a process that dies. The last line says that nothing is missing. Suites are no tests,
// unless they are skipped with all that is in them; neither is a file without any, which Node.js counts as one.
import { appendFileSync } from "node:fs";
import type { TestEvent } from "node:test/reporters";

/** Name of the environment variable that says where to. */
export const TALLY_FILE = "PANOPLY_TEST_TALLY";

export type TallyLine =
  | { readonly type: "begun"; readonly name: string }
  | { readonly type: "passed" | "failed" | "skipped"; readonly name: string }
  | { readonly type: "suite-ended"; readonly name: string }
  /** A test or suite that is in no other. */
  | { readonly type: "took"; readonly file: string; readonly ms: number }
  | { readonly type: "end" };

function* linesOf(event: TestEvent): Generator<TallyLine> {
  if (event.type === "test:dequeue") yield { type: "begun", name: event.data.name };
  if (event.type !== "test:pass" && event.type !== "test:fail") return;
  const { name, file = "", nesting, details, skip, todo } = event.data;
  if (nesting === 0) yield { type: "took", file, ms: details.duration_ms };
  if (skip !== undefined || todo !== undefined) yield { type: "skipped", name };
  else if (details.type === "suite") yield { type: "suite-ended", name };
  else if (event.type === "test:fail") yield { type: "failed", name };
  else if (name !== file) yield { type: "passed", name };
}

// oxlint-disable-next-line require-yield -- what Node.js would write of it might come too late
export default async function* tally(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const write = (line: TallyLine): void =>
    appendFileSync(process.env[TALLY_FILE] ?? "", `${JSON.stringify(line)}\n`);
  for await (const event of source) for (const line of linesOf(event)) write(line);
  write({ type: "end" });
}
