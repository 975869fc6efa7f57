// What a benchmark hands back: rows of numbers with the method by which they were measured, printed or as JSON.

export interface Row {
  readonly name: string;
  readonly value: number;
  /** "ns/packet", "Mpps/core", "ms" … */
  readonly unit: string;
  /** The same value as a multiple of the suite's floor; ratios are what differs least between machines. */
  readonly ratio?: number;
  /** A promise about this row, such as "≤ 5 × floor", and whether it was kept. */
  readonly target?: { readonly text: string; readonly met: boolean };
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  /** How it was measured, in a few lines. */
  readonly method: readonly string[];
  readonly rows: readonly Row[];
}

export function renderSuite(suite: Suite): string {
  const width = Math.max(...suite.rows.map(({ name }) => name.length));
  const lines = suite.rows.map(({ name, value, unit, ratio, target }) => {
    const multiple = ratio === undefined ? "" : `  ${ratio.toFixed(2).padStart(6)} ×`;
    const verdict =
      target === undefined ? "" : `  ${target.text}: ${target.met ? "met" : "MISSED"}`;
    return `${name.padEnd(width)}${multiple.padEnd(10)}  ${value.toFixed(2).padStart(9)} ${unit}${verdict}`;
  });
  return [`# ${suite.title}`, ...suite.method.map((line) => `  ${line}`), "", ...lines].join("\n");
}
