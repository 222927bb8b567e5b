/** When what waits in a journal is filed. */

/** What was committed is filed when it has waited so long, milliseconds: longer makes better packed visits. */
export const COMPACT_AFTER_MS = 10_000;

/**
 * What is from later than this, Unix ms, was committed before the clock was set back. It is due at once, since nobody
 * knows how long it has waited.
 */
export function aheadOf(now: number): number {
  return now + COMPACT_AFTER_MS;
}
