// The operator's cluster file, read and changed in place by commands that need no agent.
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { PanError } from "#base/error-codes.ts";
import { requireConfig } from "#config/load.ts";
import { renderConfig } from "#config/render.ts";
import type { ClusterConfig } from "#config/schema.ts";

export const DEFAULT_CONFIG = "/etc/panoply/cluster.yaml";

export interface ClusterFile {
  readonly file: string;
  readonly text: string;
  readonly config: ClusterConfig;
}

function unusable(file: string, act: string, cause: unknown): PanError {
  const code = String((cause as NodeJS.ErrnoException).code);
  const message = `Cannot ${act} ${file} (${code}); name the cluster's configuration file.`;
  return new PanError("PAN_CONFIG_UNREADABLE", message, { cause });
}

/** The text of a configuration file. PAN_CONFIG_UNREADABLE where there is none. */
export function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw unusable(file, "read", cause);
  }
}

/** PAN_CONFIG_UNREADABLE or PAN_CONFIG_INVALID where the file cannot be used. */
export function readClusterFile(file: string): ClusterFile {
  const text = readText(file);
  return { file, text, config: requireConfig(text, file) };
}

/** As readClusterFile; undefined where no file is. */
export const readClusterFileIfAny = (file: string): ClusterFile | undefined =>
  existsSync(file) ? readClusterFile(file) : undefined;

/**
 * Replaces the file whole by one with the changed configuration; comments, mode and owner stay.
 * PAN_CONFLICT when somebody else has changed it since it was read.
 */
export function changeClusterFile(before: ClusterFile, config: ClusterConfig): void {
  const text = renderConfig(config, before.text);
  if (text === before.text) return;
  try {
    replaceFile(before, text);
  } catch (cause) {
    throw cause instanceof PanError ? cause : unusable(before.file, "write", cause);
  }
}

function replaceFile(before: ClusterFile, text: string): void {
  const file = realpathSync(before.file); // a symbolic link stays one
  const { mode, uid, gid } = statSync(file);
  const temporary = `${file}.new-${process.pid}`;
  const descriptor = openSync(temporary, "wx", 0o600);
  try {
    try {
      writeFileSync(descriptor, text);
      fchownSync(descriptor, uid, gid);
      fchmodSync(descriptor, mode & 0o7777);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    if (readFileSync(file, "utf8") !== before.text) {
      const message = `${before.file} was changed by somebody else meanwhile; repeat the command.`;
      throw new PanError("PAN_CONFLICT", message);
    }
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}
