// Decides whether a Unix socket's path is free. A killed process leaves its socket behind, on which nobody
// answers: that one is replaced. One that answers belongs to a living agent and is left alone.
import { chmodSync, lstatSync, mkdirSync, statSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { PanError } from "#base/error-codes.ts";

/** sockaddr_un.sun_path, less its closing zero byte (unix(7)). */
const LONGEST_PATH_BYTES = 107;
/** Owner and group may connect. */
const SOCKET_MODE = 0o660;
const FOLDER_MODE = 0o750;
const WRITABLE_BY_OTHERS = 0o002;

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/**
 * Makes way at `socketPath`, calls `listen`, and sets the socket's mode.
 * Errors: PAN_AGENT_RUNNING, PAN_SYSCALL.
 */
export async function claimSocket(
  socketPath: string,
  listen: (path: string) => Promise<unknown>,
): Promise<void> {
  await prepareSocket(socketPath);
  await named(socketPath, async () => {
    await listen(socketPath);
    chmodSync(socketPath, SOCKET_MODE);
  });
}

/** All that can be refused before listening. Errors: PAN_AGENT_RUNNING, PAN_SYSCALL. */
export const prepareSocket = (socketPath: string): Promise<void> =>
  named(socketPath, async () => {
    prepareFolder(socketPath);
    await removeStale(socketPath);
  });

async function named(socketPath: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (error instanceof PanError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new PanError("PAN_SYSCALL", `Cannot listen on ${socketPath}: ${reason}`, {
      cause: error,
    });
  }
}

function prepareFolder(socketPath: string): void {
  if (Buffer.byteLength(socketPath) > LONGEST_PATH_BYTES) {
    throw new Error(`the path is longer than ${LONGEST_PATH_BYTES} bytes; choose a shorter one`);
  }
  const folder = path.dirname(socketPath);
  mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  if ((statSync(folder).mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new Error(
      `everybody may write in ${folder}; choose a folder that only root may write in`,
    );
  }
}

async function removeStale(socketPath: string): Promise<void> {
  const file = lstatSync(socketPath, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (!file.isSocket()) throw new Error("a file of that name is in the way, and is not a socket");
  if (await socketAnswers(socketPath)) {
    throw new PanError(
      "PAN_AGENT_RUNNING",
      `An agent already answers on ${socketPath}. Stop it first, or give this one another --socket.`,
    );
  }
  unlinkSync(socketPath);
}

/** Whether a process listens there. One that is too busy to accept still counts. */
export function socketAnswers(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(socketPath);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error) => {
      if (codeOf(error) === "ECONNREFUSED" || codeOf(error) === "ENOENT") resolve(false);
      else if (codeOf(error) === "EAGAIN") resolve(true);
      else reject(error);
    });
  });
}
