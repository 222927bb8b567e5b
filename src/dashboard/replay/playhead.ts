/** The clock that plays the past. It moves by steps, one per picture, so that all of a picture is of one moment. */
import type { Clock } from '../shell/clock.ts';

/** A step is no longer than this in real time: a tab that was out of sight goes on where it was, milliseconds. */
const LONGEST_STEP_MS = 250;

export class Playhead implements Clock {
  readonly exact = true;
  speed = 1;
  #at: number;
  #real = Number.NaN;

  /** Stands at `at`, Unix ms. */
  constructor(at: number) {
    this.#at = at;
  }

  now(): number {
    return this.#at;
  }

  /** Moves on with the real clock, which shows `real`, but not beyond `most`. Returns how far, milliseconds. */
  step(real: number, most: number): number {
    const passed = Math.min(Math.max(0, real - this.#real), LONGEST_STEP_MS);
    this.#real = real;
    const before = this.#at;
    if (passed > 0) this.#at = Math.max(before, Math.min(before + passed * this.speed, most));
    return this.#at - before;
  }

  /** Stands still until the step after the next. */
  rest(): void {
    this.#real = Number.NaN;
  }

  seek(at: number): void {
    this.#at = at;
  }
}
