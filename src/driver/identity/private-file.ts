// Files that hold keys: written whole and for their owner only, refused when anybody else could read them.
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from "node:fs";
import { geteuid } from "node:process";
import { type ErrorCode, PanError } from "#base/error-codes.ts";

/** Larger than any bundle or key, so that a wrong path does not fill the memory. */
const MAX_BYTES = 4 * 1024 * 1024;

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/**
 * Writes the file with mode 0600, whole or not at all: a crash leaves no half of a key behind.
 * With `replace: false`, throws EEXIST when the file exists.
 */
export function writePrivateFile(
  file: string,
  text: string,
  options: { readonly replace: boolean },
): void {
  const temporary = `${file}.new-${process.pid}`;
  try {
    const descriptor = openSync(temporary, "wx", 0o600);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    if (options.replace) renameSync(temporary, file);
    else linkSync(temporary, file); // unlike rename, refuses to replace
  } finally {
    rmSync(temporary, { force: true });
  }
}

function refusePermissions(file: string, stats: Stats): void {
  const mode = stats.mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new PanError(
      "PAN_BUNDLE_PERMISSIONS",
      `${file} has mode ${mode.toString(8).padStart(4, "0")}, so others can read the key in it. ` +
        `Make it private with "chmod 0600 ${file}", and renew it if others have used this machine.`,
    );
  }
  const user = geteuid?.() ?? 0;
  if (stats.uid !== user && stats.uid !== 0) {
    throw new PanError(
      "PAN_BUNDLE_PERMISSIONS",
      `${file} belongs to user ${stats.uid}, who could change it. Use "chown ${user} ${file}".`,
    );
  }
}

/**
 * The text of a file that only its owner can read. PAN_BUNDLE_PERMISSIONS when others can too,
 * `unreadable` when there is no such file, or it is no regular file of a sensible size.
 */
export function readPrivateFile(
  file: string,
  unreadable: { readonly code: ErrorCode; readonly remedy: string },
): string {
  const refuse = (reason: string, cause?: unknown): PanError =>
    new PanError(unreadable.code, `Cannot read ${file}: ${reason}. ${unreadable.remedy}`, {
      cause,
    });
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    throw refuse(codeOf(error) === "ENOENT" ? "no such file" : String(codeOf(error)), error);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw refuse("it is not a regular file");
    if (stats.size > MAX_BYTES) throw refuse(`${stats.size} bytes are too many for a key file`);
    refusePermissions(file, stats);
    return readFileSync(descriptor, "utf8");
  } finally {
    closeSync(descriptor);
  }
}
