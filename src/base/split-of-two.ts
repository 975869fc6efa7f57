// What sessions do where two members lose each other (A16, docs/adr/0029). Operators and the core use the same words.

/** Whoever is left speaks; or only the one with the lowest id, and the other is silent until they meet again. */
export const SPLITS_OF_TWO = ["both", "lowest"] as const;
export type SplitOfTwo = (typeof SPLITS_OF_TWO)[number];
