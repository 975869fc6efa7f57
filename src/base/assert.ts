// Broken invariants of our own. Never used for what a peer, a disk or an operator can cause.

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws when our own reasoning turned out wrong; the process stops and the node fails over. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionError(what);
}
