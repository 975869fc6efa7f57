// Which scripts are run (A10): every executable file of the hook folder, in the order of names. They run with the rights of the agent, so
// folder and files must belong to root and be writable by nobody else. What cannot be looked at is refused like them: others may change
// the folder at any moment, and no agent stays away because of a script.
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
  readonly refused: readonly Refused[];
}

export interface Refused {
  readonly file: string;
  readonly problem: string;
}

const NONE: HookFiles = { events: [], votes: [], refused: [] };

/** A folder that does not exist has no hooks. */
export function listHooks(folder: string): HookFiles {
  const names = looked(folder, () => namesIn(folder));
  if ("problem" in names) return { ...NONE, refused: [names] };
  const events: string[] = [];
  const votes: string[] = [];
  const refused: Refused[] = [];
  for (const name of names.found) {
    const file = path.join(folder, name);
    const hasRoom = events.length + votes.length < MAX_HOOKS;
    const use = looked(file, () => useOf(file, hasRoom));
    if ("problem" in use) refused.push(use);
    else if (use.found === "votes") votes.push(file);
    else if (use.found === "events") events.push(file);
  }
  return { events, votes, refused };
}

class Refusal extends Error {}

/** What was found, or why it is refused. */
function looked<T>(file: string, look: () => T): { readonly found: T } | Refused {
  try {
    return { found: look() };
  } catch (error) {
    if (error instanceof Refusal) return { file, problem: error.message };
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    return { file, problem: REFUSING[code] ?? `cannot be looked at (${syscall}: ${code})` };
  }
}

const REFUSING: Readonly<Record<string, string | undefined>> = {
  ELOOP: "its symbolic links lead round in a circle: remove it, or let it point to a file",
  ENOENT: "it was removed while it was looked at; if it comes back, it is run again",
  EACCES: "the agent may not look at it: give its folders the right to be searched (chmod +x)",
  ENOTDIR: "a part of its path is no folder: let it point to a file",
};

/** Names that may be those of hooks, in order. */
function namesIn(folder: string): string[] {
  const place = statSync(folder, { throwIfNoEntry: false });
  if (place?.isDirectory() !== true) return [];
  refuse(problemOf(place, folder));
  return readdirSync(folder)
    .filter((name) => NAME.test(name) && !BACKUP.test(name))
    .sort();
}

/** Undefined: it is no hook. */
function useOf(file: string, hasRoom: boolean): "votes" | "events" | undefined {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats?.isFile() !== true || (stats.mode & ANY_EXECUTE) === 0) return undefined;
  refuse(hasRoom ? problemOfFile(file) : `more than ${MAX_HOOKS} hooks; let one call the others`);
  return file.endsWith(VOTE_ENDING) ? "votes" : "events";
}

function refuse(problem: string | undefined): void {
  if (problem !== undefined) throw new Refusal(problem);
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
