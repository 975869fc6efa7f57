export const STATE_LEASE_OFFSET = 0;
export const STATE_SIZE = 64;
