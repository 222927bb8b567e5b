/**
 * The recent samples of one pointer, and where to draw it. Samples come in lumps, one per frame of the
 * tracker; drawing a little behind them, at their own times, makes the way smooth again.
 */

/** Samples kept: two seconds at 60 Hz, more than trail and delay need. */
const CAPACITY = 128;
/** A pointer that rested longer than this moves off only this long before its next sample, milliseconds. */
const GLIDE_MS = 120;
/** How fast the lag may grow with every event, so that one lucky early event does not rule forever. */
const LAG_DRIFT_MS = 0.1;
/** A change of lag that is no jitter: the sender's clock was set, or the stream stood still. */
const LAG_JUMP_MS = 2000;

export class PointerTrack {
  /** Samples ever pushed; the newest has index `count - 1`. */
  count = 0;
  /** Where the pointer is drawn, page pixels, since the last `advance`. */
  x = 0;
  y = 0;
  /** Index of the last sample played, and the time played to on the samples' clock. */
  index = -1;
  played = 0;
  /** When the newest samples arrived, on the clock of `now`; 0 before any. */
  arrived = 0;
  readonly #time = new Float64Array(CAPACITY);
  readonly #x = new Float32Array(CAPACITY);
  readonly #y = new Float32Array(CAPACITY);
  /**
   * What to add to a sample's time to have it on our clock, at the least delay seen. Kept per pointer,
   * because simple clients stamp samples by their own clocks.
   */
  #lag = Number.NaN;

  /** Forgets all, as on a new page. */
  clear(): void {
    this.count = 0;
    this.index = -1;
    this.#lag = Number.NaN;
  }

  /** Puts the pointer at a place without a time, as a snapshot tells it. */
  place(x: number, y: number): void {
    this.clear();
    this.push(0, x, y);
    this.#settle();
  }

  /** Adds a sample, `time` in ms on the sender's clock. Times do not run back. */
  push(time: number, x: number, y: number): void {
    const last = this.count === 0 ? 0 : this.newest;
    const i = this.count % CAPACITY;
    this.#time[i] = Math.max(time, last);
    this.#x[i] = x;
    this.#y[i] = y;
    this.count += 1;
  }

  /** To call after the samples of one event. `now` in ms on any clock that `advance` gets too. */
  arrive(now: number): void {
    const seen = now - this.newest;
    const jump = !(Math.abs(seen - this.#lag) < LAG_JUMP_MS);
    this.#lag = jump ? seen : Math.min(this.#lag + LAG_DRIFT_MS, seen);
    this.arrived = now;
  }

  /** Moves `x`, `y` to where the pointer was `delay` ms before `now`. False while no place is known. */
  advance(now: number, delay: number): boolean {
    if (this.count === 0) return false;
    this.played = now - this.#lag - delay;
    if (Number.isNaN(this.played)) {
      this.#settle();
      return true;
    }
    let i = this.count - 1;
    const oldest = this.oldest;
    while (i > oldest && this.timeAt(i) > this.played) i--;
    this.index = i;
    this.#between(i);
    return true;
  }

  /** Time of the newest sample, on its own clock. NaN before any. */
  get newest(): number {
    return this.count === 0 ? Number.NaN : this.timeAt(this.count - 1);
  }

  /** Index of the oldest sample still kept. */
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

  #between(i: number): void {
    this.x = this.xAt(i);
    this.y = this.yAt(i);
    if (i === this.count - 1) return;
    const end = this.timeAt(i + 1);
    const begin = Math.max(this.timeAt(i), end - GLIDE_MS);
    const share = end > begin ? Math.min(1, Math.max(0, (this.played - begin) / (end - begin))) : 0;
    this.x += (this.xAt(i + 1) - this.x) * share;
    this.y += (this.yAt(i + 1) - this.y) * share;
  }

  #settle(): void {
    this.index = this.count - 1;
    this.x = this.xAt(this.index);
    this.y = this.yAt(this.index);
  }
}
