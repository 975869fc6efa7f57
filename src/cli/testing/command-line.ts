// Runs command lines in this process against a fake agent on a real socket, and keeps what they print.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { startApiServer } from "#api/server.ts";
import { type FakeAgent, fakeAgent } from "#api/testing/fake-agent.ts";
import { run } from "../program.ts";
import { recordingTerminal } from "../recording-terminal.ts";

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface CommandLine {
  readonly agent: FakeAgent;
  readonly socketPath: string;
  readonly run: (...words: readonly string[]) => Promise<Outcome>;
}

export async function commandLine(t: TestContext): Promise<CommandLine> {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-cli-"));
  const socketPath = path.join(folder, "agent.sock");
  const agent = fakeAgent();
  const server = await startApiServer({ socketPath, port: agent.port });
  t.after(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    agent,
    socketPath,
    run: async (...words): Promise<Outcome> => {
      const terminal = recordingTerminal();
      const status = await run(["--socket", socketPath, ...words], terminal);
      return { status, ...terminal.written };
    },
  };
}
