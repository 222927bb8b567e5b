/** The format of a store, the same number in LMDB and Redis. */

/** Raised when an earlier version cannot read what this one writes. A server raises the number of an older store. */
export const STORE_FORMAT = 3;

/**
 * Returns true if this version reads stores of the format. Format 1 has no places of clicks, and formats 1 and 2 have
 * no heights of pages: record/aggregator.ts.
 */
export function isReadableFormat(format: unknown): boolean {
  return Number.isInteger(format) && (format as number) >= 1 && (format as number) <= STORE_FORMAT;
}
