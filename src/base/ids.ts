// Names and numbers by which nodes, services and tables are known in every layer.

/** 1..4095, unique in a cluster, fixed by the node's certificate. 0 means "no node". */
export type NodeId = number & { readonly __id: "node" };
export const MAX_NODE_ID = 4095;
export const NO_NODE = 0 as NodeId;

export function nodeId(value: number): NodeId {
  if (!Number.isInteger(value) || value < 0 || value > MAX_NODE_ID) {
    throw new RangeError(`Cannot use ${value} as a node id: it must be 0..${MAX_NODE_ID}`);
  }
  return value as NodeId;
}

/** Order of published tables: a later master has a higher epoch; within one, the counter rises. */
export interface TableVersion {
  readonly epoch: number;
  readonly counter: number;
  /** Breaks the tie of two masters that were elected apart from each other. */
  readonly master: NodeId;
}

export const NO_TABLES: TableVersion = { epoch: 0, counter: 0, master: NO_NODE };

/** Negative: a is older than b. */
export function compareVersions(a: TableVersion, b: TableVersion): number {
  return a.epoch - b.epoch || a.master - b.master || a.counter - b.counter;
}

/** Which configuration a node runs (A4): a counter, and the hash of the canonical form. */
export interface ConfigVersion {
  readonly counter: number;
  /** First eight bytes of SHA-256 over the canonical configuration, lower-case hex. */
  readonly digest: string;
}

export const sameConfig = (a: ConfigVersion, b: ConfigVersion): boolean =>
  a.counter === b.counter && a.digest === b.digest;
