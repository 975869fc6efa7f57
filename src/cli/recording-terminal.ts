// A terminal that keeps what is written to it: for the reference pages, and for tests.
import type { Terminal } from "./context.ts";

export interface RecordingTerminal extends Terminal {
  readonly written: { out: string; err: string };
}

export function recordingTerminal(overrides: Partial<Terminal> = {}): RecordingTerminal {
  const written = { out: "", err: "" };
  return {
    written,
    out: (text): void => {
      written.out += text;
    },
    err: (text): void => {
      written.err += text;
    },
    colour: false,
    interactive: false,
    interrupted: () => AbortSignal.abort(),
    ...overrides,
  };
}
