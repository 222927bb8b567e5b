/**
 * The time as one visit knows it: Unix ms that go on evenly. The server's clock may be set while a visitor is here; what the
 * visitor does takes as long as before.
 */
export class VisitClock {
  readonly #ahead: number;

  /** `least`, Unix ms: what is already known of the visitor is from before it, whatever the server's clock says now. */
  constructor(least = 0) {
    this.#ahead = Math.max(Date.now(), least) - performance.now();
  }

  /** Unix ms. */
  now(): number {
    return Math.round(this.#ahead + performance.now());
  }
}
