/** How much one visitor did in each of the last 60 seconds: 60 bytes for each who is here. */
import { ACTIVITY_DIGITS, ACTIVITY_SECONDS } from '../protocol/stream-event.ts';

export class LastMinute {
  readonly #counts = new Uint8Array(ACTIVITY_SECONDS);
  /** The last second that anything was counted in. */
  #last = 0;

  /** Counts samples in a second, which must not be before the last one. */
  add(second: number, samples: number): void {
    this.#forget(second);
    const i = second % ACTIVITY_SECONDS;
    this.#counts[i] = Math.min((this.#counts[i] as number) + samples, ACTIVITY_DIGITS.length - 1);
    this.#last = second;
  }

  /** The 60 seconds up to this one, the oldest first, a digit for each; without those before the first in which anything was counted. */
  text(second: number): string {
    let text = '';
    for (let i = Math.max(0, second - ACTIVITY_SECONDS + 1); i <= second; i++) {
      const isKept = i <= this.#last && i > this.#last - ACTIVITY_SECONDS;
      const count = isKept ? (this.#counts[i % ACTIVITY_SECONDS] as number) : 0;
      if (text !== '' || count > 0) text += ACTIVITY_DIGITS[count];
    }
    return text;
  }

  /** Clears what lies a minute and more before a second, since it has the same places. */
  #forget(second: number): void {
    const first = Math.max(this.#last + 1, second - ACTIVITY_SECONDS + 1);
    for (let i = first; i <= second; i++) this.#counts[i % ACTIVITY_SECONDS] = 0;
  }
}

/** The second at hand, by a clock that is never set. */
export function thisSecond(): number {
  return Math.floor(performance.now() / 1000);
}
