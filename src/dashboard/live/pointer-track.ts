/**
 * The recent samples of one pointer, and the position at which to draw it. Samples arrive in batches, one per frame of
 * the tracker. Drawing them with a small delay, at their own times, makes the motion smooth again.
 */

/** Number of stored samples: two seconds at 60 Hz, more than trail and delay need. */
const CAPACITY = 128;
/** A pointer that rested longer than this starts to move only this long before its next sample, milliseconds. */
const GLIDE_MS = 120;
/** Maximum growth of the lag per event, so that one early event does not determine it forever. */
const LAG_DRIFT_MS = 0.1;
/** Minimum change of the lag that is not jitter: the sender's clock was set, or the stream was interrupted. */
const LAG_JUMP_MS = 2000;

export class PointerTrack {
  /** Number of samples added so far; the newest has index `count - 1`. */
  count = 0;
  /** Position at which the pointer is drawn since the last `advance`, page pixels. */
  x = 0;
  y = 0;
  /** Index of the last sample played, and the time of playback on the clock of the samples. */
  index = -1;
  played = 0;
  /** Arrival of the newest samples, on the clock of `now`; 0 if there are none. */
  arrived = 0;
  readonly #time = new Float64Array(CAPACITY);
  readonly #x = new Float32Array(CAPACITY);
  readonly #y = new Float32Array(CAPACITY);
  /**
   * Offset from the time of a sample to our clock, at the minimum delay observed. Stored per pointer, because simple
   * clients use their own clocks.
   */
  #lag = Number.NaN;

  /** Removes all samples, for example on a new page. */
  clear(): void {
    this.count = 0;
    this.index = -1;
    this.#lag = Number.NaN;
  }

  /** Sets a position without a time, as a snapshot contains it. */
  place(x: number, y: number): void {
    this.clear();
    this.push(0, x, y);
    this.#moveToNewest();
  }

  /** Adds a sample. `time` is on the sender's clock, ms; times never decrease. */
  push(time: number, x: number, y: number): void {
    const last = this.count === 0 ? 0 : this.newest;
    const i = this.count % CAPACITY;
    this.#time[i] = Math.max(time, last);
    this.#x[i] = x;
    this.#y[i] = y;
    this.count += 1;
  }

  /** Must be called after the samples of one event. `now` is on the same clock as for `advance`, ms. */
  arrive(now: number): void {
    const offset = now - this.newest;
    const isJump = !(Math.abs(offset - this.#lag) < LAG_JUMP_MS);
    this.#lag = isJump ? offset : Math.min(this.#lag + LAG_DRIFT_MS, offset);
    this.arrived = now;
  }

  /** Moves `x`, `y` to the position of the pointer `delay` ms before `now`. Returns false if no position is known. */
  advance(now: number, delay: number): boolean {
    if (this.count === 0) return false;
    this.played = now - this.#lag - delay;
    if (Number.isNaN(this.played)) {
      this.#moveToNewest();
      return true;
    }
    let i = this.count - 1;
    const oldest = this.oldest;
    while (i > oldest && this.timeAt(i) > this.played) i--;
    this.index = i;
    this.#interpolate(i);
    return true;
  }

  /** Time of the newest sample on the sender's clock; NaN if there are none. */
  get newest(): number {
    return this.count === 0 ? Number.NaN : this.timeAt(this.count - 1);
  }

  /** Index of the oldest stored sample. */
  get oldest(): number {
    return Math.max(0, this.count - CAPACITY);
  }

  timeAt(index: number): number {
    return this.#time[index % CAPACITY] as number;
  }

  xAt(index: number): number {
    return this.#x[index % CAPACITY] as number;
  }

  yAt(index: number): number {
    return this.#y[index % CAPACITY] as number;
  }

  #interpolate(i: number): void {
    this.x = this.xAt(i);
    this.y = this.yAt(i);
    if (i === this.count - 1) return;
    const end = this.timeAt(i + 1);
    const start = Math.max(this.timeAt(i), end - GLIDE_MS);
    const share = end > start ? Math.min(1, Math.max(0, (this.played - start) / (end - start))) : 0;
    this.x += (this.xAt(i + 1) - this.x) * share;
    this.y += (this.yAt(i + 1) - this.y) * share;
  }

  #moveToNewest(): void {
    this.index = this.count - 1;
    this.x = this.xAt(this.index);
    this.y = this.yAt(this.index);
  }
}
