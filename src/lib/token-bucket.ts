/**
 * A token bucket: lets `rate` a second through, and a burst of `burst`. Times are ms of a clock that is never set, as
 * `performance.now()`: when the wall clock is set, nobody is to wait for it, and nobody gets more.
 */
export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  #level: number;
  #at: number;

  constructor(rate: number, burst: number, now: number) {
    this.#rate = rate;
    this.#burst = burst;
    this.#level = burst;
    this.#at = now;
  }

  /** Takes `n`; false if there are not so many, and then none is taken. `now` as above. */
  take(n: number, now: number): boolean {
    this.#fill(now);
    if (this.#level < n) return false;
    this.#level -= n;
    return true;
  }

  /** True if nothing is missing at `now`: forgetting such a bucket forgives nothing. */
  isFull(now: number): boolean {
    this.#fill(now);
    return this.#level >= this.#burst;
  }

  #fill(now: number): void {
    if (now <= this.#at) return;
    this.#level = Math.min(this.#burst, this.#level + ((now - this.#at) * this.#rate) / 1000);
    this.#at = now;
  }
}
