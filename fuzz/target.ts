// What the fuzzer needs to know of a decoder.

export interface Target {
  readonly name: string;
  /** Valid inputs, from which others are made. */
  readonly seeds: readonly Uint8Array[];
  /** Makes a checksum right again, so that a mutation reaches what lies behind it. */
  readonly mend?: (bytes: Uint8Array) => Uint8Array;
  /**
   * Decodes and checks what must hold of every input; throws when it does not. Answers a short word for what
   * happened: an input with a new word is worth mutating further.
   */
  readonly run: (bytes: Uint8Array) => string;
}
