/** Days of UTC, as the record counts them. */

export const DAY_MS = 24 * 3_600_000;

/** Returns the day of a time, as `2026-11-20`. */
export function dayText(t: number): string {
  return new Date(t).toISOString().slice(0, 10);
}
