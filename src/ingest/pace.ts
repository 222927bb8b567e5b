/**
 * How often visitors are asked to send: slower while this worker is overloaded, as asked for while it is not.
 * Fewer samples are better than late or lost ones.
 */

/** Signs of load over the past second. */
export interface Load {
  /** 99th percentile of the event loop's delay, milliseconds. */
  loopDelayMs: number;
  /** The primary does not keep up. */
  saturated: boolean;
}

/** Above this delay the pace is lowered, below the other it may be restored, milliseconds. */
const HIGH_MS = 100;
const LOW_MS = 40;
/** Calm seconds before a step back up; so that the pace does not swing. */
const CALM_S = 5;
/** Each step doubles both intervals: at most eight times as slow. */
const MAX_STEP = 3;

export class Pace {
  readonly #flushMs: number;
  readonly #sampleMs: number;
  #step = 0;
  #calm = 0;

  constructor(flushMs: number, sampleMs: number) {
    this.#flushMs = flushMs;
    this.#sampleMs = sampleMs;
  }

  get flushMs(): number {
    return this.#flushMs * 2 ** this.#step;
  }

  get sampleMs(): number {
    return this.#sampleMs * 2 ** this.#step;
  }

  /** Takes the past second into account. True if the pace has changed. */
  second({ loopDelayMs, saturated }: Load): boolean {
    const before = this.#step;
    if (saturated || loopDelayMs > HIGH_MS) {
      this.#calm = 0;
      this.#step = Math.min(MAX_STEP, this.#step + 1);
    } else if (loopDelayMs < LOW_MS) {
      this.#calm += 1;
      if (this.#calm >= CALM_S && this.#step > 0) {
        this.#calm = 0;
        this.#step -= 1;
      }
    }
    return this.#step !== before;
  }
}
