/** Bytes in a GB, as settings and engines count it. */
export const BYTES_PER_GB = 1e9;
