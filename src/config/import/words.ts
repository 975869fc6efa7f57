// Small things that every importer reads: ports, and words looked up in a table.

/** 0 … 65 535, 0 where nothing is said; undefined: it is no port. */
export function readPort(text = "0"): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= 65_535 ? port : undefined;
}

/** Port 0 of a virtual server stands for all of them. */
export const orAny = (port: number): number | "any" => (port === 0 ? "any" : port);

/** A word of a file may be called like anything, also like what every object has. */
export const lookUp = <T>(table: Readonly<Record<string, T>>, word: string): T | undefined =>
  Object.hasOwn(table, word) ? table[word] : undefined;
