/**
 * The time of one visit: Unix ms that advance evenly. The system clock may be changed during a visit; durations stay
 * right.
 */
export class VisitClock {
  readonly #ahead: number;

  /** `least`, Unix ms: the clock starts no earlier, because events of the visitor are known up to that time. */
  constructor(least = 0) {
    this.#ahead = Math.max(Date.now(), least) - performance.now();
  }

  /** Returns the time in Unix ms. */
  now(): number {
    return Math.round(this.#ahead + performance.now());
  }
}
