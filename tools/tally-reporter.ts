// A node:test reporter that counts tests (not suites, not files) for the closing line.
import type { TestEvent } from "node:test/reporters";

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

export default async function* tally(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counts: Tally = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of source) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.details.type === "suite") continue;
    if (data.skip !== undefined || data.todo !== undefined) counts.skipped += 1;
    else if (type === "test:pass") counts.passed += 1;
    else counts.failed += 1;
  }
  yield JSON.stringify(counts);
}
