/**
 * A token bucket: allows `rate` per second, and a burst of `burst`. Times are ms of a clock that nobody can set, such
 * as `performance.now()`: a change of the system clock must neither block nor favour anyone.
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

  /** Takes `n` tokens. Returns false, and takes none, if fewer are left. `now` as above. */
  take(n: number, now: number): boolean {
    this.#fill(now);
    if (this.#level < n) return false;
    this.#level -= n;
    return true;
  }

  /** True if the bucket is full at `now`: then it can be forgotten. */
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
