// How much of connections is kept at most, at the owner and at its replicas, and what happens then: the connection goes on without
// protection, which is counted and told; it is never stalled for it.

export interface TakeoverLimits {
  /** Connections of one owner. */
  readonly connections: number;
  /** Of one connection: snapshot, input and output since it. An application that takes snapshots stays far below. */
  readonly bytesPerConnection: number;
  /** Of all connections of one owner. */
  readonly bytes: number;
}

export const TAKEOVER_LIMITS: TakeoverLimits = {
  connections: 65_536,
  bytesPerConnection: 4 * 1024 * 1024,
  bytes: 512 * 1024 * 1024,
};
