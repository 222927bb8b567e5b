/**
 * The store's clock: the age of visits is measured with it. The system's clock may be wrong, set by hand or by a
 * computer without a battery. If it were ahead by more than `--retain`, every visit would be removed at once. The
 * store's clock follows the system's clock, but runs at most MAX_RATE times as fast as real time. A server that was off
 * for a month has caught up after a bit more than a day. A system clock that is wrong for an hour removes at most the
 * visits of one more day.
 */
export const MAX_RATE = 24;
/** How often the store's time is saved, milliseconds. */
export const SAVE_INTERVAL_MS = 60_000;
/** A system clock that is ahead of the store's time by more than this is reported, milliseconds. */
export const MAX_AHEAD_MS = 3_600_000;

/**
 * Returns the store's time, Unix ms. `elapsed`: milliseconds since the time `stored` was saved. `wall`: the system's
 * clock, which is followed in both directions.
 */
export function followClock(stored: number, elapsed: number, wall: number): number {
  const maxStep = MAX_RATE * Math.max(0, elapsed);
  return Math.min(stored + maxStep, Math.max(stored - maxStep, wall));
}

/**
 * Returns the time by which the age of visits is measured: the system's clock or the store's time, whichever is
 * earlier.
 */
export function ageTime(stored: number, elapsed: number, wall: number): number {
  return Math.min(wall, followClock(stored, elapsed, wall));
}

/** Why visits were removed. age: --retain · cap: --max-store · site: their site was removed · erase: on request */
export const REASONS = ['age', 'cap', 'site', 'erase'] as const;
export type Reason = (typeof REASONS)[number];
export type Removed = Record<Reason, number>;

export function noneRemoved(): Removed {
  return { age: 0, cap: 0, site: 0, erase: 0 };
}

/** What to log about removed visits. */
export interface RemovalReport {
  /** How many visits were removed since the last report. */
  removed: Removed;
  /**
   * How far the system's clock is ahead of the store's time, milliseconds, if visits are retained because of that;
   * otherwise 0.
   */
  heldMs: number;
}
