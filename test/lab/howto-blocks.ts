// Reads the runnable blocks of a how-to: fences whose first line is "```sh MACHINE", and the comments
// "<!-- shows: TEXT -->" or "<!-- shows once: TEXT -->" that follow them. Fences marked "```sh no-test" are for readers only.

export interface Block {
  /** Name of the host on which it is run. */
  readonly machine: string;
  readonly script: string;
  /** What the output must come to contain. */
  readonly shows: readonly string[];
  /** The block changes something, so it is not repeated until it shows what it should. */
  readonly once: boolean;
  readonly file: string;
  readonly line: number;
}

/** File and line, for messages. */
export const placeOf = ({ file, line }: Pick<Block, "file" | "line">): string => `${file}:${line}`;

const FENCE = /^```sh *(\S*)\n([\s\S]*?)^```\n((?:<!-- shows(?: once)?: .* -->\n)*)/gm;

/** Throws when a shell block names neither a machine nor "no-test". */
export function readBlocks(file: string, text: string): Block[] {
  return [...text.matchAll(FENCE)].flatMap(
    ({ index, 1: machine = "", 2: script = "", 3: after = "" }) => {
      const line = text.slice(0, index).split("\n").length;
      if (machine === "")
        throw new Error(`${placeOf({ file, line })}: say where the block is run, or "no-test"`);
      if (machine === "no-test") return [];
      const shows = [...after.matchAll(/<!-- shows(?: once)?: (.*) -->/g)].map(
        ([, shown = ""]) => shown,
      );
      const once = shows.length === 0 || after.includes("<!-- shows once:");
      return [{ machine, script, shows, once, file, line }];
    },
  );
}
