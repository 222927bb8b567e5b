/** What a picture's time runs by: the browser's clock, or one that plays the past. */
export interface Clock {
  /** What `now` of events and pictures counts, milliseconds. */
  now(): number;
  /** How many of them pass per real one, also while it stands. */
  readonly speed: number;
  /** Samples are played at their own times, which are of this clock, however they came. */
  readonly exact: boolean;
}

export const LIVE: Clock = { now: () => performance.now(), speed: 1, exact: false };
