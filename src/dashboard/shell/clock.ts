/** The clock of the stage: the browser's clock, or one that plays the past. */
export interface Clock {
  /** Current time, milliseconds. */
  now(): number;
  /** Milliseconds of this clock per real millisecond. A paused clock keeps its speed. */
  readonly speed: number;
  /** True if samples are played at their own times, not at the times of their arrival. */
  readonly exact: boolean;
}

export const LIVE: Clock = { now: () => performance.now(), speed: 1, exact: false };
