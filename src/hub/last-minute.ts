/** How much one visitor did in each of the last 60 seconds: 60 bytes for each who is here. */

const SECONDS = 60;
/** Digits of the text: a count in one sign, up to 63 (base64url, RFC 4648 section 5). */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export class LastMinute {
  readonly #counts = new Uint8Array(SECONDS);
  /** The last second that anything was counted in. */
  #last = 0;

  /** Counts samples in a second, which must not be before the last one. */
  add(second: number, samples: number): void {
    this.#forget(second);
    const i = second % SECONDS;
    this.#counts[i] = Math.min((this.#counts[i] as number) + samples, DIGITS.length - 1);
    this.#last = second;
  }

  /** The 60 seconds up to this one, the oldest first, a digit for each; without those before the first in which anything was counted. */
  text(second: number): string {
    let text = '';
    for (let i = Math.max(0, second - SECONDS + 1); i <= second; i++) {
      const isKept = i <= this.#last && i > this.#last - SECONDS;
      const count = isKept ? (this.#counts[i % SECONDS] as number) : 0;
      if (text !== '' || count > 0) text += DIGITS[count];
    }
    return text;
  }

  /** Clears what lies a minute and more before a second, since it has the same places. */
  #forget(second: number): void {
    const first = Math.max(this.#last + 1, second - SECONDS + 1);
    for (let i = first; i <= second; i++) this.#counts[i % SECONDS] = 0;
  }
}

/** The second at hand, by a clock that is never set. */
export function thisSecond(): number {
  return Math.floor(performance.now() / 1000);
}
