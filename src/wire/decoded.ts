// What every decoder answers. "incomplete" is an answer of its own, never an exception.

export type DecodeFailure = "incomplete" | "malformed" | "unsupported";

export type Decoded<T> =
  | { readonly ok: true; readonly value: T; /** Bytes consumed. */ readonly length: number }
  | { readonly ok: false; readonly reason: DecodeFailure };

export const refused = (
  reason: DecodeFailure,
): { readonly ok: false; readonly reason: DecodeFailure } => ({
  ok: false,
  reason,
});
