/** The activity of one visitor in each of the last 60 seconds. Takes 60 bytes per visitor. */
import { ACTIVITY_DIGITS, ACTIVITY_SECONDS } from '../protocol/stream-event.ts';

export class LastMinute {
  readonly #counts = new Uint8Array(ACTIVITY_SECONDS);
  /** The last second with a count. */
  #last = 0;

  /** Counts samples in a second. Seconds must not run backwards. */
  add(second: number, samples: number): void {
    this.#forget(second);
    const i = second % ACTIVITY_SECONDS;
    this.#counts[i] = Math.min((this.#counts[i] as number) + samples, ACTIVITY_DIGITS.length - 1);
    this.#last = second;
  }

  /**
   * One digit per second for the 60 seconds up to this one, oldest first. Seconds before the first count are left out.
   */
  text(second: number): string {
    let text = '';
    for (let i = Math.max(0, second - ACTIVITY_SECONDS + 1); i <= second; i++) {
      const isKept = i <= this.#last && i > this.#last - ACTIVITY_SECONDS;
      const count = isKept ? (this.#counts[i % ACTIVITY_SECONDS] as number) : 0;
      if (text !== '' || count > 0) text += ACTIVITY_DIGITS[count];
    }
    return text;
  }

  /** Clears counts that are a minute old or older: the new second uses their place. */
  #forget(second: number): void {
    const first = Math.max(this.#last + 1, second - ACTIVITY_SECONDS + 1);
    for (let i = first; i <= second; i++) this.#counts[i % ACTIVITY_SECONDS] = 0;
  }
}

/** The current second, by a clock that nobody can set. */
export function thisSecond(): number {
  return Math.floor(performance.now() / 1000);
}
