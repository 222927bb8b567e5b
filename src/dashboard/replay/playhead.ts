/** The clock of a playback. It advances once per frame, so that everything in a frame shows the same moment. */
import type { Clock } from '../shell/clock.ts';

/** Maximum length of a step, real milliseconds. A tab that was hidden continues where it stopped. */
const MAX_STEP_MS = 250;

export class Playhead implements Clock {
  readonly exact = true;
  speed = 1;
  #at: number;
  #real = Number.NaN;

  /** `at`: the start, Unix ms. */
  constructor(at: number) {
    this.#at = at;
  }

  now(): number {
    return this.#at;
  }

  /**
   * Advances by the real time since the last step, but not beyond `limit`, Unix ms. `real` is the current real time,
   * milliseconds. Returns the distance, milliseconds.
   */
  step(real: number, limit: number): number {
    const elapsed = Math.min(Math.max(0, real - this.#real), MAX_STEP_MS);
    this.#real = real;
    const before = this.#at;
    if (elapsed > 0) this.#at = Math.max(before, Math.min(before + elapsed * this.speed, limit));
    return this.#at - before;
  }

  /** Pauses the clock: the real time until the next step does not count. */
  rest(): void {
    this.#real = Number.NaN;
  }

  seek(at: number): void {
    this.#at = at;
  }
}
