// What is wrong with a configuration and where, before it is known in which line that is.

/** Keys and indices from the top of the document. */
export type Path = readonly (string | number)[];

export interface Finding {
  readonly path: Path;
  /** Point at the key itself rather than at its value. */
  readonly atKey?: boolean;
  /** Says what is wrong and what to write instead. */
  readonly message: string;
  /** The earlier of two places that contradict each other. */
  readonly earlier?: Path;
}

export type Report = (finding: Finding) => void;

/** "groups[0].services[2]"; the whole document is "the configuration". */
export function showPath(path: Path): string {
  const text = path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`))
    .join("")
    .replace(/^\./, "");
  return text === "" ? "the configuration" : text;
}

/** The values of a document in which what was refused is missing, so that the rest can be checked too. */
export type Draft<T> = T extends readonly (infer Item)[]
  ? readonly (Draft<Item> | undefined)[]
  : T extends object
    ? { readonly [Key in keyof T]?: Draft<T[Key]> | undefined }
    : T;
