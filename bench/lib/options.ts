// What every suite is given.

export interface SuiteOptions {
  /** Fewer and shorter runs: shows that everything works, and roughly what it costs. */
  readonly quick: boolean;
  /** Progress, for people. */
  readonly say: (line: string) => void;
}
