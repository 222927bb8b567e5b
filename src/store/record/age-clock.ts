/**
 * The clock by which visits grow old. The system's clock may be set wrong, by hand or by a machine without a battery: ahead by more than
 * `--retain` it would have every visit removed at once. The store keeps a time of its own, which follows the system's clock at most
 * FASTER times as fast as time passes. A server that was off for a month is up to date after a bit more than a day; a clock
 * that is wrong for an hour removes at most what a day more would have.
 */
export const FASTER = 24;
/** The store's time is written so often, milliseconds. */
export const KEEP_MS = 60_000;
/** The system's clock is said to be ahead if it is so much, milliseconds. */
export const AHEAD_MS = 3_600_000;

/** The store's time, when `elapsed` ms have passed since it was `kept` and the system's clock is at `wall`. It follows that both ways. */
export function followClock(kept: number, elapsed: number, wall: number): number {
  const most = FASTER * Math.max(0, elapsed);
  return Math.min(kept + most, Math.max(kept - most, wall));
}

/** What visits are compared with: the earlier of both. */
export function ageTime(kept: number, elapsed: number, wall: number): number {
  return Math.min(wall, followClock(kept, elapsed, wall));
}

/** Why visits were removed. age: --retain · cap: --max-store · site: their site was removed · erase: somebody asked for it */
export const REASONS = ['age', 'cap', 'site', 'erase'] as const;
export type Reason = (typeof REASONS)[number];
export type Removed = Record<Reason, number>;

export function noneRemoved(): Removed {
  return { age: 0, cap: 0, site: 0, erase: 0 };
}

/** What is to be logged of removing visits. */
export interface RemovalNews {
  /** How many went since this was told last. */
  removed: Removed;
  /** The system's clock is so much ahead of the store's, milliseconds, and visits are kept for that. */
  heldMs: number;
}
