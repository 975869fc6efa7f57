// The terminal of the running process.
import type { Terminal } from "./context.ts";

export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  // The reader went away (`pan status | head`): there is nobody left to tell.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  const interactive = stdout.isTTY && env["TERM"] !== "dumb";
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    colour: interactive && (env["NO_COLOR"] ?? "") === "",
    interactive,
    interrupted: (): AbortSignal => {
      const controller = new AbortController();
      for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.once(signal, () => controller.abort());
      }
      return controller.signal;
    },
  };
}
