// Why a control connection could not be made, or a request over it got no answer. Values of the daemon's inputs, not texts for
// operators: a member that cannot reach its master tries again.

export type ControlErrorReason =
  /** Nobody accepts connections there, or the network does not lead there. */
  | "unreachable"
  /** Whoever answers has no valid certificate of this cluster. */
  | "untrusted-server"
  /** A node of this cluster answers, but not the one that was meant. */
  | "wrong-node"
  /** The other side did not let us in, or closed before it said anything. */
  | "refused"
  | "timeout"
  | "aborted"
  /** The connection ended before the answer came. */
  | "closed"
  /** Too many requests wait for answers. */
  | "busy"
  | "too-long";

export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly reason: ControlErrorReason;

  constructor(reason: ControlErrorReason, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.reason = reason;
  }
}
