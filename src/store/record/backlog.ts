/** When the frames in a journal are compacted. */

/** How long frames wait in the journal before compaction, milliseconds. A longer wait packs visits better. */
export const COMPACT_AFTER_MS = 10_000;

/**
 * Returns a time, Unix ms. A journal entry from after it was committed before the clock was set back. It is compacted
 * at once, because its age is unknown.
 */
export function clockSetBackAfter(now: number): number {
  return now + COMPACT_AFTER_MS;
}
