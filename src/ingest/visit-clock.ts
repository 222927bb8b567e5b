/**
 * The time of one visit: Unix ms that advance evenly. The system clock may be changed during a visit; durations stay
 * right.
 */
export class VisitClock {
  readonly #offset: number;

  /** `minimum`, Unix ms: the clock starts no earlier, because events of the visitor are known up to that time. */
  constructor(minimum = 0) {
    this.#offset = Math.max(Date.now(), minimum) - performance.now();
  }

  /** Returns the time in Unix ms. */
  now(): number {
    return Math.round(this.#offset + performance.now());
  }
}
