// Which scripts are run (A10): every executable file of the hook folder, in the order of names. They run with the rights of the agent, so
// folder and files must belong to root and be writable by nobody else.
import { lstatSync, readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import path from "node:path";

/** Further files are refused. */
export const MAX_HOOKS = 64;
/** Files with this ending are asked about joins; all others are told what happens. */
export const VOTE_ENDING = ".vote";
/** Backups of editors and packages, and hidden files, are no hooks. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const BACKUP = /\.(bak|orig|rpmnew|rpmsave|dpkg-[a-z]+|swp)$/;
const ANY_EXECUTE = 0o111;
const WRITABLE_BY_OTHERS = 0o022;

export interface HookFiles {
  /** Paths, in order. */
  readonly events: readonly string[];
  readonly votes: readonly string[];
  /** What would be a hook, and why it is not run. */
  readonly refused: readonly { readonly file: string; readonly problem: string }[];
}

const NONE: HookFiles = { events: [], votes: [], refused: [] };

/** A folder that does not exist has no hooks. */
export function listHooks(folder: string): HookFiles {
  const place = statSync(folder, { throwIfNoEntry: false });
  if (place?.isDirectory() !== true) return NONE;
  const unsafe = problemOf(place, folder);
  if (unsafe !== undefined) return { ...NONE, refused: [{ file: folder, problem: unsafe }] };
  const events: string[] = [];
  const votes: string[] = [];
  const refused: { file: string; problem: string }[] = [];
  for (const name of readdirSync(folder).sort()) {
    const file = path.join(folder, name);
    if (!isHook(name, file)) continue;
    const problem =
      events.length + votes.length < MAX_HOOKS
        ? problemOfFile(file)
        : `more than ${MAX_HOOKS} hooks; let one of them call the others`;
    if (problem !== undefined) refused.push({ file, problem });
    else if (name.endsWith(VOTE_ENDING)) votes.push(file);
    else events.push(file);
  }
  return { events, votes, refused };
}

function isHook(name: string, file: string): boolean {
  if (!NAME.test(name) || BACKUP.test(name)) return false;
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats?.isFile() === true && (stats.mode & ANY_EXECUTE) !== 0;
}

function problemOfFile(file: string): string | undefined {
  const real = realpathSync(file);
  const isLink = lstatSync(file).isSymbolicLink();
  const home = path.dirname(real);
  return problemOf(statSync(real), real) ?? (isLink ? problemOf(statSync(home), home) : undefined);
}

/** Undefined: only root, or the user that the agent runs as, can change it. */
function problemOf({ uid, mode }: Stats, file: string): string | undefined {
  if (uid !== 0 && uid !== process.geteuid?.()) {
    return `${file} belongs to user ${uid}, who could make the agent run anything: chown root ${file}`;
  }
  if ((mode & WRITABLE_BY_OTHERS) !== 0) {
    return `others than the owner may write ${file} and make the agent run anything: chmod go-w ${file}`;
  }
  return undefined;
}
