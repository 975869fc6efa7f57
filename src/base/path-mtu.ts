// The least that a way between nodes carries (B11, docs/adr/0022).

/** Leaves room for the smallest packet that IPv6 lets nobody refuse, 1280 bytes (RFC 8200), behind the longest outer header. */
export const LOWEST_PATH_MTU = 1324;
