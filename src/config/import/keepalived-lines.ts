// The words and braces of a keepalived.conf: statements of words, some with a block of statements. Comments (# and !), quoted strings,
// lines continued by a backslash, definitions ($NAME=value) and included files are dealt with here; what they mean is not.
import type { Note, Place } from "./model.ts";
import { MAX_LINES } from "./model.ts";

export interface Statement extends Place {
  readonly words: readonly string[];
  /** Absent: it has no braces. */
  block?: readonly Statement[];
}

/** Reads the files that a pattern of `include` names, relative to the file that says so. Undefined: none can be read. */
export type ReadFiles = (
  pattern: string,
  from: string,
) => readonly { readonly file: string; readonly text: string }[] | undefined;

export interface Lines {
  readonly statements: readonly Statement[];
  readonly notes: readonly Note[];
}

const MAX_FILES = 1000;
const MAX_DEPTH = 16;

interface Open {
  readonly statements: Statement[];
  readonly opened: Place;
}

export function readLines(text: string, file: string, readFiles: ReadFiles): Lines {
  const reader = new LineReader(readFiles);
  return { statements: reader.file(text, file, 0), notes: reader.notes };
}

class LineReader {
  readonly notes: Note[] = [];
  readonly #readFiles: ReadFiles;
  readonly #definitions = new Map<string, string>();
  #files = 0;
  #lines = 0;

  constructor(readFiles: ReadFiles) {
    this.#readFiles = readFiles;
  }

  #wrong({ file, line }: Place, text: string): void {
    this.notes.push({ file, line, kind: "wrong", text });
  }

  /** Braces are balanced within each file. */
  file(text: string, file: string, depth: number): Statement[] {
    const top: Statement[] = [];
    const stack: Open[] = [{ statements: top, opened: { file, line: 1 } }];
    for (const { words, line } of this.#tokens(text, file)) {
      this.#take(words, { file, line }, stack, depth);
    }
    for (const { opened } of stack.slice(1)) {
      this.#wrong(opened, 'this block has no end; add its "}"');
    }
    return top;
  }

  #take(words: readonly Token[], place: Place, stack: Open[], depth: number): void {
    let statement: string[] = [];
    const here = (): Statement[] => stack.at(-1)?.statements ?? [];
    const finish = (): void => {
      if (statement.length === 0) return;
      if (/^include[a-z]*$/.test(statement[0] ?? "")) {
        here().push(...this.#include(statement, place, depth));
      } else here().push({ ...place, words: statement });
      statement = [];
    };
    for (const { text, quoted } of words) {
      if (!quoted && text === "{") {
        finish();
        this.#open(here().at(-1), place, stack);
      } else if (!quoted && text === "}") {
        finish();
        if (stack.length === 1) this.#wrong(place, 'no block is open here; remove this "}"');
        else stack.pop();
      } else statement.push(text);
    }
    finish();
  }

  #open(owner: Statement | undefined, place: Place, stack: Open[]): void {
    const statements: Statement[] = [];
    if (owner === undefined || owner.block !== undefined) {
      this.#wrong(place, 'this block has no name; write one before its "{"');
    } else owner.block = statements;
    stack.push({ statements, opened: place });
  }

  #include([keyword = "", pattern]: readonly string[], place: Place, depth: number): Statement[] {
    if (pattern === undefined) {
      this.#wrong(place, `${keyword} names no file`);
      return [];
    }
    if (depth >= MAX_DEPTH) {
      this.#wrong(place, `files include one another more than ${MAX_DEPTH} deep`);
      return [];
    }
    const files = this.#readFiles(pattern, place.file);
    if (files === undefined || files.length === 0) {
      this.#wrong(place, `${keyword} ${pattern}: there is no such file that can be read`);
      return [];
    }
    return files.flatMap(({ file, text }) => {
      this.#files += 1;
      if (this.#files === MAX_FILES + 1)
        this.#wrong(place, `more than ${MAX_FILES} files are included`);
      return this.#files > MAX_FILES ? [] : this.file(text, file, depth + 1);
    });
  }

  *#tokens(text: string, file: string): Generator<{ words: readonly Token[]; line: number }> {
    const lines = text.split(/\r?\n/);
    this.#lines += lines.length;
    if (this.#lines > MAX_LINES) {
      this.#wrong({ file, line: 1 }, `more than ${MAX_LINES} lines; split the file`);
      return;
    }
    for (let index = 0; index < lines.length; index++) {
      const line = index + 1;
      let content = lines[index] ?? "";
      while (content.endsWith("\\") && index + 1 < lines.length) {
        index += 1;
        content = `${content.slice(0, -1)} ${lines[index] ?? ""}`;
      }
      const words = this.#line(content, { file, line });
      if (words.length > 0) yield { words, line };
    }
  }

  #line(content: string, place: Place): readonly Token[] {
    const definition = /^\s*\$([A-Za-z_]\w*)=\s*(.*?)\s*$/.exec(content);
    if (definition !== null) {
      const [, name = "", value = ""] = definition;
      this.#definitions.set(name, this.#expand(value, place));
      return [];
    }
    const tokens = tokensOf(this.#expand(content, place));
    if (tokens === undefined) {
      this.#wrong(place, 'a quoted string has no end; add its "');
      return [];
    }
    const [first] = tokens;
    if (first?.quoted === false && /^[@~]/.test(first.text)) {
      this.#wrong(
        place,
        `"${first.text}" makes the line depend on how keepalived is started; give the lines that count, without it`,
      );
      return tokens.slice(1); // its braces still count
    }
    return tokens;
  }

  #expand(content: string, place: Place): string {
    if (!content.includes("$")) return content;
    return content.replaceAll(
      /\$(?:\{(\w+)\}|([A-Za-z_]\w*))/g,
      (whole, braced?: string, plain?: string) => {
        const value = this.#definitions.get(braced ?? plain ?? "");
        if (value === undefined)
          this.#wrong(place, `${whole} is not defined above; write what it stands for`);
        return value ?? whole;
      },
    );
  }
}

interface Token {
  readonly text: string;
  readonly quoted: boolean;
}

/** Undefined: a quoted string has no end. */
function tokensOf(content: string): Token[] | undefined {
  const tokens: Token[] = [];
  let rest = content.trimStart();
  while (rest !== "" && !/^[#!]/.test(rest)) {
    const quoted = /^(["'])((?:\\.|(?!\1)[^\\])*)\1/.exec(rest);
    if (quoted === null && /^["']/.test(rest)) return undefined;
    const text = quoted?.[2] ?? /^(?:[{}]|[^\s{}#!"'][^\s{}#!]*|.)/.exec(rest)?.[0] ?? "";
    tokens.push({
      text: quoted === null ? text : text.replaceAll(/\\(.)/g, "$1"),
      quoted: quoted !== null,
    });
    rest = rest.slice(quoted?.[0].length ?? text.length).trimStart();
  }
  return tokens;
}
